"""Webhook: makes an entry of a person's annotation before Kubernetes 1.36, and refuses policies that cannot be read."""
