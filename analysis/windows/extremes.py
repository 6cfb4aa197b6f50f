"""The lowest, the highest and the newest sample of many series at once, read where they lie.

One pass over a ring, column by column: compiled, or with numpy over all rows of a column, with the same answers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.compiled import COMPILED, kernel
from analysis.windows.block import Bool, Float64, Int64


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
    slots, (low, high) = _touching(slots, step, within), np.empty((2, len(rows)))
    look = scan if COMPILED else scan_columns
    look(values, parts, rows, slots.start, slots.stop, _bounds(parts, step, within), low, high)
    last, last_at = newest(values, parts, rows, slots, step, within)
    low[np.isnan(last)] = high[np.isnan(last)] = np.nan
    return Extremes(low, high, last, last_at)


def newest(
    values: NDArray[Any], parts: NDArray[Any], rows: Int64, slots: range, step: float, within: tuple[int, int]
) -> tuple[Float64, Float64]:
    """Only the newest sample and its time (Unix milliseconds) of what :func:`extremes` looks at."""
    slots, (last, last_at) = _touching(slots, step, within), np.full((2, len(rows)), np.nan)
    look = back if COMPILED else back_columns
    look(values, parts, rows, slots.start, slots.stop, _bounds(parts, step, within), last, last_at)
    return last, last_at


def _touching(slots: range, step: float, within: tuple[int, int]) -> range:
    """Those that may hold a sample that counts, and one more on each side, as times are rounded."""
    oldest, latest = (math.floor(at / (step * 1000)) for at in within)
    return range(max(slots.start, oldest - 1), min(slots.stop, latest + 2))


def _bounds(parts: NDArray[Any], step: float, within: tuple[int, int]) -> Float64:
    """What the loops need in milliseconds and parts."""
    return np.array([step * 1000, np.iinfo(parts.dtype).max + 1, *within], dtype=np.float64)


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
) -> None:
    """The lowest and the highest, infinite where there is no sample: without branches over the many samples."""
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


@kernel
def back(
    values: NDArray[Any],
    parts: NDArray[Any],
    rows: Int64,
    first: int,
    stop: int,
    bounds: Float64,
    last: Float64,
    last_at: Float64,
) -> None:
    """The newest, column by column backwards: most rows have theirs in one of the first that are looked at."""
    step, in_step, since, until = bounds[0], bounds[1], bounds[2], bounds[3]
    silent, left = np.arange(len(rows)), len(rows)
    for slot in range(stop - 1, first - 1, -1):
        if left == 0:
            break
        column, part = values[slot % values.shape[0]], parts[slot % values.shape[0]]
        looked_at, left = left, 0
        for place in range(looked_at):
            index = silent[place]
            row = rows[index]
            at = np.rint((slot + (part[row] + 0.5) / in_step) * step)
            if np.isnan(column[row]) or at < since or at > until:
                silent[left] = index
                left += 1
            else:
                last[index], last_at[index] = column[row], at


def scan_columns(
    values: NDArray[Any],
    parts: NDArray[Any],
    rows: Int64,
    first: int,
    stop: int,
    bounds: Float64,
    low: Float64,
    high: Float64,
) -> None:
    """:func:`scan` without a compiler."""
    low[:], high[:] = np.inf, -np.inf
    for slot in range(first, stop):
        value, _, counts = _cells(values, parts, rows, slot, bounds)
        value[~counts] = np.nan
        np.fmin(low, value, out=low)
        np.fmax(high, value, out=high)


def back_columns(
    values: NDArray[Any],
    parts: NDArray[Any],
    rows: Int64,
    first: int,
    stop: int,
    bounds: Float64,
    last: Float64,
    last_at: Float64,
) -> None:
    """:func:`back` without a compiler."""
    silent = np.arange(len(rows))
    for slot in range(stop - 1, first - 1, -1):
        if not silent.size:
            break
        value, at, counts = _cells(values, parts, rows[silent], slot, bounds)
        last[silent[counts]], last_at[silent[counts]] = value[counts], at[counts]
        silent = silent[~counts]


def _cells(
    values: NDArray[Any], parts: NDArray[Any], rows: Int64, slot: int, bounds: Float64
) -> tuple[Float64, Float64, Bool]:
    """One column of some rows: values, Unix milliseconds, and whether there is a sample that counts."""
    step, in_step, since, until = bounds
    column = slot % len(values)
    value = values[column, rows].astype(np.float64)
    at = np.rint((slot + (parts[column, rows] + 0.5) / in_step) * step)
    return value, at, ~np.isnan(value) & (at >= since) & (at <= until)
