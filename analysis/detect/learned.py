"""What is normal for each workload, trained on its history, and what of the newest quarter of an hour is not.

Three questions must be answered yes before anything is said, so that quiet stays quiet:

- *off*: is the series beyond its season (median by hour of day, weekdays and weekends apart, scaled by the level of the
  last day) by ``OFF`` robust deviations, and by its own least share and change, at all of the last ``LASTING`` samples?
- *new*: does it break its own records (``baseline``), or are the workload's metrics together rarer than one in a
  hundred of held-out normal samples (``joint``)?
- *its own*: do less than ``FLEET`` of the workloads deviate to the same side at once? A holiday is nobody's incident.

Samples within known incidents are not learned from. Below ``baseline.LEARNING`` samples a workload is learning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.detect import joint
from analysis.detect.baseline import HOURS, LEARNING, THRESHOLD, Baseline, hour_slots, observe
from analysis.windows.block import Bool, Float64, Int64
from analysis.windows.robust import median, spread

OFF = 4.0
LASTING = 3
"""Samples: a quarter of an hour at five minutes."""
RARE = 2.0
"""Surprise of the joint model: one in a hundred."""
FLEET = 0.3
FLEET_LEAST = 5
"""Workloads below which a fleet is no measure."""
HOLD_OUT = 0.25
_SEEN = 2
"""Samples of an hour of the week that make its median; fewer fall back to the hour of day, then to the whole."""
_FACTOR = (0.5, 2.0)
"""How far the last day's level may move what is expected: a deploy or a holiday, not an outage."""
_FLOOR = 0.02
_NEVER = 1e-12
CAP = 80
"""Percent: a rare sample is not for that reason a fault."""

Key = tuple[str, str]
"""Namespace and workload name."""


@dataclass(frozen=True, slots=True)
class SeriesModel:
    """One quantity of all workloads, rows as in ``Model.keys``."""

    profile: Float64
    """``[workload, HOURS]``."""
    width: Float64
    """``[workload]``: robust deviation from the profile."""
    state: Baseline
    calibration: Float64
    """Sorted record scores of the held-out quarter, all workloads together."""


@dataclass(frozen=True, slots=True)
class Model:
    """One version. ``trained_until`` in Unix seconds: the newest sample that the states have seen."""

    keys: tuple[Key, ...]
    names: tuple[str, ...]
    series: Mapping[str, SeriesModel]
    joints: Mapping[Key, joint.Joint]
    trained_until: float


@dataclass(frozen=True, slots=True)
class Deviation:
    """One workload at one moment."""

    key: Key
    series: tuple[str, ...]
    """That are off, the most unusual first."""
    side: Mapping[str, int]
    """1 above, −1 below."""
    value: Mapping[str, float]
    expected: Mapping[str, float]
    rarity: float
    """Share of held-out normal samples that are less unusual."""
    since: float
    """Unix seconds of the first of the samples that are off."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Of all workloads at one moment."""

    deviations: tuple[Deviation, ...]
    learning: frozenset[Key]
    common: tuple[str, ...]
    """Series that moved on a good part of the fleet at once: ``requests low on 12 of 20``."""
    outside: float
    """Share of the last day's samples that are off: a model that does not fit any more has many."""


def train(times: Float64, values: Mapping[str, Float64], keys: Sequence[Key], exclude: Bool) -> Model:
    """Learn from history.

    Args:
        times: Unix seconds ``[time]``, evenly spaced, oldest first.
        values: by series name, ``float64[workload, time]``, NaN for gaps.
        keys: the workloads, in order.
        exclude: ``bool[workload, time]``: within known incidents.
    """
    clean = {name: np.where(exclude, np.nan, one) for name, one in values.items()}
    series = {name: _series(times, one) for name, one in clean.items()}
    joints = {}
    for row, key in enumerate(keys):
        model = joint.fit(_columns(clean, row))
        if model is not None:
            joints[key] = model
    return Model(tuple(keys), tuple(values), series, joints, float(times[-1]) if len(times) else 0.0)


def _columns(values: Mapping[str, Float64], row: int) -> Float64:
    """Metrics of one workload that it has, ``[time, metric]``; a metric that is never there is a column of zeros."""
    stacked = np.stack([one[row] for one in values.values()], axis=1)
    absent = ~np.isfinite(stacked).any(axis=0)
    return np.where(absent[None, :], 0.0, stacked)


def _series(times: Float64, values: Float64) -> SeriesModel:
    profile = _profile(hour_slots(times), values)
    residual = values - profile[:, hour_slots(times)]
    state = Baseline.new(len(values))
    score = observe(state, times, values).score
    held = score[:, int(len(times) * (1 - HOLD_OUT)) :]
    return SeriesModel(profile, spread(residual), state, np.sort(held[np.isfinite(held)].astype(np.float64)))


def _profile(of: Int64, values: Float64) -> Float64:
    """Medians by slot, from coarser ones where a slot was hardly seen. ``[workload, HOURS]``."""
    whole = median(values)
    profile = np.repeat(whole[:, None], HOURS, axis=1)
    for slot in range(HOURS):
        for here in (of % 24 == slot % 24, of == slot):  # the hour of any day, then of its kind of day
            some = values[:, here]
            seen = np.isfinite(some).sum(axis=1)
            profile[:, slot] = np.where(seen >= _SEEN, median(some), profile[:, slot])
    return profile


def advance(model: Model, times: Float64, values: Mapping[str, Float64]) -> Mapping[str, Float64]:
    """Show the newest samples to the states, which change; record scores by series, ``float64[workload, time]``."""
    return {
        name: observe(model.series[name].state, times, one).score.astype(np.float64) for name, one in values.items()
    }


