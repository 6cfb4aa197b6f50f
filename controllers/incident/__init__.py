"""Incident: drives the chain of one fault forward and tells its story in state, conditions and timeline."""
