"""The demo: a small shop that fails in known ways on request, and the driver that tells one incident's whole story."""
