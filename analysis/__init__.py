"""The external analysis server: metrics and logs in, candidates, root causes and verdicts out. It never mutates the cluster."""
