"""The external analysis server: metrics and logs in; candidates, causes, verdicts out. It never mutates the cluster."""
