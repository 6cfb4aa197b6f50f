"""Typed errors. A reconcile raises one of these; ``worker`` maps them to what happens next, in one place."""

from __future__ import annotations


class ReconcileError(Exception):
    """Base: a CamelCase ``reason`` for conditions, events and metrics, and a ``message`` for people."""

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(f"{reason}: {message}" if message else reason)
        self.reason = reason
        self.message = message


class Terminal(ReconcileError):
    """Trying again changes nothing until the object (or the configuration) does. Not requeued; resync looks again."""


class Waiting(ReconcileError):
    """Something expected has not happened yet; look again after ``delay`` seconds. Not an error in any metric."""

    def __init__(self, reason: str, delay: float, message: str = "") -> None:
        super().__init__(reason, message)
        self.delay = delay


class Retryable(ReconcileError):
    """Something outside failed (a timeout, a 5xx, a conflict); requeued with exponential backoff."""


def root_cause(error: Exception) -> str:
    """The first of the errors that led to this one, on one short line: HTTP libraries wrap it several times."""
    inner: BaseException = error
    while wrapped := inner.__cause__ or (None if inner.__suppress_context__ else inner.__context__):
        inner = wrapped
    return " ".join(f"{type(inner).__name__}: {inner}".split())[:200]
