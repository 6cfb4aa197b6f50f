"""Incidents that the API server does not take: asked again with backoff, or they spend the budget of all others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

FIRST_DELAY, MAX_DELAY = timedelta(seconds=30), timedelta(minutes=10)


@dataclass
class Refusals:
    """By fingerprint: until when not to ask, and how long that was. Forgotten when the fault is not seen any more."""

    _until: dict[str, tuple[datetime, timedelta]] = field(default_factory=dict)

    def note(self, fingerprint: str, now: datetime) -> None:
        """Refused just now."""
        _, last = self._until.get(fingerprint, (now, FIRST_DELAY / 2))
        delay = min(last * 2, MAX_DELAY)
        self._until[fingerprint] = (now + delay, delay)

    def waits(self, fingerprint: str, now: datetime) -> bool:
        """It is too early to ask again."""
        return fingerprint in self._until and now < self._until[fingerprint][0]

    def keep(self, fingerprints: Iterable[str]) -> None:
        """Forget all others."""
        wanted = set(fingerprints)
        self._until = {one: when for one, when in self._until.items() if one in wanted}
