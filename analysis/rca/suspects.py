"""Which entity an incident comes from, by its metrics and the calls between entities.

Resources accuse the entity that they belong to. Slow and failing calls travel from callee to caller, so they accuse an
entity only as far as its own callees do not explain them, and by their impact: traffic times rise is the time or the
calls that were lost, whereas the relative rise of a rarely used path may be anything. What nothing accuses is no
suspect: an empty answer means that the metrics do not tell.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from analysis.rca.deviation import Deviations, Kind, deviations
from analysis.rca.onset import change_points, pooled_change_point
from analysis.windows.block import Float64

Calls = Mapping[str, frozenset[str]]
"""Caller → callees."""

EXPLAINING_SHARE: Final = 0.3
"""Callees explain a caller when their rises sum up to this share of its own: not every call of it goes to them."""
EXPLAINED_FACTOR: Final = 0.05
"""What is left of the accusation then."""
MARGIN: Final = 10
"""Samples on either side of a detected onset."""


@dataclass(frozen=True, slots=True)
class Signals:
    """Series around an incident. All sequences run parallel to the rows of ``values``.

    ``values: float64[series, time]`` at ``times: float64[time]`` (Unix seconds); ``history: float64[series, any]``
    holds further ordinary samples, older than ``values``, and may have no columns.
    """

    entities: tuple[str, ...]
    kinds: tuple[Kind, ...]
    names: tuple[str, ...]
    times: Float64
    values: Float64
    history: Float64


@dataclass(frozen=True, slots=True)
class Accusation:
    """One series that speaks against its entity."""

    row: int
    strength: float
    score: float
    """Deviation, in widths of the ordinary range."""
    rise: float
    onset: float
    """Unix seconds of this series' own change."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """An entity that may be the origin. ``strength`` has no unit.

    ``accusations`` begin with its resources, strongest first: what it uses explains how slow it is, not the reverse.
    """

    entity: str
    strength: float
    accusations: tuple[Accusation, ...]


def onset_of(signals: Signals) -> float:
    """Unix seconds of the first sample after the change that most series share."""
    margin = max(1, min(MARGIN, signals.values.shape[1] // 4))
    return float(signals.times[pooled_change_point(signals.values, margin)])


def suspects(signals: Signals, calls: Calls, onset: float, symptom: str | None = None) -> tuple[Suspect, ...]:
    """Entities that an incident may come from, most likely first; equal input gives equal output.

    Args:
        signals: the series.
        calls: the call graph as far as it is known; entities without series may stand in it.
        onset: Unix seconds; samples from then on count as the incident.
        symptom: entity that was alerted for: only it and what it calls, however indirectly, is considered.
    """
    since = int(np.searchsorted(signals.times, onset))
    before, after = signals.values[:, :since], signals.values[:, since:]
    history = np.concatenate([signals.history, before], axis=1)
    found = deviations(history, before if signals.history.shape[1] else before[:, :0], after, signals.kinds)
    considered = None if symptom is None else reachable(calls, symptom)
    notable = [
        int(row)
        for row in np.flatnonzero(found.notable(signals.kinds))
        if considered is None or signals.entities[row] in considered
    ]
    strengths = _strengths(signals, calls, found, notable, since)
    onsets = _onsets(signals, notable)
    by_entity: dict[str, list[Accusation]] = defaultdict(list)
    for row, strength in strengths.items():
        one = Accusation(row, strength, float(found.score[row]), float(found.rise[row]), onsets[row])
        by_entity[signals.entities[row]].append(one)
    return _ranked(by_entity, signals)


def _ranked(by_entity: Mapping[str, list[Accusation]], signals: Signals) -> tuple[Suspect, ...]:
    """Each kind of metric counts once per entity, by its strongest series. Ties: who changed first, then by name."""
    result = []
    for entity, accusations in by_entity.items():
        accusations.sort(key=lambda one: (signals.kinds[one.row] is not Kind.RESOURCE, -one.strength, one.row))
        best: dict[Kind, float] = {}
        for one in accusations:
            best.setdefault(signals.kinds[one.row], one.strength)
        result.append(Suspect(entity, math.fsum(best.values()), tuple(accusations)))
    result.sort(key=lambda one: (-one.strength, one.accusations[0].onset, one.entity))
    return tuple(result)


def reachable(calls: Calls, start: str) -> frozenset[str]:
    """An entity and all that it calls, directly or not."""
    seen = {start}
    todo = [start]
    while todo:
        for callee in calls.get(todo.pop(), ()):
            if callee not in seen:
                seen.add(callee)
                todo.append(callee)
    return frozenset(seen)


def _strengths(
    signals: Signals, calls: Calls, found: Deviations, notable: Sequence[int], since: int
) -> dict[int, float]:
    """Strength of each accusing series: the logarithm of its deviation, weighed if others may be behind it."""
    result = {row: math.log1p(float(found.score[row])) for row in notable if signals.kinds[row] is Kind.RESOURCE}
    volumes = _volumes(signals, since)
    for kind in (Kind.LATENCY, Kind.ERRORS):
        rows = [row for row in notable if signals.kinds[row] is kind]
        leading: dict[str, int] = {}
        for row in rows:
            entity = signals.entities[row]
            if entity not in leading or found.score[row] > found.score[leading[entity]]:
                leading[entity] = row
        rises = {entity: float(found.rise[row]) for entity, row in leading.items()}
        usual_volume = float(np.median(list(volumes.values()))) if volumes else 1.0
        impacts = {entity: rise * volumes.get(entity, usual_volume) for entity, rise in rises.items()}
        most = max(impacts.values(), default=0.0)
        for row in rows:
            entity = signals.entities[row]
            weight = math.sqrt(impacts[entity] / most) if most > 0 else 1.0
            result[row] = math.log1p(float(found.score[row])) * weight * _unexplained(entity, rises, calls)
    return result


def _unexplained(entity: str, rises: Mapping[str, float], calls: Calls) -> float:
    """Share of an entity's accusation that its callees leave."""
    behind = math.fsum(
        rises[callee] for callee in sorted(calls.get(entity, ())) if callee in rises and callee != entity
    )
    return max(EXPLAINED_FACTOR, 1.0 - behind / (EXPLAINING_SHARE * rises[entity]))


def _volumes(signals: Signals, since: int) -> dict[str, float]:
    """Mean traffic of each entity since the onset, where known and positive."""
    sums: dict[str, float] = {}
    for row, kind in enumerate(signals.kinds):
        if kind is Kind.TRAFFIC:
            after = signals.values[row, since:]
            known = after[np.isfinite(after)]
            if known.size and float(known.mean()) > 0:
                sums[signals.entities[row]] = sums.get(signals.entities[row], 0.0) + float(known.mean())
    return sums


def _onsets(signals: Signals, rows: Sequence[int]) -> dict[int, float]:
    if not rows:
        return {}
    margin = max(1, min(MARGIN, signals.values.shape[1] // 4))
    points = change_points(signals.values[list(rows)], margin)
    return {row: float(signals.times[point]) for row, point in zip(rows, points, strict=True)}
