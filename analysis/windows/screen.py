"""A first look at every series, each tick: robust features and rules that are easier than the real ones.

What passes here (few) is judged by the rules proper, with Theil–Sen slopes and hinge onsets; what does not pass is not
meant by them. Per series: sort once for the median, once for the MAD, and Theil's incomplete slope (1950), the
median over pairs half a window apart, which needs n/2 pairs where Theil–Sen needs n²/2.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.compiled import kernel
from analysis.windows.block import Float32, Int64
from analysis.windows.robust import MAD_TO_SIGMA

FEATURES = ("count", "level", "spread", "slope", "last", "change", "rising")
"""Columns of the features: samples, median, scaled MAD, slope per second, newest value, newest minus oldest,
share of rising neighbours."""
MAX_SAMPLES = 64


class Reason(IntFlag):
    """Why a series deserves a real look."""

    GROWS = 1
    JUMPED = 2
    NEAR_LIMIT = 4
    SILENT = 8


@dataclass(frozen=True, slots=True)
class Screening:
    """Thresholds. Shares are of the series' limit where it has one, else of its level."""

    horizon: float = 5400.0
    """Seconds within which the slope must reach the limit."""
    min_growth_share: float = 0.03
    min_rising: float = 0.6
    jump_spreads: float = 8.0
    min_jump_share: float = 0.15
    near_limit: float = 0.9
    min_samples: int = 4


def screen(
    cells: Float32, order: Int64, limits: Float32, step: float, rules: Screening
) -> tuple[Float32, NDArray[np.uint8]]:
    """Features and reasons of all series.

    Args:
        cells: ``float32[time, series]`` as a ring keeps them.
        order: at most ``MAX_SAMPLES`` indices of ``cells``' first axis, oldest first.
        limits: ``float32[series]``, NaN or 0 where a series has none.
        step: seconds between cells.
        rules: the thresholds.

    Returns:
        ``float32[series, len(FEATURES)]`` and ``uint8[series]`` of :class:`Reason`.

    Raises:
        ValueError: the window is longer than ``MAX_SAMPLES``.
    """
    if len(order) > MAX_SAMPLES:
        raise ValueError(f"a window of {len(order)} samples, more than {MAX_SAMPLES}")
    found = np.empty((cells.shape[1], len(FEATURES)), dtype=np.float32)
    reasons = np.zeros(cells.shape[1], dtype=np.uint8)
    thresholds = np.array(
        [
            rules.horizon,
            rules.min_growth_share,
            rules.min_rising,
            rules.jump_spreads,
            rules.min_jump_share,
            rules.near_limit,
            rules.min_samples,
        ],
        dtype=np.float32,
    )
    _screen(cells, order, limits, np.float32(step), thresholds, found, reasons)
    return found, reasons


@kernel
def _median(values: Float32, count: int) -> Any:
    """Sorts the first ``count`` values in place: insertion, the fastest for a few dozen."""
    for index in range(1, count):
        one = values[index]
        at = index
        while at > 0 and values[at - 1] > one:
            values[at] = values[at - 1]
            at -= 1
        values[at] = one
    middle = count // 2
    if count % 2 == 1:
        return values[middle]
    return (values[middle - 1] + values[middle]) * np.float32(0.5)


@kernel
def _screen(
    cells: Float32,
    order: Int64,
    limits: Float32,
    step: np.float32,
    rules: Float32,
    found: Float32,
    reasons: NDArray[np.uint8],
) -> None:
    values, times = np.empty(64, dtype=np.float32), np.empty(64, dtype=np.float32)
    work = np.empty(64, dtype=np.float32)
    for row in range(cells.shape[1]):
        count = 0
        for column in range(len(order)):
            value = cells[order[column], row]
            if not np.isnan(value):
                values[count], times[count] = value, step * np.float32(column)
                count += 1
        found[row, 0] = count
        if count == 0:
            found[row, 1:] = np.nan
            reasons[row] = 8
            continue
        _features(values, times, work, count, found[row])
        silent = times[count - 1] < step * np.float32(len(order) - 1) - np.float32(60.0)
        reasons[row] = _reasons(found[row], limits[row], rules) | (8 if silent else 0)


@kernel
def _features(values: Float32, times: Float32, work: Float32, count: int, found: Float32) -> None:
    rising = 0
    for index in range(count):
        work[index] = values[index]
        if index > 0 and values[index] > values[index - 1]:
            rising += 1
    level = _median(work, count)
    for index in range(count):
        work[index] = abs(values[index] - level)
    spread = _median(work, count) * np.float32(MAD_TO_SIGMA)
    half = count // 2
    for index in range(half):
        other = index + count - half
        work[index] = (values[other] - values[index]) / (times[other] - times[index])
    found[1], found[2] = level, spread
    found[3] = _median(work, half) if half > 0 else np.float32(0.0)
    found[4] = values[count - 1]
    found[5] = values[count - 1] - values[0]
    found[6] = np.float32(rising) / np.float32(max(count - 1, 1))


@kernel
def _reasons(found: Float32, limit: np.float32, rules: Float32) -> int:
    if found[0] < rules[6]:
        return 0
    reasons = 0
    has_limit = limit > 0
    scale = limit if has_limit else abs(found[1])
    if (
        has_limit
        and found[3] > 0
        and found[6] >= rules[2]
        and found[5] >= rules[1] * scale
        and limit - found[4] <= rules[0] * found[3]
    ):
        reasons |= 1
    off = abs(found[4] - found[1])
    if off >= rules[4] * scale and off >= rules[3] * found[2]:
        reasons |= 2
    if has_limit and found[4] >= rules[5] * limit:
        reasons |= 4
    return reasons
