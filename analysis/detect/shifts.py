"""Which learned series have settled at another level (``drift``), since when, and what of it is the new normal. Pure.

A shift of level is evidence, never an alarm: a workload that was given more to do has one too. What has lasted for
``SETTLED`` is no news any more, and a baseline that still knows the old level would call everything unusual: from then
on it is learned from the shift's onset. What most of the fleet does at once (a holiday) is nobody's shift.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.detect.drift import DAY_HOURS, drifts
from analysis.detect.learned import Key, fleetwide
from analysis.windows.block import Bool, Float64, Int64
from analysis.windows.robust import median

HOUR = 3600.0
SETTLED = 3 * 86_400.0
"""Seconds after which a level is the workload's own; a long weekend is over by then."""
MAX_HOURS = 28 * 24

Place = tuple[Key, str]
"""A workload and the name of one of its series."""
Onsets = Mapping[Place, float]
"""Unix seconds from which on a series is learned: before, it was at another level."""


@dataclass(frozen=True, slots=True)
class Levels:
    """Hourly medians of whole hours. ``hours`` since the Unix epoch ``[time]``, without gaps, oldest first."""

    hours: Int64
    values: Mapping[str, Float64]
    """By series, ``float64[workload, time]``, NaN for gaps."""

    @property
    def until(self) -> float:
        """Unix seconds of the end of the newest hour."""
        return (float(self.hours[-1]) + 1.0) * HOUR if len(self.hours) else float("-inf")


@dataclass(frozen=True, slots=True)
class Shift:
    """One series of one workload at another level than in the weeks before."""

    since: float
    """Unix seconds."""
    now: float
    """Median of the newest day, in the series' own unit."""
    usual: float
    """What it would be by the weeks before, at this time of the week."""


@dataclass(frozen=True, slots=True)
class Shifts:
    """What is to be said of all series at one moment."""

    found: Mapping[Place, Shift]
    unknown: frozenset[Place]
    """Nothing can be said of these: learning, or the newest day has gaps, as within a known incident."""
    common: tuple[str, ...]
    """Shifts of a good part of the fleet at once."""


def hourly(times: Float64, values: Mapping[str, Float64]) -> Levels:
    """Medians of the whole hours of ``values: [workload, time]``; ``times`` in Unix seconds, evenly spaced."""
    if len(times) < 2:
        return Levels(np.zeros(0, dtype=np.int64), {name: one[:, :0] for name, one in values.items()})
    step = float(times[1] - times[0])
    hours = np.arange(np.ceil(times[0] / HOUR), np.floor((times[-1] + step) / HOUR), dtype=np.int64)
    edges = np.searchsorted(times, np.append(hours, hours[-1] + 1 if len(hours) else 0) * HOUR)
    spans = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    medians = {
        name: np.stack([median(one[:, start:end]) for start, end in spans], axis=1) if spans else one[:, :0]
        for name, one in values.items()
    }
    return Levels(hours, medians)


def joined(before: Levels | None, newer: Levels) -> Levels:
    """Both, the newer where they overlap; rows of both are the same workloads."""
    if before is None or not len(before.hours) or not len(newer.hours):
        return newer if len(newer.hours) or before is None else before
    first = min(before.hours[0], newer.hours[0])
    hours = np.arange(max(first, newer.hours[-1] + 1 - MAX_HOURS), newer.hours[-1] + 1)
    return Levels(hours, {name: _joined(hours, before, newer, name) for name in newer.values})


def _joined(hours: Int64, before: Levels, newer: Levels, name: str) -> Float64:
    whole = np.full((len(newer.values[name]), len(hours)), np.nan)
    for part in (before, newer):
        within = (part.hours >= hours[0]) & (part.hours <= hours[-1])
        whole[:, part.hours[within] - hours[0]] = part.values[name][:, within]
    return whole


def outdated(onsets: Onsets, keys: Sequence[Key], name: str, times: Float64) -> Bool:
    """Samples of before the onset of a series' own level. ``bool[workload, time]``; ``times`` in Unix seconds."""
    since = np.array([onsets.get((key, name), -np.inf) for key in keys], dtype=np.float64)
    return np.asarray(times[None, :] < since[:, None])


def shifts(levels: Levels, keys: Sequence[Key], least: Mapping[str, tuple[float, float]], onsets: Onsets) -> Shifts:
    """What has shifted by the end of the newest hour.

    Args:
        levels: rows as ``keys``; within known incidents NaN.
        least: by series, the least share and change that count.
        onsets: of levels that are known already.
    """
    found: dict[Place, Shift] = {}
    unknown: set[Place] = set()
    sides: dict[str, Float64] = {}
    for name, values in levels.values.items():
        fresh = np.where(outdated(onsets, keys, name, levels.hours.astype(np.float64) * HOUR), np.nan, values)
        drift = drifts(levels.hours, fresh)
        unknown |= {(keys[row], name) for row in np.flatnonzero(np.isnan(drift.score)).tolist()}
        now, share, change = median(fresh[:, -DAY_HOURS:]), *least[name]
        enough = np.abs(drift.shift) >= np.maximum(share * np.abs(now - drift.shift), change)
        sides[name] = np.where(drift.found & enough, np.sign(drift.shift), 0.0)[:, None]
        for row in np.flatnonzero(sides[name]).tolist():
            since = levels.until - float(drift.lasted[row]) * HOUR
            found[keys[row], name] = Shift(since, float(now[row]), float(now[row] - drift.shift[row]))
    said, muted = fleetwide(sides)
    kept = {place: one for place, one in found.items() if (place[1], 1 if one.now > one.usual else -1) not in muted}
    return Shifts(kept, frozenset(unknown), said)


def still(before: Mapping[Place, Shift], judged: Shifts) -> dict[Place, Shift]:
    """What is on: what was found, since it was first seen, and what was on where nothing can be said now."""
    on = {place: one for place, one in before.items() if place in judged.unknown}
    for place, one in judged.found.items():
        since = min(one.since, before[place].since) if place in before else one.since
        on[place] = replace(one, since=since)
    return on


def settled(on: Mapping[Place, Shift], judged: Iterable[Place], now: float) -> dict[Place, float]:
    """Onsets of those of ``judged`` that have lasted so long that they are how things are now."""
    return {place: on[place].since for place in judged if now - on[place].since >= SETTLED}
