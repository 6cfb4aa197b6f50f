"""In-memory ports for unit tests. Nothing here is ever imported outside tests/."""
