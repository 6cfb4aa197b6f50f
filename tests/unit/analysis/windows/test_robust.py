from __future__ import annotations

import numpy as np
import pytest

from analysis.windows.block import Samples, grid, regroup
from analysis.windows.robust import features, median, spread, theil_sen, thin
from tests.unit.analysis.shapes import MIB, block, flat, leak, sampled

X = np.arange(0.0, 300.0, 5.0)[None, :]


def test_slope_is_exact_on_a_line_and_its_interval_is_narrow() -> None:
    slope = theil_sen(X, 3.0 * X + 7.0)
    assert slope.value[0] == pytest.approx(3.0)
    assert slope.low[0] == pytest.approx(3.0)
    assert slope.high[0] == pytest.approx(3.0)
    assert slope.tau[0] == pytest.approx(1.0)


def test_a_fifth_of_wild_samples_does_not_move_the_slope() -> None:
    y = 3.0 * X
    y[0, ::5] = 1e6
    assert theil_sen(X, y).value[0] == pytest.approx(3.0, rel=0.2)


def test_noise_has_a_slope_interval_around_zero() -> None:
    y = np.random.default_rng(3).normal(100.0, 5.0, X.shape)
    slope = theil_sen(X, y)
    assert slope.low[0] < 0 < slope.high[0]
    assert abs(slope.tau[0]) < 0.3


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_samples_give_nan_not_a_number(count: int) -> None:
    x = np.full((1, 10), np.nan)
    x[0, :count] = 1.0
    slope = theil_sen(x, x.copy())
    assert np.isnan(slope.value[0])
    assert np.isnan(slope.tau[0])


def test_rows_of_different_length_do_not_disturb_each_other() -> None:
    x = np.repeat(X, 2, axis=0)
    y = np.stack([2.0 * X[0], -1.0 * X[0]])
    y[1, 10:] = np.nan
    x[1, 10:] = np.nan
    assert theil_sen(x, y).value == pytest.approx([2.0, -1.0])


def test_thin_keeps_first_and_last_and_never_repeats_a_sample() -> None:
    x = np.full((2, 100), np.nan)
    x[0] = np.arange(100.0)
    x[1, 40:45] = np.arange(5.0)
    picked, _ = thin(x, x, points=10)
    assert picked[0, 0] == 0.0
    assert picked[0, -1] == 99.0
    assert sorted(picked[1][np.isfinite(picked[1])]) == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_median_and_spread_of_empty_rows_are_nan() -> None:
    empty = np.full((1, 5), np.nan)
    assert np.isnan(median(empty)[0])
    assert np.isnan(spread(empty)[0])


def test_features_look_only_at_their_window() -> None:
    found = block({("a", "app"): sampled(leak(since=840.0))})
    assert features(found, 60.0).slope.value[0] * 60 / MIB == pytest.approx(48.0, rel=0.05)
    assert abs(features(found.between(found.start, found.end - 120.0)).slope.value[0]) * 60 / MIB < 0.5


def test_grid_keeps_gaps_as_nan_and_true_sample_times() -> None:
    times, values = sampled(flat())
    hole = (times > times[0] + 300) & (times < times[0] + 600)
    found = block({("a", "app"): (times[~hole], values[~hole])})
    assert np.isfinite(found.values).sum() == (~hole).sum()
    assert not np.isfinite(found.values[:, 65:115]).any()
    exact = np.sort(found.offsets[np.isfinite(found.offsets)])
    assert exact == pytest.approx(times[~hole] - found.start, abs=1e-3)


def test_infinite_and_nan_samples_become_gaps() -> None:
    found = block({("a", "app"): (np.array([1_700_000_800.0, 1_700_000_810.0]), np.array([np.inf, np.nan]))})
    assert not np.isfinite(found.values).any()


def test_instances_of_a_container_are_joined_in_order_of_time() -> None:
    labels = ({"pod": "a", "id": "new"}, {"pod": "a", "id": "old"})
    samples = Samples(labels, np.array([0, 1, 1]), np.array([20.0, 0.0, 10.0]), np.array([3.0, 1.0, 2.0]))
    joined = regroup(samples, ("pod",))
    assert joined.labels == ({"pod": "a"},)
    assert joined.values.tolist() == [1.0, 2.0, 3.0]


def test_an_empty_answer_is_an_empty_block() -> None:
    none = Samples((), np.array([], dtype=np.int64), np.array([]), np.array([]))
    found = grid(regroup(none, ("pod",)), 100.0, 60.0, 5.0)
    assert found.values.shape == (0, 12)
    assert features(found).level.shape == (0,)
