"""MCP: what agents may read of incidents, and the two narrow things that they may ask for. Two endpoints."""
