"""The external side: Prometheus, Loki on S3, gateway and analysis server, from the same files everywhere."""
