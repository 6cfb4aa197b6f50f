"""Shifts of level: which count, since when, and when they have become how things are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from analysis.detect.shifts import HOUR, Levels, Place, Shift, Shifts, hourly, joined, settled, shifts, still
from analysis.windows.block import Float64

MONDAY = 1_767_571_200.0
DAYS = 14
HOURS = int(MONDAY / HOUR) + np.arange(DAYS * 24)
KEYS = tuple(("shop", f"w{index}") for index in range(6))
LEAST = {"memory": (0.3, 10.0)}
PLACE: Place = (KEYS[0], "memory")


def fleet(change: Callable[[Float64], Float64] = lambda y: y, rows: int = 1, hours: int = DAYS * 24) -> Levels:
    """Daily peaks, quiet weekends, a little noise; ``change`` is done to the first rows."""
    random = np.random.default_rng(3)
    weekend = ((HOURS // 24 + 3) % 7) >= 5
    usual = (100 + 30 * np.sin(2 * np.pi * HOURS / 24)) * np.where(weekend, 0.6, 1.0)
    values = usual + random.normal(0, 2, (len(KEYS), HOURS.size))
    values[:rows] = [change(one) for one in values[:rows]]
    return Levels(HOURS[-hours:], {"memory": values[:, -hours:]})


def since(hours: int, change: Callable[[Float64], Float64]) -> Callable[[Float64], Float64]:
    return lambda y: np.where(np.arange(y.size) >= y.size - hours, change(y), y)


@pytest.mark.parametrize(
    ("levels", "found"),
    [
        (fleet(), set()),
        (fleet(since(36, lambda y: y + 60)), {PLACE}),
        (fleet(since(36, lambda y: y - 40)), {PLACE}),
        (fleet(since(36, lambda y: y + 15)), set()),
        (fleet(since(12, lambda y: y + 60)), set()),
        (fleet(since(36, lambda y: y + 60), hours=7 * 24), set()),
        (fleet(since(36, lambda y: y + 60), rows=5), set()),
    ],
    ids=["quiet", "up", "down", "too little", "not yet a day", "young", "most of the fleet"],
)
def test_what_is_a_shift(levels: Levels, found: set[Place]) -> None:
    assert set(shifts(levels, KEYS, LEAST, {}).found) == found


def test_it_says_since_when_and_what_was_usual() -> None:
    levels = fleet(since(36, lambda y: y + 60))
    one = shifts(levels, KEYS, LEAST, {}).found[PLACE]
    assert one.since == levels.until - 36 * HOUR
    assert one.now - one.usual == pytest.approx(60, abs=3)


def test_what_the_fleet_does_at_once_is_said_as_such() -> None:
    assert shifts(fleet(since(36, lambda y: y + 60), rows=5), KEYS, LEAST, {}).common == (
        "memory high on 5 of 6 workloads",
    )


def test_within_a_known_incident_nothing_is_known_and_nothing_ends() -> None:
    before = shifts(fleet(since(30, lambda y: y + 60)), KEYS, LEAST, {}).found
    later = shifts(fleet(since(36, lambda y: np.full_like(y, np.nan))), KEYS, LEAST, {})
    assert PLACE in later.unknown
    assert still(before, later) == dict(before)
    assert still(before, shifts(fleet(), KEYS, LEAST, {})) == {}


def test_it_keeps_the_onset_that_it_was_first_seen_with() -> None:
    one = Shift(MONDAY, 160.0, 100.0)
    judged = Shifts({PLACE: replace(one, since=MONDAY + 6 * HOUR, now=170.0)}, frozenset(), ())
    assert still({PLACE: one}, judged) == {PLACE: replace(one, now=170.0)}


@pytest.mark.parametrize(("days", "usual"), [(2.9, False), (3.0, True)])
def test_after_three_days_it_is_how_things_are(days: float, usual: bool) -> None:
    on = {PLACE: Shift(MONDAY, 160.0, 100.0)}
    assert settled(on, on, MONDAY + days * 86_400.0) == ({PLACE: MONDAY} if usual else {})
    assert settled(on, (), MONDAY + days * 86_400.0) == {}, "only what is seen now"


def test_from_its_onset_on_a_level_is_learned_anew() -> None:
    levels = fleet(since(80, lambda y: y + 60))
    judged = shifts(levels, KEYS, LEAST, {PLACE: levels.until - 80 * HOUR})
    assert not judged.found
    assert judged.unknown == {PLACE}


def test_only_whole_hours_have_a_median() -> None:
    times = MONDAY + 600.0 + np.arange(25) * 300.0  # 00:10 to 02:10
    found = hourly(times, {"memory": np.arange(25, dtype=np.float64)[None, :]})
    assert found.hours.tolist() == [int(MONDAY / HOUR) + 1]
    assert found.values["memory"].tolist() == [[np.median(np.arange(10, 22))]]
    assert hourly(times[:1], {"memory": np.zeros((1, 1))}).until == float("-inf")


def test_hours_that_nobody_looked_at_are_gaps_and_newer_ones_are_believed() -> None:
    first = Levels(np.array([10, 11, 12]), {"memory": np.array([[1.0, 1.0, 1.0]])})
    newer = Levels(np.array([12, 13]), {"memory": np.array([[2.0, 2.0]])})
    late = Levels(np.array([16]), {"memory": np.array([[3.0]])})
    both = joined(joined(None, first), newer)
    assert both.values["memory"].tolist() == [[1.0, 1.0, 2.0, 2.0]]
    whole = joined(both, late)
    assert whole.hours.tolist() == list(range(10, 17))
    np.testing.assert_equal(whole.values["memory"], [[1.0, 1.0, 2.0, 2.0, np.nan, np.nan, 3.0]])
    assert joined(whole, Levels(np.zeros(0, dtype=np.int64), {"memory": np.zeros((1, 0))})) is whole


def test_memory_is_bounded() -> None:
    levels: Levels | None = None
    for day in range(60):
        newer = Levels(day * 24 + np.arange(24), {"memory": np.ones((1, 24))})
        levels = joined(levels, newer)
    assert levels is not None
    assert len(levels.hours) == 28 * 24
    assert levels.hours[-1] == 60 * 24 - 1
