"""Rates of counters as Prometheus computes them, vectorised over series, so that both ways of reading agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.windows.block import Float64, Int64, Labels

_FAR = 1.1
"""Mean distances of samples beyond which a series is taken to begin or end within the window."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Per-second rates on common steps. ``values: float64[series, step]``, NaN where there is no rate."""

    labels: tuple[Labels, ...]
    times: Float64
    values: Float64


def rate(times: Float64, values: Float64, at: Float64, window: float) -> Float64:
    """PromQL's ``rate``, with its allowance for resets and its extrapolation to the window's edges.

    Args:
        times: Unix milliseconds ``[series, time]``, rising along a row, NaN for gaps.
        values: counters, the same shape.
        at: Unix milliseconds ``[step]`` at which the rate is wanted; each looks at ``(at − window, at]``.
        window: seconds.

    Returns:
        ``float64[series, step]`` per second; NaN below two samples.
    """
    found = np.full((len(values), len(at)), np.nan)
    if values.size == 0:
        return found
    grown = _without_resets(values)
    row = np.arange(len(values))
    last_column = values.shape[1] - 1
    for step, end in enumerate(at.tolist()):
        with np.errstate(invalid="ignore"):
            inside = (times > end - window * 1000) & (times <= end)
        count = inside.sum(axis=1)
        first, last = inside.argmax(axis=1), last_column - inside[:, ::-1].argmax(axis=1)
        begin, stop = times[row, first], times[row, last]
        increase = grown[row, last] - grown[row, first]
        with np.errstate(invalid="ignore", divide="ignore"):
            factor = _extrapolation(begin, stop, count, values[row, first], increase, end, window)
            found[:, step] = np.where(count >= 2, increase * factor / window, np.nan)
    return found


def _extrapolation(
    begin: Float64, stop: Float64, count: Int64, first: Float64, increase: Float64, end: float, window: float
) -> Float64:
    """By how much a window's increase is larger than what its samples span (promql/functions.go, extrapolatedRate)."""
    sampled = (stop - begin) / 1000
    mean = sampled / (count - 1)
    to_start = (begin - (end - window * 1000)) / 1000
    to_end = (end - stop) / 1000
    to_start = np.where(to_start >= mean * _FAR, mean / 2, to_start)
    to_zero = np.where((increase > 0) & (first >= 0), sampled * (first / increase), to_start)
    to_end = np.where(to_end >= mean * _FAR, mean / 2, to_end)
    return np.asarray((sampled + np.minimum(to_start, to_zero) + to_end) / sampled, dtype=np.float64)


def _without_resets(values: Float64) -> Float64:
    """Counters that never fall: at each fall, what was reached before is added to all that follows."""
    known = np.isfinite(values)
    place = np.where(known, np.arange(values.shape[1])[None, :], -1)
    newest = np.maximum.accumulate(place, axis=1)
    before = np.concatenate([np.full((len(values), 1), -1, dtype=newest.dtype), newest[:, :-1]], axis=1)
    previous = np.take_along_axis(values, np.maximum(before, 0), axis=1)
    with np.errstate(invalid="ignore"):
        fell = known & (before >= 0) & (values < previous)
    return np.asarray(values + np.cumsum(np.where(fell, previous, 0.0), axis=1), dtype=np.float64)


def summed(groups: Int64, count: int, values: Float64) -> Float64:
    """Sum of rows by group, ``float64[group, step]``; NaN where no row of the group has a value."""
    total = np.zeros((count, values.shape[1]))
    some = np.zeros((count, values.shape[1]), dtype=np.bool_)
    np.add.at(total, groups, np.nan_to_num(values))
    np.logical_or.at(some, groups, np.isfinite(values))
    return np.asarray(np.where(some, total, np.nan), dtype=np.float64)
