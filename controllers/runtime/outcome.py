"""What a reconcile returns, and what it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Key(NamedTuple):
    """The object to reconcile. ``namespace`` is empty for cluster-scoped objects."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True)
class Done:
    """Nothing to do until an event or the resync says so."""


@dataclass(frozen=True)
class Requeue:
    """Look again in ``after`` seconds, whatever happens."""

    after: float


Outcome = Done | Requeue
