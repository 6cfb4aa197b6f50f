"""A drift is a new level that lasts; a season, a spike or a gap is not."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.detect.drift import drifts

HOURS = 490_000 + np.arange(28 * 24)


def hourly(seed: int = 5) -> np.ndarray:
    random = np.random.default_rng(seed)
    weekend = ((HOURS // 24 + 3) % 7) >= 5
    base = 100 + 30 * np.sin(2 * np.pi * HOURS / 24)
    return np.where(weekend, 0.6 * base, base) + random.normal(0, 2, HOURS.size)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda y: y, False),
        (lambda y: np.where(np.arange(y.size) >= y.size - 30, y + 40, y), True),
        (lambda y: np.where(np.arange(y.size) >= y.size - 30, y - 40, y), True),
        (lambda y: np.where(np.arange(y.size) == y.size - 5, y + 500, y), False),
        (lambda y: np.where(np.arange(y.size) >= y.size - 8, y + 40, y), False),
        (lambda y: np.where((np.arange(y.size) > 300) & (np.arange(y.size) < 340), np.nan, y), False),
        (lambda y: np.where(np.arange(y.size) >= y.size - 30, np.nan, y), False),
    ],
    ids=["season", "up", "down", "spike", "not yet a day", "gap before", "gap now"],
)
def test_what_is_a_drift(change, found: bool) -> None:
    assert drifts(HOURS, change(hourly())[None, :]).found[0] == found


def test_the_shift_is_in_the_series_unit() -> None:
    y = hourly()
    y[-30:] += 40
    assert drifts(HOURS, y[None, :]).shift[0] == pytest.approx(40, abs=3)


def test_with_too_little_history_it_is_learning() -> None:
    found = drifts(HOURS[:100], hourly()[None, :100])
    assert np.isnan(found.score[0])
    assert not found.found[0]
