"""Scenarios: faults and mere changes as YAML, run on the real cluster, each in a namespace of its own, and judged."""
