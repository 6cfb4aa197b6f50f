"""Feedback: asks the analysis server whether an executed plan helped, and writes the verdict with its numbers."""
