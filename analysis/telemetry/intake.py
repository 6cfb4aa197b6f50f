"""From remote_write requests to the few series that deserve a real look: decoder, ring and screen as one."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from analysis.telemetry.remote_write import Decoder
from analysis.windows.block import Block, Float32, Int64
from analysis.windows.ring import Ring
from analysis.windows.screen import Reason, Screening, screen

NAME = "__name__"
LIMITED_BY = {
    "container_memory_working_set_bytes": "container_spec_memory_limit_bytes",
    "kubelet_volume_stats_used_bytes": "kubelet_volume_stats_capacity_bytes",
}
"""Which metric is the limit of which; the other labels must agree."""

_PAIRED = tuple(name.encode() for pair in LIMITED_BY.items() for name in pair)


@dataclass(frozen=True, slots=True)
class Standouts:
    """Series that stand out at one tick, in parallel."""

    rows: Int64
    reasons: NDArray[np.uint8]
    features: Float32
    """``float32[series, feature]``, columns as ``screen.FEATURES``."""


@dataclass(slots=True)
class Intake:
    """All series of one shard, in bounded memory."""

    decoder: Decoder
    ring: Ring
    rules: Screening = field(default_factory=Screening)
    window: float = 300.0
    refused: int = 0
    """Samples of series for which there was no room."""
    _pairs: dict[tuple[str, ...], list[int]] = field(default_factory=dict)
    _joined: Int64 | None = None
    """``[pair, 2]``: rows of usage and limit; None when series have come or gone since."""

    @classmethod
    def of(cls, capacity: int, seconds: float = 300.0, step: float = 15.0) -> Intake:
        """For so many series, a window and a scrape interval."""
        return cls(Decoder(capacity), Ring(capacity, max(1, round(seconds / step)), step), window=seconds)

    def accept(self, body: bytes, now: float) -> int:
        """Take one request in; the number of samples in it.

        Raises:
            Malformed: nothing of it was taken.
        """
        written = self.decoder.decode(body)
        self.refused += written.refused
        for row in written.new.tolist():
            self._pair(row)
        self.ring.write(written.rows, written.millis, written.values, now)
        return len(written.rows) + written.refused

    def tick(self, now: float) -> Standouts:
        """Look at every series once."""
        self.ring.advance(now)
        features, reasons = screen(
            self.ring.cells, self.ring.order(self.window), self._limits(), self.ring.step, self.rules
        )
        known = (self.ring.newest >= 0) & ~self.ring.ended
        reasons = np.where(known, reasons, 0).astype(np.uint8)
        rows = np.flatnonzero(reasons & ~np.uint8(Reason.SILENT))
        return Standouts(rows, reasons[rows], features[rows])

    def block(self, rows: Int64) -> Block:
        """Series with their labels, for the rules proper."""
        return self.ring.block(tuple(self.decoder.labels(row) for row in rows.tolist()), rows, self.window)

    def evict(self, silent: float) -> int:
        """Forget series without a sample for ``silent`` seconds; how many."""
        rows = self.ring.silent(silent)
        if rows.size:
            gone = set(rows.tolist())
            self.decoder.forget(rows)
            self.ring.clear(rows)
            self._joined = None
            self._pairs = {
                key: kept
                for key, pair in self._pairs.items()
                if (kept := [-1 if row in gone else row for row in pair]) != [-1, -1]
            }
        return int(rows.size)

    def _pair(self, row: int) -> None:
        if not any(name in self.decoder.raw(row) for name in _PAIRED):
            return  # reading labels costs more than looking for a name
        labels = self.decoder.labels(row)
        name = labels.pop(NAME, "")
        for used, limit in LIMITED_BY.items():
            if name in {used, limit}:
                rest = tuple(f"{key}={value}" for key, value in sorted(labels.items()))
                self._pairs.setdefault((used, *rest), [-1, -1])[name == limit] = row
                self._joined = None

    def _limits(self) -> Float32:
        limits = np.full(self.ring.capacity, np.nan, dtype=np.float32)
        if self._joined is None:
            whole = [pair for pair in self._pairs.values() if min(pair) >= 0]
            self._joined = np.array(whole, dtype=np.int64).reshape(-1, 2)
        pairs = self._joined
        latest = np.full(len(pairs), np.nan, dtype=np.float32)
        for column in self.ring.order(self.window):  # oldest first: the newest that is there stays
            now = self.ring.cells[column, pairs[:, 1]]
            latest = np.where(np.isnan(now), latest, now)
        limits[pairs[:, 0]] = latest
        return limits
