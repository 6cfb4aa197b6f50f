"""The only code that talks to the API server: a typed port, its client, events, and read-only facts of workloads."""
