"""How unusual series are since an onset: comparable across units, scales and kinds of metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from analysis.windows.block import Bool, Float64


class Kind(StrEnum):
    """What a series measures. More is worse in all of them but traffic, which weighs and does not accuse."""

    RESOURCE = "resource"
    """What the entity itself uses: CPU, memory, disk."""
    LATENCY = "latency"
    """How long calls of the entity take; its callees' time is part of it."""
    ERRORS = "errors"
    """Share of failing calls, 0..1; its callees' failures are part of it."""
    TRAFFIC = "traffic"
    """Calls per time."""


MIN_DEVIATION: Final = 3.0
"""Less is ordinary."""
MIN_RISE: Final = 0.3
"""A latency that rises by less than this share of its median is nobody's incident."""
MIN_ERRORS: Final = 0.005
"""Nor is a smaller rise of the share of failing calls."""
SCALE_SHARE: Final = 0.05
"""A series is never taken to be steadier than this share of its median, …"""
SCALE_ERRORS: Final = 0.002
"""… nor a share of failing calls than this."""
MAX_SCORE: Final = 1e4
"""More than this says nothing more: a series that was always 0 has no ordinary range."""
TAIL: Final = 90.0
"""Percentile whose distance from the median is ordinary. Robust: an earlier incident in the history hides none."""


@dataclass(frozen=True, slots=True)
class Deviations:
    """``float64[series]`` each. ``rise`` is in the series' unit, ``score`` in widths of its ordinary range."""

    rise: Float64
    score: Float64
    usual: Float64
    level: Float64
    """What at least half of the samples since the onset reach."""

    def notable(self, kinds: Sequence[Kind]) -> Bool:
        """``bool[series]``: above the ordinary by enough, and by enough to matter to anyone."""
        latency = np.array([kind is Kind.LATENCY for kind in kinds], dtype=np.bool_)
        errors = np.array([kind is Kind.ERRORS for kind in kinds], dtype=np.bool_)
        least = np.where(latency, MIN_RISE * np.abs(self.usual), np.where(errors, MIN_ERRORS, 0.0))
        notable: Bool = (self.score >= MIN_DEVIATION) & (self.rise >= least)
        return notable


def deviations(history: Float64, before: Float64, after: Float64, kinds: Sequence[Kind]) -> Deviations:
    """Compare samples since an onset with the ones before it.

    A level counts as raised only by what it exceeds both its history and the minutes just before, so that a slow drift
    since the history was taken accuses nobody. Rows without samples get NaN.

    Args:
        history: ``float64[series, h]``, ordinary times.
        before: ``float64[series, b]``, just before the onset; may have no columns.
        after: ``float64[series, a]``, since the onset.
        kinds: of the series.
    """
    low, usual, high, tail = (_percentile(history, share) for share in (25.0, 50.0, 75.0, TAIL))
    level = _upper_median(after)
    recent = _percentile(before, 50.0)
    errors = np.array([kind is Kind.ERRORS for kind in kinds], dtype=np.bool_)
    floor = np.where(errors, SCALE_ERRORS, SCALE_SHARE * np.abs(usual) + 1e-12)
    scale = np.fmax(np.fmax(tail - usual, high - low), floor)
    rise = level - np.fmax(usual, recent)
    score = np.divide(np.minimum(rise, MAX_SCORE * scale), scale)
    return Deviations(rise=rise, score=score, usual=usual, level=level)


def _percentile(values: Float64, share: float) -> Float64:
    """Percentile of the finite samples of each row, linear between samples; NaN for rows without any."""
    ordered, count = _ordered(values)
    place = share / 100 * np.maximum(count - 1, 0)
    below = np.floor(place).astype(np.intp)
    above = np.minimum(below + 1, np.maximum(count - 1, 0))
    rows = np.arange(len(values))
    first, second = ordered[rows, below], ordered[rows, above]
    result: Float64 = np.where(count > 0, first + (place - below) * (second - first), np.nan)
    return result


def _upper_median(values: Float64) -> Float64:
    """The highest level that at least half of the finite samples of each row reach."""
    ordered, count = _ordered(values)
    result: Float64 = np.where(count > 0, ordered[np.arange(len(values)), count // 2], np.nan)
    return result


def _ordered(values: Float64) -> tuple[Float64, np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """Rows in ascending order with a NaN column behind, and the number of their finite samples."""
    finite = np.where(np.isfinite(values), values, np.nan)
    padded = np.concatenate([np.sort(finite, axis=1), np.full((len(values), 1), np.nan)], axis=1)
    return padded, np.isfinite(finite).sum(axis=1)
