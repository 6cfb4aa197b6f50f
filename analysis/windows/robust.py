"""Robust statistics of rows: medians, spreads and slopes that a few wild samples do not move.

All functions take ``x, y: float64[series, time]`` with NaN for gaps and return one number per series, NaN where the
data do not suffice. No loop over series.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.windows.block import Block, Float32, Float64, pack

MAD_TO_SIGMA = 1.4826
"""Scales the median absolute deviation to the standard deviation of a normal distribution."""
INTERVAL_Z = 1.2816
"""Normal quantile of an 80 % two-sided interval."""
THIN_TO = 24
"""Points per series that a slope is computed from: 276 pairs each; more points change the answer by little."""


@dataclass(frozen=True, slots=True)
class Slope:
    """Theil–Sen slopes (per second) with Sen's 80 % interval and Kendall's tau. ``float64[series]`` each."""

    value: Float64
    low: Float64
    high: Float64
    tau: Float64


@dataclass(frozen=True, slots=True)
class Features:
    """One window of each series. ``float64[series]`` each; times in Unix seconds, NaN where there are no samples."""

    count: Float64
    level: Float64
    spread: Float64
    slope: Slope
    first_at: Float64
    last_at: Float64
    last: Float64


def median(y: Float64) -> Float64:
    """Row medians of what is there, NaN for empty rows. Sorts once; numpy's nanmedian is many times slower on rows."""
    return _middle(np.sort(y, axis=1))


def _middle(ordered: Float64) -> Float64:
    """Medians of rows that are sorted, NaN last."""
    if ordered.shape[1] == 0:
        return np.full(ordered.shape[0], np.nan)
    count = np.isfinite(ordered).sum(axis=1)
    middle = np.maximum(np.stack([count - 1, count]) // 2, 0)
    middle = np.minimum(middle, np.maximum(count - 1, 0))
    low, high = (np.take_along_axis(ordered, index[:, None], axis=1)[:, 0] for index in middle)
    return np.asarray(np.where(count > 0, (low + high) / 2, np.nan), dtype=np.float64)


def row_max(y: Float64) -> Float64:
    """Row maxima, NaN for empty rows."""
    filled = np.where(np.isfinite(y), y, -np.inf).max(axis=1, initial=-np.inf)
    return np.where(np.isfinite(filled), filled, np.nan)


def row_min(y: Float32 | Float64) -> Float64:
    """Row minima, NaN for empty rows."""
    lowest = np.fmin.reduce(y, axis=1, initial=np.inf).astype(np.float64)
    return np.where(np.isfinite(lowest), lowest, np.nan)


def newest(y: Float32 | Float64) -> Float64:
    """The last value of each row, NaN for empty rows."""
    if not y.size:
        return np.full(len(y), np.nan)
    last = y.shape[1] - 1 - np.isfinite(y[:, ::-1]).argmax(axis=1)
    return np.asarray(y[np.arange(len(y)), last], dtype=np.float64)


def spread(y: Float64) -> Float64:
    """Median absolute deviation from the row's median, as a standard deviation."""
    return MAD_TO_SIGMA * median(np.abs(y - median(y)[:, None]))


def thin(x: Float64, y: Float64, points: int = THIN_TO) -> tuple[Float64, Float64]:
    """At most ``points`` samples per row, evenly picked by rank, first and last included."""
    valid = np.isfinite(x) & np.isfinite(y)
    order = np.argsort(~valid, axis=1, kind="stable")
    count = valid.sum(axis=1)
    if x.shape[1] > points:
        ranks = np.rint(np.linspace(0.0, 1.0, points)[None, :] * np.maximum(count - 1, 0)[:, None]).astype(np.int64)
        # a short row would pick the same sample twice: later picks are blanked
        repeated = np.concatenate([np.zeros((len(x), 1), dtype=bool), ranks[:, 1:] == ranks[:, :-1]], axis=1)
        order = np.take_along_axis(order, ranks, axis=1)
    else:
        repeated = np.zeros(order.shape, dtype=bool)
    blank = repeated | ~np.take_along_axis(valid, order, axis=1)
    return (
        np.where(blank, np.nan, np.take_along_axis(x, order, axis=1)),
        np.where(blank, np.nan, np.take_along_axis(y, order, axis=1)),
    )


def theil_sen(x: Float64, y: Float64) -> Slope:
    """Median of the slopes between all pairs of samples (Theil 1950, Sen 1968); rows are thinned first."""
    x, y = thin(x, y)
    rise, slopes = _pairwise(x, y)
    known = np.isfinite(slopes)
    pairs = known.sum(axis=1)
    points = (np.isfinite(x) & np.isfinite(y)).sum(axis=1).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        rising, falling = (known & (rise > 0)).sum(axis=1), (known & (rise < 0)).sum(axis=1)
        tau = (rising - falling) / np.where(pairs > 0, pairs, np.nan)
    half_width = INTERVAL_Z * np.sqrt(points * (points - 1) * (2 * points + 5) / 18)
    slopes.sort(axis=1)  # NaN last
    low = _pick(slopes, np.floor((pairs - half_width) / 2), pairs)
    high = _pick(slopes, np.ceil((pairs + half_width) / 2), pairs)
    return Slope(_middle(slopes), low, high, tau)


def median_slope(x: Float64, y: Float64) -> Float64:
    """Only the value of :func:`theil_sen`."""
    _, slopes = _pairwise(*thin(x, y))
    slopes.sort(axis=1)
    return _middle(slopes)


def _pairwise(x: Float64, y: Float64) -> tuple[Float64, Float64]:
    """Rise and slope of all pairs of samples, ``float64[series, pair]``; NaN where there is no pair."""
    first, second = np.triu_indices(x.shape[1], k=1)
    run, rise = x.take(second, axis=1), y.take(second, axis=1)
    run -= x.take(first, axis=1)
    rise -= y.take(first, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return rise, np.where(run > 0, rise / run, np.nan)


def _pick(ordered: Float64, rank: Float64, pairs: Float64) -> Float64:
    if ordered.shape[1] == 0:
        return np.full(ordered.shape[0], np.nan)
    index = np.clip(rank, 0, np.maximum(pairs - 1, 0)).astype(np.int64)
    return np.asarray(np.take_along_axis(ordered, index[:, None], axis=1)[:, 0], dtype=np.float64)


def features(block: Block, seconds: float | None = None) -> Features:
    """Level, spread and slope of the last ``seconds`` of a block (1 m, 5 m, 15 m), or of all of it."""
    window = block if seconds is None else block.tail(seconds)
    x, y, count = pack(window)
    last_index = np.maximum(count - 1, 0)[:, None]
    some = count > 0
    if y.shape[1] == 0 or y.shape[0] == 0:
        none = np.full(len(block.labels), np.nan)
        return Features(count.astype(np.float64), none, none, Slope(none, none, none, none), none, none, none)
    return Features(
        count=count.astype(np.float64),
        level=median(y),
        spread=spread(y),
        slope=theil_sen(x, y),
        first_at=np.where(some, x[:, 0] + block.start, np.nan),
        last_at=np.where(some, np.take_along_axis(x, last_index, axis=1)[:, 0] + block.start, np.nan),
        last=np.where(some, np.take_along_axis(y, last_index, axis=1)[:, 0], np.nan),
    )
