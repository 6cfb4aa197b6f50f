"""Container images: one Dockerfile for everyone; the same file lists without Docker for the embedded cluster."""
