"""Where each kept series' samples lie: two rings, and for every row its metric, its ring and its place there."""

from __future__ import annotations

import math

import numpy as np

from analysis.windows.block import Bool, Float64, Int32, Int64
from analysis.windows.extremes import Extremes
from analysis.windows.ring import NEVER, Counts, Ring

SKEW = 60.0
"""Seconds that a sender's clock may be ahead of ours."""
MARGIN = 2 * SKEW
"""Seconds more that are kept and read: the newest column may lie ahead of our clock."""
FIRST_ROWS = 1024
QUIET = 60.0
"""Seconds after which a series that its sender has ended may make room."""


class Rows:
    """Memory grows with the series, to ``capacity``.

    Args:
        step: width of a cell in seconds.
        windows: seconds that gauges, and that exact metrics are kept.
    """

    def __init__(self, capacity: int, step: float, windows: tuple[float, float]) -> None:
        self._capacity = capacity
        first = min(capacity, FIRST_ROWS)
        columns = [math.ceil((seconds + MARGIN) / step) for seconds in windows]
        self._rings = (
            Ring(first, columns[0], step, SKEW, parts=np.uint16),
            Ring(first, columns[1], step, SKEW, values=np.float64, parts=np.uint16),
        )
        self._free: tuple[list[int], list[int]] = ([], [])
        self._used = [0, 0]
        self._births = 0
        self._place: Int32 = np.zeros(first, dtype=np.int32)
        self._exact: Bool = np.zeros(first, dtype=np.bool_)
        self.metric: Int32 = np.zeros(first, dtype=np.int32)
        """Number of each row's metric."""
        self.born: Int64 = np.zeros(first, dtype=np.int64)
        """Tells the tenants of a row apart; 0: nobody is here."""

    def add(self, row: int, metric: int, *, exact: bool) -> int:
        """A series moves in; its birth number."""
        if row >= len(self._place):
            more = min(self._capacity, max(2 * len(self._place), row + 1)) - len(self._place)
            self._place, self._exact = np.pad(self._place, (0, more)), np.pad(self._exact, (0, more))
            self.born, self.metric = np.pad(self.born, (0, more)), np.pad(self.metric, (0, more))
        self._births += 1
        self.metric[row], self._exact[row], self.born[row] = metric, exact, self._births
        self._place[row] = self._slot(exact)
        return self._births

    def write(self, rows: Int64, millis: Int64, values: Float64, now: float) -> None:
        """Samples of rows that have moved in, in any order."""
        exact = self._exact[rows]
        for kind, ring in enumerate(self._rings):
            mine = exact == bool(kind)
            ring.write(self._places(rows[mine]), millis[mine], values[mine], now)

    def samples(self, rows: Int64, seconds: float, now: float, *, exact: bool) -> tuple[Float64, Float64]:
        """``times`` (Unix milliseconds) and ``values`` of rows of one kind, ``float64[row, time]``, NaN for gaps."""
        ring = self._rings[exact]
        ring.advance(now)
        return ring.samples(self._places(rows), seconds + MARGIN)

    def extremes(self, rows: Int64, seconds: float, now: float, within: tuple[int, int], *, exact: bool) -> Extremes:
        """Lowest, highest and newest sample of rows of one kind between two Unix milliseconds, both included."""
        ring = self._rings[exact]
        ring.advance(now)
        return ring.extremes(self._places(rows), seconds + MARGIN, within)

    def last(self, rows: Int64, seconds: float, now: float, within: tuple[int, int], *, exact: bool) -> Float64:
        """Only the newest sample's value, NaN where there is none. ``float64[row]``."""
        ring = self._rings[exact]
        ring.advance(now)
        return ring.last(self._places(rows), seconds + MARGIN, within)

    def ended(self, rows: Int64, *, exact: bool) -> Bool:
        """Whose sender has said that they are over. ``bool[row]``."""
        return np.asarray(self._rings[exact].ended[self._places(rows)], dtype=np.bool_)

    def of(self, metric: int) -> Int64:
        """Rows of a metric."""
        return np.flatnonzero((self.metric == metric) & (self.born > 0))

    def old(self, now: float, *, pressing: bool) -> Int64:
        """Rows whose samples have left the window; under pressure also ended ones, and those that never had any."""
        found = np.zeros(len(self._place), dtype=np.bool_)
        for kind, ring in enumerate(self._rings):
            ring.advance(now)
            slots = ring.silent(ring.columns * ring.step)
            if pressing:
                quiet = ring.silent(QUIET)
                never = np.flatnonzero(ring.newest[: self._used[kind]] == NEVER)
                slots = np.concatenate([slots, quiet[ring.ended[quiet]], never])
            if slots.size:
                found |= np.isin(self._place, slots) & (self._exact == bool(kind)) & (self.born > 0)
        return np.flatnonzero(found)

    def drop(self, rows: Int64) -> None:
        """They move out."""
        for kind, ring in enumerate(self._rings):
            slots = self._places(rows[self._exact[rows] == bool(kind)])
            ring.clear(slots)
            self._free[kind].extend(slots.tolist())
        self.born[rows] = 0

    @property
    def size(self) -> int:
        """Bytes of the rings' arrays."""
        return sum(ring.bytes for ring in self._rings)

    @property
    def counts(self) -> tuple[Counts, Counts]:
        """What became of samples, gauges and exact metrics apart."""
        return self._rings[0].counts, self._rings[1].counts

    def _places(self, rows: Int64) -> Int64:
        return self._place[rows].astype(np.int64)

    def _slot(self, exact: bool) -> int:
        if self._free[exact]:
            return self._free[exact].pop()
        ring, slot = self._rings[exact], self._used[exact]
        self._used[exact] += 1
        if slot >= ring.capacity:
            ring.grow(min(self._capacity, 2 * ring.capacity))
        return slot
