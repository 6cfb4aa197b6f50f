"""Approval: counts people's decisions and turns a complete one into the executor's grant, for as long as it holds."""
