"""Samples as read, and the same samples on a time grid.

A :class:`Block` keeps the true time of each sample beside its value: agents sample on their own clock (cAdvisor every
5 to 15 s, whatever the scrape interval), and rounding that to a grid would falsify slopes over a minute.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = dict[str, str]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


BIRTH_GAP_SECONDS = 20.0
"""A series whose first sample comes later than this into a window began within it: agents sample every 5 to 15 s."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Raw samples of many series, flat. ``series``, ``times`` (Unix seconds) and ``values`` run in parallel."""

    labels: tuple[Labels, ...]
    series: Int64
    times: Float64
    values: Float64

    @property
    def newest(self) -> float | None:
        """Unix time of the newest sample of all series."""
        return float(self.times.max()) if self.times.size else None


@dataclass(frozen=True, slots=True)
class Block:
    """Samples on a grid of ``step`` seconds from ``start`` (Unix seconds); a gap is NaN, never a made-up value.

    ``values: float32[series, time]``; ``offsets: float32[series, time]`` are the samples' true times, seconds since
    ``start``. Both are NaN in the same places, and offsets rise along a row.
    """

    labels: tuple[Labels, ...]
    start: float
    step: float
    offsets: Float32
    values: Float32

    @property
    def end(self) -> float:
        """Unix seconds of the end of the grid."""
        return self.start + self.step * float(self.values.shape[1])

    def take(self, rows: Int64 | Bool) -> Block:
        """The block of some series only."""
        index = np.arange(len(self.labels))[rows]
        labels = tuple(self.labels[row] for row in index)
        return Block(labels, self.start, self.step, self.offsets[index], self.values[index])

    def tail(self, seconds: float) -> Block:
        """The last ``seconds`` as a block of their own."""
        columns = min(max(1, round(seconds / self.step)), self.values.shape[1])
        cut = self.values.shape[1] - columns
        shift = np.float32(cut * self.step)
        return Block(
            self.labels, self.start + float(shift), self.step, self.offsets[:, cut:] - shift, self.values[:, cut:]
        )

    def between(self, start: float, end: float) -> Block:
        """The same grid with all samples outside of ``[start, end)`` (Unix seconds) blanked."""
        inside = (self.offsets >= start - self.start) & (self.offsets < end - self.start)
        nothing = np.float32(np.nan)
        return Block(
            self.labels,
            self.start,
            self.step,
            np.where(inside, self.offsets, nothing),
            np.where(inside, self.values, nothing),
        )


def regroup(samples: Samples, names: Iterable[str]) -> Samples:
    """Join series that agree in ``names``: a container's instances become one series, in order of time."""
    wanted = tuple(names)
    keys = [tuple(labels.get(name, "") for name in wanted) for labels in samples.labels]
    unique = sorted(set(keys))
    position = {key: index for index, key in enumerate(unique)}
    mapping = np.array([position[key] for key in keys], dtype=np.int64)
    series = mapping[samples.series] if samples.series.size else samples.series
    order = np.lexsort((samples.times, series))
    labels = tuple(dict(zip(wanted, key, strict=True)) for key in unique)
    return Samples(labels, series[order], samples.times[order], samples.values[order])


def grid(samples: Samples, end: float, seconds: float, step: float) -> Block:
    """Place samples of the ``seconds`` before ``end`` on a grid; of several in one cell the newest is kept.

    Args:
        samples: in order of time within each series.
        end: Unix seconds; the grid's right edge, samples at or after it are left out.
        seconds: length of the window.
        step: width of a cell in seconds.
    """
    count = max(1, round(seconds / step))
    start = end - count * step
    shape = (len(samples.labels), count)
    offsets = np.full(shape, np.nan, dtype=np.float32)
    values = np.full(shape, np.nan, dtype=np.float32)
    column = np.floor((samples.times - start) / step).astype(np.int64)
    keep = (column >= 0) & (column < count) & np.isfinite(samples.values)
    where = (samples.series[keep], column[keep])
    offsets[where] = (samples.times[keep] - start).astype(np.float32)
    values[where] = samples.values[keep].astype(np.float32)
    return Block(samples.labels, start, step, offsets, values)


def pack(block: Block) -> tuple[Float64, Float64, Int64]:
    """Rows with their gaps removed: ``x, y: float64[series, time]`` left-aligned, NaN-padded, and ``n`` per row.

    As wide as the fullest row: a grid is finer than what agents sample, and most of it is gaps.
    """
    valid = np.isfinite(block.values)
    count = valid.sum(axis=1).astype(np.int64)
    left = np.arange(count.max(initial=0))[None, :] < count[:, None]
    x, y = np.full((2, *left.shape), np.nan)
    x[left], y[left] = block.offsets[valid], block.values[valid]
    return x, y, count