def judge(
    model: Model,
    times: Float64,
    values: Mapping[str, Float64],
    scores: Mapping[str, Float64],
    least: Mapping[str, tuple[float, float]],
) -> Judgement:
    """What is not normal now.

    Args:
        times: Unix seconds of the last day and a little more, ``[time]``.
        values: by series, ``float64[workload, time]``, rows as ``model.keys``.
        scores: record scores of the last samples, ``float64[workload, ≤ time]``, aligned at the end.
        least: by series, the least share and change that count.
    """
    off, expected = {}, {}
    for name in model.names:
        off[name], expected[name] = _off(model.series[name], times, values[name], least[name])
    common, muted = fleetwide(off)
    moment = _Moment(model, float(times[-LASTING:][0]), values, expected, off, muted, scores, _surprise(model, values))
    learning = _learning(model)
    rows = [row for row, key in enumerate(model.keys) if key not in learning]
    found = tuple(one for row in rows if (one := _deviation(moment, row)) is not None)
    return Judgement(found, learning, common, _outside(off))


@dataclass(frozen=True, slots=True)
class _Moment:
    """What is known of all workloads at the moment that is judged; arrays ``[workload, time]`` by series."""

    model: Model
    since: float
    values: Mapping[str, Float64]
    expected: Mapping[str, Float64]
    off: Mapping[str, Float64]
    muted: frozenset[tuple[str, int]]
    """Series and sides that are common to the fleet."""
    scores: Mapping[str, Float64]
    surprise: Mapping[Key, float]


def _deviation(moment: _Moment, row: int) -> Deviation | None:
    """How one workload is off, if it is, and in a way that is new or rare, and its own."""
    model, key = moment.model, moment.model.keys[row]
    sides = {name: int(moment.off[name][row, -1]) for name in model.names if _lasting(moment.off[name][row])}
    sides = {name: side for name, side in sides.items() if (name, side) not in moment.muted}
    if not sides:
        return None
    new = {name: float(np.nan_to_num(moment.scores[name][row, -LASTING:]).max(initial=0.0)) for name in sides}
    rare = moment.surprise.get(key, 0.0)
    if max(new.values()) <= THRESHOLD and rare < RARE:
        return None
    rarity = max(1.0 - 10.0**-rare, *(_rarity(model.series[name].calibration, one) for name, one in new.items()))
    names = tuple(sorted(sides, key=lambda name: (-new[name], name)))
    return Deviation(
        key,
        names,
        sides,
        {name: float(moment.values[name][row, -1]) for name in names},
        {name: float(moment.expected[name][row, -1]) for name in names},
        rarity,
        moment.since,
    )


def _learning(model: Model) -> frozenset[Key]:
    """Workloads of which too little is known to say anything."""
    counts = np.stack([one.state.count for one in model.series.values()]).max(axis=0)
    return frozenset(key for key, count in zip(model.keys, counts.tolist(), strict=True) if count < LEARNING)


def _off(model: SeriesModel, times: Float64, values: Float64, least: tuple[float, float]) -> tuple[Float64, Float64]:
    """1, −1 or 0 by sample, and what is expected. ``float64[workload, time]`` each."""
    expected = model.profile[:, hour_slots(times)]
    before = times < times[-1] - 3600.0
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = values / np.where(expected > 0, expected, np.nan)
        factor = median(ratio[:, before]) if before.any() else np.full(len(values), np.nan)
        expected = expected * np.clip(np.where(np.isfinite(factor), factor, 1.0), *_FACTOR)[:, None]
        apart = values - expected
        floor = np.maximum(least[0] * np.abs(expected), least[1])
        width = np.maximum(model.width, _FLOOR * median(np.abs(expected)))[:, None]
        far = (np.abs(apart) >= floor) & (np.abs(apart) >= OFF * width)
    return np.where(far, np.sign(apart), 0.0), expected


def _lasting(off: Float64) -> bool:
    newest = off[-LASTING:]
    return len(newest) == LASTING and bool(newest[-1] != 0) and bool((newest == newest[-1]).all())


def fleetwide(off: Mapping[str, Float64]) -> tuple[tuple[str, ...], frozenset[tuple[str, int]]]:
    said, muted = [], set()
    for name, one in off.items():
        if len(one) < FLEET_LEAST or one.shape[1] == 0:
            continue
        for side, word in ((1, "high"), (-1, "low")):
            many = int((one[:, -1] == side).sum())
            if many >= FLEET_LEAST and many > FLEET * len(one):
                said.append(f"{name} {word} on {many} of {len(one)} workloads")
                muted.add((name, side))
    return tuple(said), frozenset(muted)


def _surprise(model: Model, values: Mapping[str, Float64]) -> dict[Key, float]:
    """Least surprise of the last samples, by workload that has a joint model."""
    found = {}
    for row, key in enumerate(model.keys):
        if (one := model.joints.get(key)) is not None:
            never = one.half_range < _NEVER  # a metric that was never there when the model was trained says nothing
            columns = np.where(never[None, :], one.middle[None, :], _columns(values, row))
            found[key] = float(joint.judge(one, columns).surprise[-LASTING:].min())
    return found


def _rarity(calibration: Float64, score: float) -> float:
    farther = len(calibration) - int(np.searchsorted(calibration, score))
    return 1.0 - (farther + 1) / (len(calibration) + 1)


def _outside(off: Mapping[str, Float64]) -> float:
    whole = np.stack([np.abs(one) for one in off.values()])
    return float(whole.mean()) if whole.size else 0.0
