"""A first look at all series of a metric: numbers by group, from which rules choose what to look at closely."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.telemetry.groups import Groups, Present
from analysis.windows.block import Bool, Float64, Int64
from analysis.windows.extremes import Extremes


@dataclass(frozen=True, slots=True)
class Chosen:
    """Groups to look at closely."""

    groups: Groups
    numbers: Int64


@dataclass(frozen=True, slots=True)
class Look:
    """Each group's samples within a window; the arrays of ``seen`` run by its number."""

    groups: Groups
    seen: Extremes

    @property
    def newest(self) -> float | None:
        """Unix time of the newest sample of all; None when there is none."""
        highest = np.fmax.reduce(self.seen.last_at, initial=-np.inf)
        return float(highest) / 1000 if np.isfinite(highest) else None

    def since(self, at: float) -> Bool:
        """Which have a sample of then (Unix seconds) or later. ``bool[number]``."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.seen.last_at >= at * 1000, dtype=np.bool_)

    def pods_since(self, at: float) -> Present:
        """Namespaces and names of the pods of which there is a sample of then (Unix seconds) or later."""
        return Present(self.groups, self.since(at))

    def choose(self, mask: Bool) -> Chosen:
        """Those that are on in ``mask: bool[number]``, which may be shorter."""
        return Chosen(self.groups, np.flatnonzero(mask))


def by_group(found: Extremes, numbers: Int64, groups: Groups, *, alone: bool) -> Look:
    """Join rows of the same group.

    Args:
        numbers: ``int64[row]``, the group of each row of ``found``.
        alone: no two rows are of one group.
    """
    joined = Extremes.nothing(len(groups))
    if alone:
        joined.low[numbers], joined.high[numbers] = found.low, found.high
        joined.last[numbers], joined.last_at[numbers] = found.last, found.last_at
        return Look(groups, joined)
    np.fmin.at(joined.low, numbers, found.low)
    np.fmax.at(joined.high, numbers, found.high)
    rows = np.flatnonzero(np.isfinite(found.last_at))
    rows = rows[np.argsort(found.last_at[rows], kind="stable")]
    joined.last[numbers[rows]], joined.last_at[numbers[rows]] = found.last[rows], found.last_at[rows]
    return Look(groups, joined)


def highest(values: Float64, numbers: Int64, size: int) -> Float64:
    """Of the rows of each group, ``float64[number]``; NaN where there is none."""
    found = np.full(size, np.nan)
    np.fmax.at(found, numbers, values)
    return found
