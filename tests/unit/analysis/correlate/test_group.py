"""Which signals become one incident, and which stay apart."""

from __future__ import annotations

import pytest

from analysis.correlate.group import correlate
from analysis.correlate.signals import Dependencies, Mark, Signal

SHOP = Dependencies(
    {
        "frontend": frozenset({"checkout", "catalogue", "node-1"}),
        "checkout": frozenset({"payments", "node-2"}),
        "payments": frozenset({"node-3"}),
        "catalogue": frozenset({"node-3"}),
        "a": frozenset({"node-9"}),
        "b": frozenset({"node-9"}),
        "c": frozenset({"node-9"}),
        "d": frozenset({"node-9"}),
        "e": frozenset({"a", "node-9"}),
        "ping": frozenset({"pong"}),
        "pong": frozenset({"ping"}),
    }
)


def at(entity: str, type_: str, onset: float, change: str = "") -> Signal:
    marks = frozenset({Mark("shop", change)}) if change else frozenset()
    return Signal(entity, type_, 1000.0 + onset, 1100.0 + onset, marks=marks)


CASES: dict[str, tuple[list[Signal], dict[str, set[str]]]] = {
    "duplicates": ([at("payments", "MemoryLeak", n) for n in range(50)], {"payments": {"payments"}}),
    "callers of a leak": (
        [at("frontend", "HighErrorRate", 40), at("checkout", "HighLatency", 20), at("payments", "MemoryLeak", 0)],
        {"payments": {"payments", "checkout", "frontend"}},
    ),
    "a caller noticed before its cause": (
        [at("checkout", "HighLatency", 0), at("payments", "MemoryLeak", 30)],
        {"payments": {"payments", "checkout"}},
    ),
    "two faults under one caller": (
        [at("payments", "MemoryLeak", 0), at("catalogue", "DiskFull", 30), at("frontend", "HighErrorRate", 35)],
        {"payments": {"payments"}, "catalogue": {"catalogue", "frontend"}},
    ),
    "through one that shows nothing": (
        [at("payments", "MemoryLeak", 0), at("frontend", "HighErrorRate", 20)],
        {"payments": {"payments", "frontend"}},
    ),
    "a silent node": (
        [at(one, "HighErrorRate", n) for n, one in enumerate("abcd")],
        {"node-9": {"a", "b", "c", "d"}},
    ),
    "callers on a silent node": (
        [at("a", "HighErrorRate", 0), at("b", "HighErrorRate", 5), at("e", "HighErrorRate", 9)],
        {"node-9": {"a", "b", "e"}},
    ),
    "one fault and its caller on a good node": (
        [at("a", "HighErrorRate", 0), at("e", "HighErrorRate", 9), at("d", "ImagePullFailed", 9)],
        {"a": {"a", "e"}, "d": {"d"}},
    ),
    "two neighbours are no node fault": (
        [at("a", "HighErrorRate", 0), at("b", "HighErrorRate", 5)],
        {"a": {"a"}, "b": {"b"}},
    ),
    "a fault of its own on a bad node": (
        [*(at(one, "HighErrorRate", n) for n, one in enumerate("abc")), at("d", "ImagePullFailed", 3)],
        {"node-9": {"a", "b", "c"}, "d": {"d"}},
    ),
    "long after": (
        [at("payments", "MemoryLeak", 0), at("checkout", "HighErrorRate", 3600)],
        {"payments": {"payments"}, "checkout": {"checkout"}},
    ),
    "one change": (
        [at("a", "CrashLoop", 0, "rev-7"), at("payments", "CrashLoop", 9, "rev-7")],
        {"a": {"a", "payments"}},
    ),
    "a circle": ([at("ping", "HighLatency", 0), at("pong", "HighLatency", 1)], {"ping": {"ping", "pong"}}),
    "nothing": ([], {}),
}


@pytest.mark.parametrize("name", CASES)
def test_signals_find_their_fault(name: str) -> None:
    signals, expected = CASES[name]
    for order in (signals, signals[::-1]):
        groups = correlate(order, SHOP)
        assert {group.root: {one.entity for one in group.signals} for group in groups} == expected
        assert sum(group.count for group in groups) == len(signals)


def test_a_blamed_silent_dependency_is_marked() -> None:
    (group,) = correlate([at(one, "HighErrorRate", 0) for one in "abcd"], SHOP)
    assert not group.observed


@pytest.mark.parametrize(
    ("entities", "undecided"),
    [("a", {"a": False}), ("ab", {"a": True, "b": True}), ("abcd", {"node-9": False})],
    ids=["alone", "a second on the same node", "enough to blame the node"],
)
def test_neighbours_that_fail_together_wait_for_a_third(entities: str, undecided: dict[str, bool]) -> None:
    groups = correlate([at(one, "Restarted", n) for n, one in enumerate(entities)], SHOP)
    assert {group.root: group.undecided for group in groups} == undecided
