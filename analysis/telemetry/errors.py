"""Typed errors of the telemetry readers. Every message names the address and what to look at."""

from __future__ import annotations


class SourceError(Exception):
    """A source could not be read."""

    def __init__(self, source: str, address: str, why: str) -> None:
        super().__init__(f"{source} at {address}: {why}")
        self.source = source
        self.address = address
        self.why = why


class SourceUnreachable(SourceError):
    """No connection, a timeout, or a 5xx: worth another try."""


class QueryRefused(SourceError):
    """The source answered that the query is wrong or too big: a defect of the query, not of the source."""
