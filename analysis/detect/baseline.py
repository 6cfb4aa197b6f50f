"""What is normal for each series, learned as it goes: few numbers per series, no stored history, no training run.

Ten features of each sample (level, spread, change, and their distance from the hour of day's profile, each on the
side where it can be unusual) are compared with the feature's own record: how far is it from its usual value, in units
of the distance of the largest that is remembered? Records fade, and one sample lifts them only a little, so an
incident does not become the norm at once. The score is the mean of the two largest ratios: above ``THRESHOLD`` two
features break their records together. This is a conformal novelty test (Vovk et al. 2005) with extremes in place of
ranks, which needs no distribution and the same threshold for a CPU share and for bytes.

A series with fewer than ``LEARNING`` samples scores NaN: it is learning, and nothing is guessed about it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.compiled import kernel
from analysis.windows.block import Bool, Float32, Float64

FEATURES = (
    "higher than before",
    "lower than before",
    "larger jump than before",
    "hour's mean higher than before",
    "hour's mean lower than before",
    "more restless than before",
    "quieter than before",
    "far from this time of day",
    "for a while far from this time of day",
    "far from the last hour",
)
"""What each feature says when it breaks its record, in the order of the state's columns."""
HOURS = 48
"""Slots of the profile: hours of weekdays, then hours of weekends."""
LEARNING = 150
"""Samples before which nothing is said."""
THRESHOLD = 1.3
"""Score from which a sample is unusual. Chosen once on NAB's development part; the plateau is 1.2 to 1.35."""
SPIKE = 2.5
"""Score from which one sample is called a spike by itself. Between the two it is unusual, no more."""
TOP_RATIO = 5.0
"""Ratios count up to this, so that one feature alone cannot decide by being absurd."""
QUIET_SECONDS = 43_200.0
"""After an alarm the same series is silent for so long: one unusual state is said once."""

_FAST = 1.0 / 12.0
"""Weight of the newest sample in the hour's mean and spread (twelve samples of five minutes)."""
_PROFILE = 0.15
"""Weight of a sample in its hour of day's profile."""
FADE = 0.9998
"""What is kept of a record per sample: it halves in 3,500 samples, twelve days of five minutes."""
LIFT = 0.1
"""How much of itself a record may grow by one sample."""
_GAP = 3
"""Missing samples in a row after which the previous value is forgotten."""
_APART = FEATURES.index("far from this time of day")
_FLOOR = 1e-3
"""Part of a series' usual deviation below which differences are rounding, not news."""


@dataclass(slots=True)
class Baseline:
    """What is remembered: about 130 numbers per series. Arrays are ``[series, …]``, changed in place."""

    count: NDArray[np.int64]
    usual: Float64
    """``[series, feature]``: each feature's usual value."""
    record: Float64
    """``[series, feature]``: the largest value that is remembered."""
    moving: Float64
    """``[series, 6]``: hour's mean, hour's variance, previous value, mean distance from the profile,
    usual deviation, gaps in a row."""
    profile: Float64
    """``[series, HOURS]``: mean by hour of day, weekdays and weekends apart."""
    seen: NDArray[np.int64]
    """``[series, HOURS]``: samples by slot."""
    alarmed: Float64
    """Unix seconds of the last alarm."""

    @classmethod
    def new(cls, series: int) -> Baseline:
        """Of series of which nothing is known."""
        width = len(FEATURES)
        return cls(
            np.zeros(series, dtype=np.int64),
            np.zeros((series, width)),
            np.zeros((series, width)),
            np.zeros((series, 6)),
            np.zeros((series, HOURS)),
            np.zeros((series, HOURS), dtype=np.int64),
            np.full(series, -np.inf),
        )

    @property
    def learning(self) -> Bool:
        """Series that are too new to be judged. ``bool[series]``."""
        return self.count < LEARNING


@dataclass(frozen=True, slots=True)
class Novelty:
    """``float32[series, time]`` scores (NaN: gap or learning) and, beside each, the feature that stands out most."""

    score: Float32
    feature: NDArray[np.int8]
    """Index into ``FEATURES``, −1 where there is no score."""


def observe(
    state: Baseline, times: Float64, values: Float32 | Float64, fade: float = FADE, lift: float = LIFT
) -> Novelty:
    """Score the next samples of each series, oldest first, and learn from them.

    Args:
        state: changed in place.
        times: Unix seconds, ``[time]``; the hour of day is UTC's.
        values: ``[series, time]``, NaN for gaps, which neither score nor teach.
        fade, lift: how a record is kept and grows; others than the frozen ones are for choosing them.
    """
    score = np.full(values.shape, np.nan, dtype=np.float32)
    feature = np.full(values.shape, -1, dtype=np.int8)
    slots = hour_slots(times)
    _observe(
        state.count,
        state.usual,
        state.record,
        state.moving,
        state.profile,
        state.seen,
        slots,
        np.ascontiguousarray(values, dtype=np.float64),
        fade,
        lift,
        score,
        feature,
    )
    return Novelty(score, feature)


