"""Containers by number: what is equal, what is found again, and what hostile labels do."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.telemetry.groups import Groups, Latest, Present
from analysis.telemetry.look import by_group
from analysis.telemetry.query import Select
from analysis.telemetry.store import SPARE_GROUPS, Store
from analysis.windows.extremes import Extremes
from tests.unit.analysis.telemetry.test_store import T0, pods, rows, send

BY = ("namespace", "pod", "container")
NAN = float("nan")


def named(*values: bytes) -> dict[bytes, bytes]:
    return {name.encode(): value for name, value in zip(BY, values, strict=True)}


def test_equal_labels_have_one_number_whatever_else_a_series_has() -> None:
    groups = Groups(BY)
    first = groups.number({**named(b"shop", b"web-1", b"app"), b"__name__": b"used"})
    assert groups.number({**named(b"shop", b"web-1", b"app"), b"__name__": b"limit", b"id": b"x"}) == first
    assert groups.labels(first) == {"namespace": "shop", "pod": "web-1", "container": "app"}
    assert groups.find(("shop", "web-1", "app")) == first
    assert groups.find(("shop", "web-1", "other")) == -1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((b"a", b"bc", b""), (b"ab", b"c", b"")),
        ((b"a\0b", b"", b""), (b"a", b"b", b"")),
        ((b"", b"a", b""), (b"a", b"", b"")),
        ((b"\0\0\0\1a", b"", b""), (b"", b"a", b"")),
    ],
)
def test_no_value_can_be_taken_for_two(one: tuple[bytes, ...], other: tuple[bytes, ...]) -> None:
    groups = Groups(BY)
    assert groups.number(named(*one)) != groups.number(named(*other))
    assert groups.values(0) == tuple(value.decode() for value in one)


def test_text_that_is_not_utf_8_is_replaced_and_looked_for_in_vain() -> None:
    groups = Groups(BY)
    assert groups.values(groups.number(named(b"\xff", b"p", b""))) == ("\N{REPLACEMENT CHARACTER}", "p", "")
    assert groups.find(("\ud800", "p", "")) == -1


def test_pods_are_found_by_any_of_their_containers() -> None:
    groups = Groups(BY)
    for pod, container in ((b"a", b"app"), (b"a", b"proxy"), (b"ab", b"app"), (b"b", b"app")):
        groups.number(named(b"shop", pod, container))
    present = Present(groups, np.array([False, True, False, True]))
    groups.number(named(b"shop", b"late", b"app"))
    assert present == {("shop", "a"), ("shop", "b")}
    assert [("shop", pod) in present for pod in ("a", "ab", "b", "late", "nobody")] == [True, False, True, False, False]


def test_latest_reads_as_a_mapping() -> None:
    groups = Groups(BY)
    for pod in (b"a", b"b"):
        groups.number(named(b"shop", pod, b"app"))
    latest = Latest(groups, np.array([5.0, NAN]))
    assert dict(latest) == {("shop", "a", "app"): 5.0}
    assert latest.get(("shop", "b", "app")) is None
    assert latest.get(("shop", "c", "app")) is None


def test_the_series_of_one_group_are_one() -> None:
    groups = Groups(("pod",))
    for pod in (b"a", b"b", b"c"):
        groups.number({b"pod": pod})
    found = Extremes(
        low=np.array([1.0, 4.0, NAN]), high=np.array([2.0, 6.0, NAN]),
        last=np.array([2.0, 5.0, NAN]), last_at=np.array([70_000.0, 60_000.0, NAN]),
    )  # fmt: skip
    look = by_group(found, np.array([1, 1, 2]), groups, alone=False)
    assert [array[1] for array in (look.seen.low, look.seen.high, look.seen.last)] == [1.0, 6.0, 2.0]
    assert look.newest == 70.0
    assert look.since(65.0).tolist() == [False, True, False]


def test_groups_of_series_that_are_gone_are_given_up() -> None:
    store = Store(64, 5.0, window=60.0)
    store.covers(Select("m"), 60.0, T0, exact=False)
    at = T0
    for generation in range(2 * (SPARE_GROUPS + 128) // 64):
        at += 400.0
        send(store, at, *pods(64 * generation, 64))
        assert rows(store, at + 1) == 64
        assert len(store.look(Select("m"), ("pod",), 60.0, at + 1, 5.0).groups) <= SPARE_GROUPS + 128 + 64
    chosen = store.look(Select("m"), ("pod",), 60.0, at + 1, 5.0).choose(np.ones(0, dtype=np.bool_))
    assert not store.block(Select("m"), ("pod",), 60.0, at + 1, 5.0, chosen).labels
