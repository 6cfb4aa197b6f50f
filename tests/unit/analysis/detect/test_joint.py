"""Metrics that are unusual together."""

from __future__ import annotations

import numpy as np

from analysis.detect.joint import distances, fit, judge


def together(samples: int, seed: int = 1) -> np.ndarray:
    """Requests, CPU that follows them, and memory that does not."""
    random = np.random.default_rng(seed)
    requests = 100 + 20 * random.standard_normal(samples)
    cpu = 0.01 * requests + 0.01 * random.standard_normal(samples)
    return np.column_stack([requests, cpu, 500 + 5 * random.standard_normal(samples)])


def test_values_that_are_usual_alone_can_be_unusual_together() -> None:
    model = fit(together(1000))
    assert model is not None
    values = together(100, seed=2)
    values[60:80, 1] = 1.3 - (values[60:80, 1] - 1.0)  # CPU within its range, against the requests
    found = judge(model, values)
    assert found.surprise[65:80].min() > 2
    assert np.median(found.surprise[:60]) < 1


def test_too_little_to_learn_from_is_said() -> None:
    assert fit(together(40)) is None


def test_what_was_broken_does_not_become_normal() -> None:
    train = together(1000)
    broken = np.zeros(1000, dtype=bool)
    broken[300:500] = True
    train[broken, 2] = 5000
    probe = together(50)
    probe[:, 2] = 5000
    with_it, without = fit(train), fit(train, broken)
    assert with_it is not None
    assert without is not None
    assert judge(without, probe).distance[-1] > 5 * judge(with_it, probe).distance[-1]


def test_a_gap_repeats_the_last_distance() -> None:
    model = fit(together(1000))
    assert model is not None
    values = together(10)
    values[5] = np.nan
    found = distances(model, values)
    assert found[5] == found[4]
