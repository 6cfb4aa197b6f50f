"""Root causes: hypotheses from a catalogue, each with evidence that is run and a query that could refute it. Deterministic."""
