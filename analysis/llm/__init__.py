"""An OpenAI-compatible model adds wording and hypotheses to a report. It has no tools; its words are checked."""
