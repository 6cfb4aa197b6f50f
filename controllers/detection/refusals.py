"""Writes that the API server does not take: asked again with backoff, or they spend the budget of all others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from analysis.contract import Candidate

FIRST_DELAY, MAX_DELAY = timedelta(seconds=30), timedelta(minutes=10)


@dataclass
class Refusals:
    """By fingerprint of a new Incident or UID of one that exists; forgotten when nothing is to be written any more."""

    _until: dict[str, tuple[datetime, timedelta]] = field(default_factory=dict)
    """Until when not to ask, and how long that was."""

    def note(self, key: str, now: datetime) -> None:
        """Refused just now."""
        _, last = self._until.get(key, (now, FIRST_DELAY / 2))
        delay = min(last * 2, MAX_DELAY)
        self._until[key] = (now + delay, delay)

    def waits(self, key: str, now: datetime) -> bool:
        """It is too early to ask again."""
        return key in self._until and now < self._until[key][0]

    def known(self) -> frozenset[str]:
        """What was refused when it was last asked for."""
        return frozenset(self._until)

    def keep(self, keys: Iterable[str]) -> None:
        """Forget all others."""
        wanted = set(keys)
        self._until = {one: when for one, when in self._until.items() if one in wanted}


def apart(candidates: Iterable[Candidate], refused: Set[str]) -> tuple[Candidate, ...]:
    """The candidates; beside one that is refused also all that it shows in each other namespace, as one."""
    return tuple(part for candidate in candidates for part in _parts(candidate, refused))


def _parts(candidate: Candidate, refused: Set[str]) -> Iterator[Candidate]:
    yield candidate
    if candidate.fingerprint not in refused:
        return
    elsewhere: dict[str, list[Candidate]] = {}
    for part in candidate.signals:
        if part.target.namespace != candidate.target.namespace:
            elsewhere.setdefault(part.target.namespace, []).append(part)
    for first, *others in elsewhere.values():
        yield first.model_copy(update={"signals": tuple(others)})
