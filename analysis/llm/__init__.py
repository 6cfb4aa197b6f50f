"""An OpenAI-compatible model adds wording and hypotheses to a report. It has no tools, and its words are checked data."""
