"""The lowest, the highest and the newest sample of many series at once, read where they lie.

One pass over a ring, column by column: compiled, or with numpy over all rows of a column, with the same answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.compiled import COMPILED, kernel
from analysis.windows.block import Float64, Int64


@dataclass(frozen=True, slots=True)
class Extremes:
    """Of each row's samples within a span of time, ``float64[row]`` each; NaN where there are none."""

    low: Float64
    high: Float64
    last: Float64
    last_at: Float64
    """Unix milliseconds."""

    def __len__(self) -> int:
        return len(self.low)

    def first(self, rows: int) -> Extremes:
        """Of the first ``rows``."""
        return Extremes(self.low[:rows], self.high[:rows], self.last[:rows], self.last_at[:rows])

    @classmethod
    def nothing(cls, rows: int) -> Extremes:
        """Of rows without samples."""
        return cls(*np.full((4, rows), np.nan))


def extremes(
    values: NDArray[Any], parts: NDArray[Any], rows: Int64, slots: range, step: float, within: tuple[int, int]
) -> Extremes:
    """Look at ``rows`` of a ring's arrays.

    Args:
        values: ``[column, row]``, NaN for gaps.
        parts: each sample's time within its cell, the same shape; the whole range of its type is one ``step``.
        slots: Unix time / ``step`` of the columns to look at, oldest first.
        step: seconds.
        within: first and last Unix millisecond that count.
    """
    found = Extremes.nothing(len(rows))
    bounds = np.array([step * 1000, np.iinfo(parts.dtype).max + 1, *within], dtype=np.float64)
    look = scan if COMPILED else scan_columns
    look(values, parts, rows, slots.start, slots.stop, bounds, found.low, found.high, found.last, found.last_at)
    return found


@kernel
def scan(
    values: NDArray[Any],
    parts: NDArray[Any],
    rows: Int64,
    first: int,
    stop: int,
    bounds: Float64,
    low: Float64,
    high: Float64,
    last: Float64,
    last_at: Float64,
) -> None:
    """The loops of :func:`extremes`: without branches over the many samples, and backwards to the newest."""
    step, in_step, since, until = bounds[0], bounds[1], bounds[2], bounds[3]
    columns = values.shape[0]
    low[:], high[:] = np.inf, -np.inf
    for slot in range(first, stop):
        column = values[slot % columns]
        if since <= slot * step and (slot + 1) * step <= until:  # as nearly all are: no need to look at times
            for index in range(len(rows)):
                value = column[rows[index]]
                low[index] = value if value < low[index] else low[index]
                high[index] = value if value > high[index] else high[index]
            continue
        part = parts[slot % columns]
        for index in range(len(rows)):
            at = np.rint((slot + (part[rows[index]] + 0.5) / in_step) * step)
            value = column[rows[index]] if since <= at <= until else np.nan
            low[index] = value if value < low[index] else low[index]
            high[index] = value if value > high[index] else high[index]
    silent, left = np.arange(len(rows)), len(rows)
    for slot in range(stop - 1, first - 1, -1):
        column, part, looked_at, left = values[slot % columns], parts[slot % columns], left, 0
        for place in range(looked_at):
            index = silent[place]
            row = rows[index]
            at = np.rint((slot + (part[row] + 0.5) / in_step) * step)
            if np.isnan(column[row]) or at < since or at > until:
                silent[left] = index
                left += 1
            else:
                last[index], last_at[index] = column[row], at
    for index in silent[:left]:
        low[index], high[index] = np.nan, np.nan


def scan_columns(
    values: NDArray[Any],
    parts: NDArray[Any],
    rows: Int64,
    first: int,
    stop: int,
    bounds: Float64,
    low: Float64,
    high: Float64,
    last: Float64,
    last_at: Float64,
) -> None:
    """The same without a compiler."""
    step, in_step, since, until = bounds
    for slot in range(first, stop):
        column = slot % len(values)
        value = values[column, rows].astype(np.float64)
        at = np.rint((slot + (parts[column, rows] + 0.5) / in_step) * step)
        counts = ~np.isnan(value) & (at >= since) & (at <= until)
        value[~counts] = np.nan
        np.fmin(low, value, out=low)
        np.fmax(high, value, out=high)
        last[counts], last_at[counts] = value[counts], at[counts]
