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
    """The loop of :func:`extremes`."""
    step, in_step, since, until = bounds[0], bounds[1], bounds[2], bounds[3]
    columns = values.shape[0]
    for slot in range(first, stop):
        column = slot % columns
        whole = since <= slot * step and (slot + 1) * step <= until  # as nearly all are: no need to look at times
        for index in range(len(rows)):
            row = rows[index]
            value = values[column, row]
            if np.isnan(value):
                continue
            if not whole:
                at = np.rint((slot + (parts[column, row] + 0.5) / in_step) * step)
                if at < since or at > until:
                    continue
            if not value >= low[index]:
                low[index] = value
            if not value <= high[index]:
                high[index] = value
            last[index] = value
            last_at[index] = slot
    for index in range(len(rows)):
        if not np.isnan(last_at[index]):
            slot = int(last_at[index])
            last_at[index] = np.rint((slot + (parts[slot % columns, rows[index]] + 0.5) / in_step) * step)


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
