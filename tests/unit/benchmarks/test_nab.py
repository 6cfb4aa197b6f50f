"""The scorer against figures worked out by hand from the benchmark's definition."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.nab import Profile, Series, judge, sigmoid, total

STANDARD = Profile(hit=1.0, false_alarm=0.11, miss=1.0)
SERIES = Series("one", np.arange(1000.0), np.zeros(1000), ((400, 499),))


def at(*rows: int) -> np.ndarray:
    said = np.zeros(1000, dtype=bool)
    said[list(rows)] = True
    return said


@pytest.mark.parametrize(
    ("rows", "score"),
    [
        ((400,), 1.0),
        ((), -1.0),
        ((499,), sigmoid(-0.01) / sigmoid(-1.0)),
        ((400, 450, 499), 1.0),  # one window counts once
        ((10,), -1.0),  # probation
        ((300,), -1.0 - 0.11),
        ((400, 999), 1.0 - 0.11),  # far behind the window
        ((400, 510), 1.0 + 0.11 * sigmoid(11 / 99)),
    ],
)
def test_scores(rows: tuple[int, ...], score: float) -> None:
    assert judge(SERIES, at(*rows), STANDARD).score == pytest.approx(score)


def test_the_scale_is_from_silence_to_perfection() -> None:
    for rows, whole in (((), 0.0), ((400,), 100.0)):
        results = {"one": judge(SERIES, at(*rows), STANDARD)}
        assert total(results, {"one": SERIES}, STANDARD) == pytest.approx(whole)
