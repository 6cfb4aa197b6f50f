"""Writer arbitration: who else writes the fields that an action changes, and whether the change would last."""
