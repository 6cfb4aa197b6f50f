"""Diagnostic programs: run in a Job of their own, without a token, read one thing, say what they saw."""
