"""Rates as Prometheus gives them, checked sample by sample."""

from __future__ import annotations

import random

import numpy as np
import pytest

from analysis.windows.rates import rate, summed
from tests.unit.analysis.telemetry.source import rate_of


@pytest.mark.parametrize("seed", range(20))
def test_rates_agree_with_the_definition(seed: int) -> None:
    chance = random.Random(seed)
    every = chance.choice((5.0, 15.0))
    points, value = [], chance.choice((0.0, 3.0, 1e9))
    for index in range(30):
        value = 0.0 if chance.random() < 0.07 else value + chance.choice((0, 0, 1, 5, 40))
        if chance.random() < 0.8:
            points.append((round(1000 + index * every + chance.uniform(0, 1), 3), value))
    times = np.array([[at * 1000 for at, _ in points], [np.nan] * len(points)])
    values = np.array([[value for _, value in points], [np.nan] * len(points)])
    at = np.array([1000.0 + 10 * step for step in range(45)])
    found = rate(times, values, at * 1000, 60.0)
    expected = [rate_of(points, one, 60.0) for one in at.tolist()]
    np.testing.assert_allclose(found[0], [np.nan if one is None else one for one in expected], rtol=1e-9)
    assert np.isnan(found[1]).all()


def test_groups_are_summed_over_those_that_have_a_rate() -> None:
    values = np.array([[1.0, np.nan], [2.0, np.nan], [4.0, 5.0]])
    np.testing.assert_array_equal(summed(np.array([0, 0, 1]), 2, values), [[3.0, np.nan], [4.0, 5.0]])