def hour_slots(times: Float64) -> NDArray[np.int64]:
    of_day = (times % 86_400) // 3_600
    weekend = ((times // 86_400 + 3) % 7) >= 5  # 1970-01-01 was a Thursday
    return np.asarray(of_day + 24 * weekend, dtype=np.int64)


def raise_alarms(state: Baseline, times: Float64, score: Float32, threshold: float = THRESHOLD) -> Bool:
    """Scores above ``threshold``, each series at most once per ``QUIET_SECONDS``. ``bool[series, time]``."""
    raised = np.zeros(score.shape, dtype=np.bool_)
    with np.errstate(invalid="ignore"):
        candidates = score > threshold
    for column in np.flatnonzero(candidates.any(axis=0)):
        now = candidates[:, column] & (times[column] - state.alarmed >= QUIET_SECONDS)
        state.alarmed[now] = times[column]
        raised[:, column] = now
    return raised


def alarms(times: Float64, values: Float32 | Float64, threshold: float = THRESHOLD) -> Bool:
    """Alarms of series from their first sample on, each decided with what was known at its time."""
    state = Baseline.new(len(values))
    return raise_alarms(state, times, observe(state, times, values).score, threshold)


@kernel
def _observe(
    count: NDArray[np.int64],
    usual: Float64,
    record: Float64,
    moving: Float64,
    profile: Float64,
    seen: NDArray[np.int64],
    slots: NDArray[np.int64],
    values: Float64,
    fade: float,
    lift: float,
    score: Float32,
    feature: NDArray[np.int8],
) -> None:
    now = np.zeros(usual.shape[1])
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            value = values[row, column]
            if not np.isfinite(value):
                moving[row, 5] += 1.0
                continue
            reach = record[row, _APART] if count[row] >= LEARNING else np.inf
            _features(count[row], moving[row], profile[row], seen[row], slots[column], value, reach, now)
            floor = _FLOOR * moving[row, 4] + 1e-9 * abs(value) + 1e-12
            best, second, which = -1.0, -1.0, -1
            for index in range(now.shape[0]):
                width = record[row, index] - usual[row, index]
                ratio = min((now[index] - usual[row, index]) / (width + floor), TOP_RATIO)
                if ratio > best:
                    best, second, which = ratio, best, index
                elif ratio > second:
                    second = ratio
                _learn(count[row], usual[row], record[row], index, now[index], floor, fade, lift)
            if count[row] >= LEARNING:
                score[row, column] = (best + second) / 2.0
                feature[row, column] = which
            count[row] += 1


@kernel
def _features(
    count: int,
    moving: Float64,
    profile: Float64,
    seen: NDArray[np.int64],
    slot: int,
    value: float,
    reach: float,
    now: Float64,
) -> None:
    """Fill ``now`` with the features of one sample, and update what they are computed from.

    The profile learns at most ``reach`` at once: an incident is not expected again at the same hour of the next day.
    """
    weight = max(_FAST, 1.0 / (count + 1))
    if count == 0 or moving[5] >= _GAP:  # what was there before a gap is no neighbour
        moving[0] = value
        moving[2] = value
    moving[5] = 0.0
    off = value - moving[0]
    now[0], now[1] = value, -value
    now[2] = abs(value - moving[2])
    moving[0] += weight * off
    now[3], now[4] = moving[0], -moving[0]
    moving[1] += weight * (off * off - moving[1])
    now[5] = np.sqrt(moving[1])
    now[6] = -now[5]
    now[7], now[8] = 0.0, abs(moving[3])
    if seen[slot] >= 2:
        apart = value - profile[slot]
        moving[3] += _FAST * (apart - moving[3])
        now[7], now[8] = abs(apart), abs(moving[3])
        now[2] = min(now[2], now[7])  # a jump to where this hour always is, is no news
    learned = min(max(value, profile[slot] - reach), profile[slot] + reach) if seen[slot] >= 2 else value
    profile[slot] += max(_PROFILE, 1.0 / (seen[slot] + 1)) * (learned - profile[slot])
    seen[slot] += 1
    now[9] = abs(off)
    moving[2] = value
    moving[4] += max(0.002, 1.0 / (count + 1)) * (abs(off) - moving[4])


@kernel
def _learn(
    count: int, usual: Float64, record: Float64, index: int, value: float, floor: float, fade: float, lift: float
) -> None:
    """Move a feature's usual value, and lift or fade its record."""
    if count == 0:
        usual[index] = value
        record[index] = value
        return
    top = record[index]
    capped = value if count < 500 else min(value, top)
    usual[index] += max(0.002, 1.0 / (count + 1)) * (capped - usual[index])
    width = top - usual[index]
    if value > top:
        record[index] = value if count < LEARNING else min(value, top + lift * (width + floor))
    elif width > 0:
        record[index] = usual[index] + width * fade
    else:
        record[index] = value
