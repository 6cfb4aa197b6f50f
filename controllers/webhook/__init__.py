"""Webhook: before Kubernetes 1.36, makes an entry of a person's annotation as a MutatingAdmissionPolicy does."""
