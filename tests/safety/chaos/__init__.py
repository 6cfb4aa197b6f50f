"""The executor killed, frozen, doubled and cut off at every write; the API server's audit log is the judge (S5)."""
