"""The room for clusters: Kubernetes on whatever the machine has (kind, a named context, or one built here)."""
