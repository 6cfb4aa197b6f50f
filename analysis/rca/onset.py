"""When did it begin? Change-points by cumulative sums, over one series each or pooled over all of them."""

from __future__ import annotations

from typing import Final

import numpy as np

from analysis.windows.block import Float64
from analysis.windows.robust import median

CLIP: Final = 5.0
"""Robust standard deviations at which a sample counts no further, so that one spike is not a change."""


def cusum(values: Float64) -> Float64:
    """How much a split at each time explains, per series.

    The standardised CUSUM statistic of robustly scaled, clipped values (Page, Biometrika 1954; the mean-shift contrast
    as in Fryzlewicz, Annals of Statistics 2014), so unit and scale do not matter.

    Args:
        values: ``float64[series, time]``; gaps are NaN and count as ordinary.

    Returns:
        ``float64[series, time]``: entry ``t`` is for a change between ``t - 1`` and ``t``; entry 0 is 0.
    """
    scaled = _scaled(values)
    count = scaled.shape[1]
    result = np.zeros_like(scaled)
    if count < 2:
        return result
    sums = np.cumsum(scaled, axis=1)
    at = np.arange(1, count, dtype=np.float64)
    gap = np.abs(sums[:, :-1] - sums[:, -1:] * at / count) / np.sqrt(at * (count - at) / count)
    spread = scaled.std(axis=1, keepdims=True)
    result[:, 1:] = gap / np.where(spread > 0, spread, 1.0)
    return result


def change_points(values: Float64, margin: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Index of the first sample after each series' largest change, at least ``margin`` from either end."""
    inner = cusum(values)[:, margin : values.shape[1] - margin + 1]
    points: np.ndarray[tuple[int], np.dtype[np.intp]] = np.argmax(inner, axis=1) + margin
    return points


def pooled_change_point(values: Float64, margin: int) -> int:
    """Index of the first sample after the change that most series share, at least ``margin`` from either end."""
    inner = np.square(cusum(values)).mean(axis=0)[margin : values.shape[1] - margin + 1]
    return int(np.argmax(inner)) + margin


def _scaled(values: Float64) -> Float64:
    """Deviations from the median in robust standard deviations, clipped; NaN and constant series are 0."""
    distance = values - median(values)[:, None]
    spread = np.fmax(1.4826 * median(np.abs(distance)), 0.1 * np.sqrt(_mean_square(distance)))[:, None]
    spread = np.where(np.isfinite(spread) & (spread > 0), spread, 1.0)
    clipped: Float64 = np.nan_to_num(np.clip(distance / spread, -CLIP, CLIP), nan=0.0)
    return clipped


def _mean_square(distance: Float64) -> Float64:
    known = np.isfinite(distance)
    total = np.where(known, np.square(distance), 0.0).sum(axis=1)
    mean: Float64 = total / np.maximum(known.sum(axis=1), 1)
    return mean
