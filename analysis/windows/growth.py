"""Telling sustained growth from its look-alikes: where it began, how straight it is, and where it ends.

The model is a hinge: a flat baseline, then a line. The onset is the hinge with the least squared error, found for all
series at once from prefix sums; the line's slope is then estimated robustly (Theil–Sen) from the samples after it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from analysis.windows.block import BIRTH_GAP_SECONDS, Block, Bool, Float64, Int64, pack
from analysis.windows.robust import Slope, median, median_slope, row_max, spread, theil_sen

MIN_LINE = 4
"""Samples that a line needs at least."""
REPEAT_SECONDS = 16.0
"""Longest time between two readings of cAdvisor (15 s, dynamic housekeeping), and a little."""
SLAB = 512
"""Series that are measured at once: each takes 16 kB while it is, and in a storm all of a cluster may grow."""
RESET_RATIO = 0.6
"""A sample below this share of the one before it means a new process: what is older is another life."""


@dataclass(frozen=True, slots=True)
class Growth:
    """What the newest life of each series looks like. All ``float64[series]``, NaN where the data do not suffice.

    Times are Unix seconds, values in the series' own unit, slopes per second.
    """

    samples: Float64
    """Samples since the onset."""
    onset: Float64
    span: Float64
    """Seconds from the onset to the newest sample."""
    last_at: Float64
    last: Float64
    base: Float64
    """Level before the onset; the first sample's value when there is no baseline."""
    growth: Float64
    """``last - base``."""
    slope: Slope
    early: Float64
    """Slope of the first half since the onset."""
    late: Float64
    """Slope of the second half."""
    biggest_step: Float64
    """Largest rise between neighbouring samples since the onset: near ``growth`` for a jump, far below for a leak."""
    baseline_span: Float64
    """Seconds of data before the onset in this life."""
    baseline_spread: Float64
    earlier_peak: Float64
    """Highest value before the onset, earlier lives included; NaN when there is none."""
    own_peak: Float64
    """The same within this life only."""


def measure(block: Block, warm_up: float, started: Float64 | None = None) -> Growth:
    """Find onset, slope and shape of the growth that is on at the end of each series.

    Args:
        block: one window, typically 15 minutes.
        warm_up: seconds after a process' start that are not looked at.
        started: when each process started (Unix seconds, NaN unknown). Without it a process counts as new when its
            first sample comes late in the window, or when the value falls to another life's.
    """
    series = len(block.labels)
    starts = np.full(series, np.nan) if started is None else started
    slabs = np.split(np.arange(series), range(SLAB, series, SLAB))
    return _joined([_measure(block.take(rows), warm_up, starts[rows]) for rows in slabs])


def _joined(parts: list[Growth]) -> Growth:
    """What was measured of some series after the other, as of all at once."""
    slope = Slope(*(np.concatenate([getattr(one.slope, field.name) for one in parts]) for field in fields(Slope)))
    columns = [field.name for field in fields(Growth) if field.name != "slope"]
    return Growth(slope=slope, **{name: np.concatenate([getattr(one, name) for one in parts]) for name in columns})


def _measure(block: Block, warm_up: float, started: Float64) -> Growth:
    x, y, count = pack(without_repeats(block))
    width = int(count.max(initial=0))  # a grid is finer than what agents sample: most of it is gaps
    x, y = x[:, :width], y[:, :width]
    if x.shape[0] == 0 or x.shape[1] < MIN_LINE:
        return _nothing(x.shape[0])
    born = _birth(x, y, count, started - block.start)
    usable = np.isfinite(x) & (x >= born[:, None])
    old = np.isfinite(x) & ~usable
    after_warm_up = usable & (x >= (born + np.where(born > 0, warm_up, 0.0))[:, None])
    hinge = _hinge(np.where(after_warm_up, x, np.nan), np.where(after_warm_up, y, np.nan))
    return _describe(block, x, y, after_warm_up, old, hinge)


