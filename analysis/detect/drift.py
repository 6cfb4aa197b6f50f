"""Sustained drift: has a series settled at another level than its own past, season aside?

Works on hourly values. The season is the median by hour of day, weekdays and weekends apart, over the reference part;
what remains is averaged over quarters of a day, and the newest quarters are compared with the spread of the older ones.
A drift is called when all of the newest ``LASTING`` quarters are off to the same side and their median is far: one wild
hour, a holiday's morning or a spike is not a drift. Robust throughout (medians and MAD); vectorised over series.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.windows.block import Bool, Float32, Float64, Int64
from analysis.windows.robust import median, spread

DAY_HOURS = 24
QUARTER = 6
"""Hours that are averaged."""
LASTING = 4
"""Quarters that must agree: a day."""
REFERENCE_DAYS = 7
"""Days of reference below which a series is learning."""
THRESHOLD = 6.0
"""Robust standard deviations of quarter-day means. Chosen on generated series with other seeds than those reported."""
_EACH = 3.0
"""What each single quarter must reach."""
_FLOOR = 0.02
"""Least spread, as a share of the level: drifts below a tenth of the level are nobody's incident."""


@dataclass(frozen=True, slots=True)
class Drift:
    """Arrays ``[series]``; NaN while a series is learning, or when its newest day has gaps."""

    score: Float64
    """Signed robust standard deviations by which the newest day is off."""
    shift: Float64
    """The same in the series' own unit."""
    found: Bool
    lasted: Int64
    """Hours up to the newest in which every quarter was off to that side."""


def drifts(hours: Int64, values: Float32 | Float64, threshold: float = THRESHOLD) -> Drift:
    """Compare the newest day with the reference before it.

    Args:
        hours: hours since the Unix epoch, ``[time]``, without gaps, oldest first.
        values: hourly medians ``[series, time]``, NaN for gaps.
        threshold: robust standard deviations from which a drift is called.
    """
    recent = LASTING * QUARTER
    series, length = values.shape
    nothing = np.full(series, np.nan)
    if length < recent + REFERENCE_DAYS * DAY_HOURS:
        return Drift(nothing, nothing, np.zeros(series, dtype=np.bool_), np.zeros(series, dtype=np.int64))
    length -= length % QUARTER
    y = np.asarray(values[:, -length:], dtype=np.float64)
    at = hours[-length:]
    residual = y - _season(at, y, length - recent)
    quarters = median(residual.reshape(-1, QUARTER)).reshape(series, length // QUARTER)
    before, newest = quarters[:, :-LASTING], quarters[:, -LASTING:]
    level = median(np.abs(y[:, :-recent]))
    width = np.maximum(spread(before), _FLOOR * level) + 1e-12
    shift = median(newest) - median(before)
    with np.errstate(invalid="ignore"):
        score = shift / width
        off = (quarters - median(before)[:, None]) / width[:, None]
        far = off * np.sign(shift)[:, None] >= _EACH
        known = np.isfinite(newest).all(axis=1)
        known &= np.isfinite(before).sum(axis=1) >= REFERENCE_DAYS * DAY_HOURS // QUARTER
        found = known & far[:, -LASTING:].all(axis=1) & (np.abs(score) >= threshold)
    lasted = QUARTER * np.logical_and.accumulate(far[:, ::-1], axis=1).sum(axis=1)
    return Drift(np.where(known, score, np.nan), np.where(known, shift, np.nan), found, lasted)


def _season(hours: Int64, y: Float64, reference: int) -> Float64:
    """Median of the reference part by hour of day, weekdays and weekends apart where both were seen twice."""
    of_day = hours % DAY_HOURS
    weekend = ((hours // DAY_HOURS + 3) % 7) >= 5  # 1970-01-01 was a Thursday
    season = np.full(y.shape, np.nan)
    past = np.arange(len(hours)) < reference
    for hour in range(DAY_HOURS):
        at_hour = of_day == hour
        for kind in (False, True):
            here = at_hour & (weekend == kind)
            known = here & past
            season[:, here] = median(y[:, known if known.sum() >= 2 else at_hour & past])[:, None]
    return season
