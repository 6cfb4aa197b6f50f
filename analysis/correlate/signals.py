"""What is correlated, and what is known about how things depend on each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

Entity = str
"""A thing that can be faulty: ``Deployment/shop/payments``, ``Node//node-3``, ``PersistentVolumeClaim/shop/data``."""


class Mark(NamedTuple):
    """Something that a signal has in common with others of the same fault. Equal marks belong together."""

    namespace: str
    what: str
    """In words: ``ConfigMap app-config written at 14:02:10 UTC``."""
    family: str = ""
    """Of the signal's type, where only the like of it share this."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One alarm, event or log burst about one entity."""

    entity: Entity
    type: str
    onset: float
    """Unix seconds."""
    seen_at: float
    weight: int = 1
    """Severity, 1 (low) to 4 (critical)."""
    marks: frozenset[Mark] = frozenset()
    """What it shares with others: a change that it follows, a thing that it names."""
    again: float | None = None
    """When it last struck anew (the newest kill of a row), for what happens at moments rather than over a time."""


@dataclass(frozen=True, slots=True)
class Merged:
    """All signals of one type about one entity: the earliest onset, the latest sight, how many.

    ``latest``: the last moment at which it began or struck anew; what happens after that may follow from it.
    """

    entity: Entity
    type: str
    onset: float
    seen_at: float
    weight: int
    count: int
    marks: frozenset[Mark] = frozenset()
    latest: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Dependencies:
    """``needs[a]`` is what ``a`` fails with: the services it calls, its node, its volumes."""

    needs: Mapping[Entity, frozenset[Entity]] = field(default_factory=dict)

    def used_by(self) -> dict[Entity, list[Entity]]:
        """The other direction, in a stable order."""
        found: dict[Entity, list[Entity]] = {}
        for one in sorted(self.needs):
            for needed in self.needs[one]:
                found.setdefault(needed, []).append(one)
        return found


def collapse(signals: Iterable[Signal]) -> tuple[Merged, ...]:
    """Duplicates become one with a count, in order of onset."""
    found: dict[tuple[Entity, str], Merged] = {}
    for one in signals:
        key = (one.entity, one.type)
        known = found.get(key)
        latest = one.onset if one.again is None else max(one.onset, one.again)
        if known is None:
            found[key] = Merged(one.entity, one.type, one.onset, one.seen_at, one.weight, 1, one.marks, latest)
        else:
            found[key] = Merged(
                one.entity,
                one.type,
                min(known.onset, one.onset),
                max(known.seen_at, one.seen_at),
                max(known.weight, one.weight),
                known.count + 1,
                known.marks | one.marks,
                max(known.latest, latest),
            )
    return tuple(sorted(found.values(), key=lambda merged: (merged.onset, merged.entity, merged.type)))
