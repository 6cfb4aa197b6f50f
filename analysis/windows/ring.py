"""The newest minutes of many series in a fixed amount of memory: five bytes per series and step, or six, or ten.

Time-major inside (``[time, series]``), so that a tick touches one row of memory and an old column is cleared at once.
A gap stays a gap: a cell that was not written since its column came round again is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.compiled import kernel
from analysis.windows.block import Bool, Float64, Int64
from analysis.windows.extremes import Extremes, extremes, newest

STALE_BITS = np.uint64(0x7FF0000000000002)
"""Prometheus' staleness marker."""
NEVER = -1
"""Slot of a series without samples."""


@dataclass(slots=True)
class Counts:
    """What became of samples; shown as metrics."""

    written: int = 0
    late: int = 0
    """Older than the window."""
    superseded: int = 0
    """Another sample of the same cell is newer."""
    ahead: int = 0
    """Further in the future than clocks may differ."""
    ended: int = 0
    """Staleness markers."""
    not_finite: int = 0


class Ring:
    """``columns`` steps of ``step`` seconds for ``capacity`` series.

    Args:
        skew: seconds that a sample may be ahead of our clock.
        values: ``float32``, or ``float64`` for counters and times, whose small differences matter.
        parts: a sample's time within its cell is kept to 1/256 of the step (``uint8``), or, with ``uint16``, to
            1/65536: to the millisecond for steps of up to a minute.
    """

    def __init__(
        self,
        capacity: int,
        columns: int,
        step: float,
        skew: float = 60.0,
        *,
        values: type[np.float32 | np.float64] = np.float32,
        parts: type[np.uint8 | np.uint16] = np.uint8,
    ) -> None:
        self.capacity, self.columns, self.step, self.skew = capacity, columns, step, skew
        self.head = NEVER
        """Slot (Unix time / step) of the newest column."""
        self.counts = Counts()
        self.newest: Int64 = np.full(capacity, NEVER, dtype=np.int64)
        """Slot of each series' newest sample."""
        self.ended: Bool = np.zeros(capacity, dtype=np.bool_)
        """Series whose sender said that they are over."""
        self._values: NDArray[Any] = np.full((columns, capacity), np.nan, dtype=values)
        self._parts: NDArray[Any] = np.zeros((columns, capacity), dtype=parts)
        self._in_step = np.iinfo(parts).max + 1

    @property
    def bytes(self) -> int:
        """Memory that the arrays take."""
        return int(self._values.nbytes + self._parts.nbytes + self.newest.nbytes + self.ended.nbytes)

    def write(self, rows: Int64, millis: Int64, values: Float64, now: float) -> None:
        """Put samples into their cells, in any order. ``now`` (Unix seconds) bounds how far a clock may be ahead."""
        if not len(rows):
            return
        step, limit = round(self.step * 1000), round((now + self.skew) * 1000)
        inside = millis[millis <= limit]
        if inside.size:
            self._advance(int(inside.max()) // step)
        tally = np.zeros(6, dtype=np.int64)
        write_cells(
            rows,
            millis,
            values.view(np.uint64),
            values,
            np.array([step, limit, self.head, self._in_step], dtype=np.int64),
            self._values,
            self._parts,
            self.newest,
            self.ended,
            tally,
        )
        counts = self.counts
        counts.written += int(tally[0])
        counts.late += int(tally[1])
        counts.superseded += int(tally[2])
        counts.ahead += int(tally[3])
        counts.ended += int(tally[4])
        counts.not_finite += int(tally[5])

    def advance(self, now: float) -> None:
        """Let time pass: columns up to ``now`` become the newest, empty until something is written."""
        self._advance(int(now // self.step))

    def order(self, seconds: float | None = None) -> Int64:
        """Columns of the last ``seconds`` (of all without), oldest first, as indices of the arrays' first axis."""
        slots = self._slots(self.columns * self.step if seconds is None else seconds)
        return np.arange(slots.start, slots.stop, dtype=np.int64) % self.columns

    def samples(self, rows: Int64, seconds: float) -> tuple[Float64, Float64]:
        """``times`` (Unix milliseconds) and ``values`` of some series, ``float64[series, time]``, NaN for gaps."""
        order = self.order(seconds)
        values = self._values[np.ix_(order, rows)].T.astype(np.float64)
        within = (self._parts[np.ix_(order, rows)].T + 0.5) / self._in_step
        slots = np.arange(self.head - len(order) + 1, self.head + 1, dtype=np.float64)
        times = np.rint((slots[None, :] + within) * (self.step * 1000))
        return np.where(np.isnan(values), np.nan, times), values

    def extremes(self, rows: Int64, seconds: float, within: tuple[int, int]) -> Extremes:
        """Lowest, highest and newest sample of some rows, within the last ``seconds`` and two Unix milliseconds."""
        return extremes(self._values, self._parts, rows, self._slots(seconds), self.step, within)

    def last(self, rows: Int64, seconds: float, within: tuple[int, int]) -> Float64:
        """Only the newest sample's value, NaN where there is none. ``float64[row]``."""
        return newest(self._values, self._parts, rows, self._slots(seconds), self.step, within)[0]

    def grow(self, capacity: int) -> None:
        """Make room for more series."""
        more = capacity - self.capacity
        if more <= 0:
            return
        self._values = np.pad(self._values, ((0, 0), (0, more)), constant_values=np.nan)
        self._parts = np.pad(self._parts, ((0, 0), (0, more)))
        self.newest = np.pad(self.newest, (0, more), constant_values=NEVER)
        self.ended = np.pad(self.ended, (0, more))
        self.capacity = capacity

    def silent(self, seconds: float) -> Int64:
        """Rows that were written once and not within the last ``seconds``: what may be forgotten."""
        before = self.head - round(seconds / self.step)
        return np.flatnonzero((self.newest != NEVER) & (self.newest < before))

    def clear(self, rows: Int64) -> None:
        """Forget rows, so that they can belong to other series."""
        self._values[:, rows] = np.nan
        self.newest[rows] = NEVER
        self.ended[rows] = False

    def _slots(self, seconds: float) -> range:
        """Those of the last ``seconds``, oldest first."""
        return range(self.head + 1 - min(self.columns, max(1, round(seconds / self.step))), self.head + 1)

    def _advance(self, slot: int) -> None:
        if slot <= self.head:
            return
        first = max(self.head + 1, slot - self.columns + 1) if self.head != NEVER else slot - self.columns + 1
        for one in range(first, slot + 1):
            self._values[one % self.columns] = np.nan
        self.head = slot


@kernel
def write_cells(
    rows: Int64,
    millis: Int64,
    bits: NDArray[np.uint64],
    given: Float64,
    bounds: Int64,
    values: NDArray[Any],
    parts: NDArray[Any],
    newest: Int64,
    ended: Bool,
    tally: Int64,
) -> None:
    """The inner loop of :meth:`Ring.write`."""
    step, limit, head, in_step = bounds[0], bounds[1], bounds[2], bounds[3]
    columns = values.shape[0]
    for index in range(len(rows)):
        row, at = rows[index], millis[index]
        if at > limit:
            tally[3] += 1
            continue
        slot = at // step
        if slot <= head - columns:
            tally[1] += 1
            continue
        if bits[index] == STALE_BITS:
            tally[4] += 1
            if slot >= newest[row]:
                ended[row] = True
            continue
        if not np.isfinite(given[index]):
            tally[5] += 1
            continue
        column, part = slot % columns, (at - slot * step) * in_step // step
        if not np.isnan(values[column, row]) and part < parts[column, row]:
            tally[2] += 1
            continue
        values[column, row] = given[index]
        parts[column, row] = part
        if slot >= newest[row]:
            newest[row] = slot
            ended[row] = False
        tally[0] += 1