def without_repeats(block: Block, seconds: float = REPEAT_SECONDS) -> Block:
    """The block without samples that only repeat a reading; ``seconds`` is the longest time between two readings.

    Agents that are scraped more often than they measure show one reading several times, and a line becomes a staircase.
    A value that stays the same for longer than agents take between readings has been measured again, and is kept.
    """
    x, y, _ = pack(block)
    if x.shape[1] < 2:
        return block
    columns = np.arange(x.shape[1])[None, :]
    changed = np.concatenate([np.ones((len(x), 1), dtype=bool), y[:, 1:] != y[:, :-1]], axis=1)
    run_start = np.maximum.accumulate(np.where(changed, columns, 0), axis=1)
    with np.errstate(invalid="ignore"):
        repeated = ~changed & (x - np.take_along_axis(x, run_start, axis=1) <= seconds)
    nothing = np.nan
    return Block(
        block.labels,
        block.start,
        block.step,
        np.where(repeated, nothing, x).astype(np.float32),
        np.where(repeated, nothing, y).astype(np.float32),
    )


def _birth(x: Float64, y: Float64, count: Int64, started: Float64) -> Float64:
    """Offset at which the newest life of each series began; 0 when it is older than the window."""
    seen_late = np.where(x[:, 0] > BIRTH_GAP_SECONDS, x[:, 0], 0.0)
    told = np.where(np.isfinite(started), np.maximum(started, 0.0), seen_late)
    with np.errstate(invalid="ignore"):
        fell = y[:, 1:] < RESET_RATIO * y[:, :-1]
    positions = np.where(fell, np.arange(1, y.shape[1])[None, :], 0)
    last_reset = positions.max(axis=1, initial=0)
    fallen = np.where(last_reset > 0, np.take_along_axis(x, last_reset[:, None], axis=1)[:, 0], 0.0)
    born = np.maximum(told, fallen)
    return np.where(count > 0, born, 0.0)


@dataclass(frozen=True, slots=True)
class _Hinge:
    index: Int64
    onset: Float64


def _hinge(x: Float64, y: Float64) -> _Hinge:
    """First sample of the line, and the offset where line and baseline meet, per series."""
    valid = np.isfinite(x)
    scale = np.maximum(spread(y), 1e-9)[:, None]
    shifted = (y - median(y)[:, None]) / np.where(np.isfinite(scale), scale, 1.0)
    w = valid.astype(np.float64)
    xs, ys = np.where(valid, x / 60.0, 0.0), np.where(valid, shifted, 0.0)
    sums = [_prefix(part) for part in (w, xs, ys, xs * xs, xs * ys, ys * ys)]
    before = [part[:, :-1] for part in sums]
    after = [part[:, -1:] - part[:, :-1] for part in sums]
    with np.errstate(invalid="ignore", divide="ignore"):
        flat = before[5] - np.where(before[0] > 0, before[2] ** 2 / before[0], 0.0)
        sxx = after[3] - after[1] ** 2 / after[0]
        sxy = after[4] - after[1] * after[2] / after[0]
        line = (after[5] - after[2] ** 2 / after[0]) - np.where(sxx > 0, sxy**2 / sxx, 0.0)
        error = np.where((after[0] >= MIN_LINE) & valid, flat + np.maximum(line, 0.0), np.inf)
        index = error.argmin(axis=1)
        at = index[:, None]
        gradient = np.take_along_axis(np.where(sxx > 0, sxy / sxx, 0.0), at, axis=1)[:, 0]
        mean_x = np.take_along_axis(after[1] / after[0], at, axis=1)[:, 0]
        mean_y = np.take_along_axis(after[2] / after[0], at, axis=1)[:, 0]
        base = np.take_along_axis(np.where(before[0] > 0, before[2] / before[0], np.nan), at, axis=1)[:, 0]
        meeting = (mean_x + (base - mean_y) / gradient) * 60.0
    first = np.take_along_axis(x, at, axis=1)[:, 0]
    earlier = np.where(np.arange(x.shape[1])[None, :] < at, x, np.nan)
    previous = row_max(earlier)
    clipped = np.where(np.isfinite(previous), np.clip(meeting, previous, first), first)
    onset = np.where(np.isfinite(clipped), clipped, first)
    fitted = np.isfinite(np.take_along_axis(error, at, axis=1)[:, 0])
    return _Hinge(index, np.where(fitted, onset, np.nan))


