"""Errors of the external side that a person can act on."""

from __future__ import annotations

from devcluster.errors import ClusterError

__all__ = ["ExternalError", "ObjectStoreError"]


class ExternalError(ClusterError):
    """Something about the external side; the message names the address and says what to do."""


class ObjectStoreError(ExternalError):
    """The object store refused or did not answer; `reason` is a CamelCase word for conditions and tests."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
