"""The page for people: read-only, with each person's own Kubernetes token, without scripts."""