def _prefix(part: Float64) -> Float64:
    """Sums of the first 0, 1, … samples: ``[series, time + 1]``."""
    return np.concatenate([np.zeros((part.shape[0], 1)), np.cumsum(part, axis=1)], axis=1)


def _describe(block: Block, x: Float64, y: Float64, usable: Bool, old: Bool, hinge: _Hinge) -> Growth:
    columns = np.arange(x.shape[1])[None, :]
    known = np.isfinite(hinge.onset)[:, None]
    grows = usable & (columns >= hinge.index[:, None]) & known
    rests = usable & (columns < hinge.index[:, None]) & known
    line_x, line_y = np.where(grows, x, np.nan), np.where(grows, y, np.nan)
    rest_x, rest_y = np.where(rests, x, np.nan), np.where(rests, y, np.nan)
    last_x, last = row_max(line_x), _last(line_y, grows)
    base = np.where(rests.any(axis=1), median(rest_y), _first(line_y, grows))
    middle = (hinge.onset + last_x)[:, None] / 2
    with np.errstate(invalid="ignore"):
        early = median_slope(np.where(line_x <= middle, x, np.nan), line_y)
        late = median_slope(np.where(line_x >= middle, x, np.nan), line_y)
        steps = row_max(np.diff(line_y, axis=1))
    return Growth(
        samples=grows.sum(axis=1).astype(np.float64),
        onset=hinge.onset + block.start,
        span=last_x - hinge.onset,
        last_at=last_x + block.start,
        last=last,
        base=base,
        growth=last - base,
        slope=theil_sen(line_x, line_y),
        early=early,
        late=late,
        biggest_step=steps,
        baseline_span=np.where(rests.any(axis=1), hinge.onset + row_max(-rest_x), 0.0),
        baseline_spread=spread(rest_y),
        earlier_peak=row_max(np.where(rests | old, y, np.nan)),
        own_peak=row_max(rest_y),
    )


def _first(y: Float64, mask: Bool) -> Float64:
    index = mask.argmax(axis=1)[:, None]
    return np.where(mask.any(axis=1), np.take_along_axis(y, index, axis=1)[:, 0], np.nan)


def _last(y: Float64, mask: Bool) -> Float64:
    index = (mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1))[:, None]
    return np.where(mask.any(axis=1), np.take_along_axis(y, index, axis=1)[:, 0], np.nan)


def _nothing(rows: int) -> Growth:
    none = np.full(rows, np.nan)
    zero = np.zeros(rows)
    slope = Slope(none, none, none, none)
    return Growth(zero, none, none, none, none, none, none, slope, none, none, none, zero, none, none, none)


def asymptote(found: Growth) -> Float64:
    """Level at which the growth would end if it keeps slowing down as it did; infinite when it does not slow down.

    With slopes ``s1`` and ``s2`` in two halves of length ``h`` and ``r = s2 / s1 < 1``, growth in the following spans
    of length ``h`` is a geometric series: ``s2 * h * r / (1 - r)`` is still to come. A cache that fills up ends below
    the limit; a leak does not slow down.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.clip(np.where(found.early > 0, found.late / found.early, 1.0), 0.0, 1.0)
        remaining = np.maximum(found.late, 0.0) * found.span / 2 * ratio / (1.0 - ratio)
        return np.where(ratio >= STRAIGHT_RATIO, np.inf, found.last + remaining)


STRAIGHT_RATIO = 0.9
"""Second-half slope over first-half slope from which growth counts as straight: sampling noise is about ±10 %."""


@dataclass(frozen=True, slots=True)
class TimeTo:
    """Seconds until a limit is reached, with an interval. ``float64[series]`` each; infinite when it never is."""

    expected: Float64
    earliest: Float64
    latest: Float64


def time_to(limit: Float64, last: Float64, slope: Slope) -> TimeTo:
    """When a straight line through ``last`` crosses ``limit``, with the slope's interval."""

    def seconds(rate: Float64) -> Float64:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(rate > 0, np.maximum(limit - last, 0.0) / rate, np.inf)

    return TimeTo(expected=seconds(slope.value), earliest=seconds(slope.high), latest=seconds(slope.low))
