from __future__ import annotations

import numpy as np
import pytest

from analysis.rca.onset import change_points, cusum, pooled_change_point


def noise(series: int, time: int = 200) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.random.default_rng(7).normal(size=(series, time))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
def test_each_series_own_change_is_found_in_any_unit(scale: float) -> None:
    values = noise(2)
    values[0, 60:] += 6
    values[1, 150:] -= 6
    assert np.abs(change_points(values * scale, 10) - [60, 150]).max() <= 1


def test_one_spike_is_not_a_change() -> None:
    values = noise(1)
    values[0, 30] += 1000
    values[0, 120:] += 5
    assert abs(int(change_points(values, 10)[0]) - 120) <= 2


def test_the_change_that_most_series_share_is_the_onset() -> None:
    values = noise(12)
    values[:9, 130:] += np.linspace(2, 8, 9)[:, None]
    values[9:, 40:] += 4
    assert abs(pooled_change_point(values, 10) - 130) <= 1


def test_gaps_and_constants_tell_nothing() -> None:
    values = noise(3)
    values[0], values[1] = np.nan, 5.0
    values[2, 100:] += 5
    values[2, 50:60] = np.nan
    assert not cusum(values)[:2].any()
    assert abs(pooled_change_point(values, 10) - 100) <= 1


def test_two_samples_are_enough_to_ask() -> None:
    assert cusum(np.array([[1.0]])).tolist() == [[0.0]]
    assert pooled_change_point(np.array([[0.0, 0.0, 9.0, 9.0]]), 1) == 2
