"""What a learned baseline calls unusual, and what it does not."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.detect.baseline import FEATURES, LEARNING, SPIKE, THRESHOLD, Baseline, alarms, observe

DAY = 288
TIMES = 1_767_225_600.0 + 300.0 * np.arange(14 * DAY)
AT = 12 * DAY + 100


def season(noise: float = 1.0) -> np.ndarray:
    random = np.random.default_rng(3)
    return 100 + 30 * np.sin(2 * np.pi * np.arange(14 * DAY) / DAY) + noise * random.standard_normal(14 * DAY)


def spike(values: np.ndarray) -> None:
    values[AT : AT + 3] += 150


def level(values: np.ndarray) -> None:
    values[AT:] += 80


def flat(values: np.ndarray) -> None:
    values[AT : AT + 60] = values[AT]


def gap(values: np.ndarray) -> None:
    values[AT : AT + 40] = np.nan


def nothing(values: np.ndarray) -> None:
    pass


@pytest.mark.parametrize(("change", "called"), [(spike, True), (level, True), (gap, False), (nothing, False)])
def test_what_is_called(change, called: bool) -> None:
    values = season()
    change(values)
    assert alarms(TIMES, values[None, :], SPIKE)[0, AT - DAY :].any() == called


def test_one_unusual_state_is_said_once() -> None:
    values = season()
    level(values)
    assert alarms(TIMES, values[None, :])[0, AT : AT + DAY // 2].sum() == 1


def test_scale_and_unit_do_not_matter() -> None:
    values = season()
    spike(values)
    both = np.stack([values, values * 1e9])
    score = observe(Baseline.new(2), TIMES, both).score
    np.testing.assert_allclose(score[0], score[1], rtol=1e-3)


def test_a_new_series_is_learning() -> None:
    state = Baseline.new(2)
    values = np.full((2, LEARNING + 5), 1.0)
    values[1, :50] = np.nan
    values[:, -1] = 1e6
    found = observe(state, TIMES[: LEARNING + 5], values)
    assert np.isnan(found.score[0, :LEARNING]).all()
    assert found.score[0, -1] > THRESHOLD
    assert np.isnan(found.score[1]).all()
    assert state.learning.tolist() == [False, True]


def test_in_pieces_it_is_the_same_as_at_once() -> None:
    values = season()[None, :]
    whole = observe(Baseline.new(1), TIMES, values)
    state = Baseline.new(1)
    parts = [observe(state, TIMES[at : at + 7], values[:, at : at + 7]).score for at in range(0, 14 * DAY, 7)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole.score)


def test_it_says_why() -> None:
    values = season()
    spike(values)
    found = observe(Baseline.new(1), TIMES, values[None, :])
    assert FEATURES[found.feature[0, AT]] in {
        "higher than before",
        "larger jump than before",
        "far from the last hour",
        "far from this time of day",
        "more restless than before",
    }
