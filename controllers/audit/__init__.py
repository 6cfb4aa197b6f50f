"""Audit: an append-only, hash-chained log of every decision with all that it rested on, and its replay."""
