"""Rules over windows: measurements and API signals in, candidates out. Everything but ``service`` is pure."""
