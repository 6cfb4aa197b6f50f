"""Root causes: hypotheses from a catalogue, each with evidence and a query that could refute it. Deterministic."""
