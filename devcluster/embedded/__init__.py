"""A single-node cluster inside this machine's own namespaces: real parts, no container engine, nothing left behind."""
