"""Many signals, few incidents: duplicates collapse, and each signal finds the one fault that it follows from. Pure."""
