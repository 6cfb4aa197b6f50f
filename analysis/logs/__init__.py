"""Log context of an incident: which kinds of lines are new since its onset."""
