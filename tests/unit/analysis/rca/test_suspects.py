from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from analysis.rca.deviation import Kind, deviations
from analysis.rca.suspects import Calls, Signals, onset_of, reachable, suspects

ONSET = 60
LENGTH = 90
CALLS: Calls = {
    "web": frozenset({"cart", "pay"}),
    "cart": frozenset({"db"}),
    "pay": frozenset({"bank"}),
    "db": frozenset(),
}


def signals(series: Mapping[tuple[str, Kind], tuple[float, float]], scale: float = 1.0) -> Signals:
    """Series that change from one level to another at the onset, with some noise."""
    random = np.random.default_rng(3)
    values = []
    for usual, since in series.values():
        noise = random.normal(size=LENGTH) * 0.02 * usual
        values.append((np.where(np.arange(LENGTH) < ONSET, usual, since) + noise) * scale)
    return Signals(
        entities=tuple(entity for entity, _ in series),
        kinds=tuple(kind for _, kind in series),
        names=tuple(f"{entity} {kind}" for entity, kind in series),
        times=np.arange(LENGTH, dtype=np.float64) + 1000,
        values=np.array(values),
        history=np.empty((len(values), 0)),
    )


def ranked(given: Signals, calls: Calls = CALLS, symptom: str | None = None) -> list[str]:
    return [one.entity for one in suspects(given, calls, 1000 + ONSET, symptom)]


def test_slow_calls_are_followed_to_the_callee_that_is_slow_itself() -> None:
    slow = {("web", Kind.LATENCY): (0.1, 0.6), ("cart", Kind.LATENCY): (0.05, 0.5), ("db", Kind.LATENCY): (0.01, 0.45)}
    assert ranked(signals({**slow, ("pay", Kind.LATENCY): (0.05, 0.05)})) == ["db", "cart", "web"]


def test_a_callee_that_got_a_little_slower_does_not_excuse_its_caller() -> None:
    given = signals({("cart", Kind.LATENCY): (0.1, 2.0), ("db", Kind.LATENCY): (0.001, 0.002)})
    assert ranked(given)[0] == "cart"


def test_a_rarely_used_path_weighs_less_than_a_busy_one() -> None:
    rare = {("cart", Kind.LATENCY): (0.01, 1.0), ("cart", Kind.TRAFFIC): (0.1, 0.1)}
    busy = {("pay", Kind.LATENCY): (0.1, 1.0), ("pay", Kind.TRAFFIC): (50.0, 50.0)}
    assert ranked(signals({**rare, **busy})) == ["pay", "cart"]


def test_own_resources_accuse_whatever_the_callees_do() -> None:
    given = signals(
        {("cart", Kind.RESOURCE): (0.1, 0.9), ("cart", Kind.LATENCY): (0.1, 0.5), ("db", Kind.LATENCY): (0.1, 0.2)}
    )
    found = suspects(given, CALLS, 1000 + ONSET)
    assert found[0].entity == "cart"
    assert given.names[found[0].accusations[0].row] == "cart resource"
    assert abs(found[0].accusations[0].onset - 1000 - ONSET) <= 1


@pytest.mark.parametrize(
    ("kind", "usual", "since"),
    [
        (Kind.LATENCY, 0.1, 0.1),
        (Kind.LATENCY, 0.1, 0.12),
        (Kind.LATENCY, 0.1, 0.01),
        (Kind.ERRORS, 0.0, 0.003),
        (Kind.RESOURCE, 10.0, 10.5),
        (Kind.TRAFFIC, 10.0, 500.0),
    ],
)
def test_the_ordinary_the_small_and_the_better_accuse_nobody(kind: Kind, usual: float, since: float) -> None:
    assert ranked(signals({("cart", kind): (usual, since)})) == []


def test_only_what_the_symptom_calls_is_considered() -> None:
    given = signals(
        {("web", Kind.ERRORS): (0.0, 0.2), ("other", Kind.ERRORS): (0.0, 0.9), ("pay", Kind.ERRORS): (0.0, 0.2)}
    )
    assert ranked(given, symptom="web") == ["pay", "web"]
    assert set(ranked(given)) == {"web", "pay", "other"}


def test_calls_in_a_circle_end() -> None:
    circle: Calls = {"a": frozenset({"b", "a"}), "b": frozenset({"a"})}
    assert reachable(circle, "a") == {"a", "b"}
    assert ranked(signals({("a", Kind.LATENCY): (0.1, 0.5), ("b", Kind.LATENCY): (0.1, 0.5)}), circle) == ["a", "b"]


def test_units_do_not_matter_to_the_order() -> None:
    series = {("cart", Kind.RESOURCE): (1.0, 3.0), ("db", Kind.RESOURCE): (1.0, 9.0)}
    assert ranked(signals(series)) == ranked(signals(series, 1e9)) == ["db", "cart"]


def test_equal_input_gives_equal_output() -> None:
    given = signals({("cart", Kind.LATENCY): (0.1, 0.5), ("db", Kind.RESOURCE): (0.1, 0.5)})
    assert suspects(given, CALLS, 1060) == suspects(given, CALLS, 1060)


def test_an_onset_is_found_when_none_is_given() -> None:
    given = signals({("cart", Kind.RESOURCE): (1.0, 3.0), ("db", Kind.RESOURCE): (1.0, 2.0)})
    assert abs(onset_of(given) - 1000 - ONSET) <= 1


def test_a_drift_since_the_history_accuses_nobody() -> None:
    history, before, after = np.full((1, 50), 1.0), np.full((1, 5), 4.0), np.full((1, 5), 4.1)
    assert not deviations(history, before, after, [Kind.LATENCY]).notable([Kind.LATENCY])[0]


def test_a_series_without_samples_is_not_notable() -> None:
    gone = np.full((2, 5), np.nan)
    known = np.array([[1.0, 1.0, 1.0, 1.0, 1.0], [np.nan] * 5])
    found = deviations(known, gone, gone, [Kind.RESOURCE] * 2)
    assert not found.notable([Kind.RESOURCE] * 2).any()


def test_a_series_that_was_always_zero_has_a_bounded_score() -> None:
    found = deviations(np.zeros((1, 20)), np.zeros((1, 0)), np.ones((1, 5)), [Kind.RESOURCE])
    assert found.score[0] == 1e4
