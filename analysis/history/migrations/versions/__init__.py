"""Steps of the schema, in order; each is applied once, under a lock."""
