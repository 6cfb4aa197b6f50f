"""What the store keeps, gives up and says about itself."""

from __future__ import annotations

import cramjam
import numpy as np
import pytest

from analysis.telemetry.labels import decode, encode, labels_of, metric_of
from analysis.telemetry.query import Select, equal
from analysis.telemetry.remote_write import Malformed
from analysis.telemetry.store import Store
from analysis.windows.block import Samples
from tests.unit.analysis.telemetry.remote import request

T0 = 1_767_225_600.0
NAME = "__name__"


def send(store: Store, at: float, *series: dict[str, str], value: float = 1.0) -> object:
    body = request(*((labels, [(value, round(at * 1000))]) for labels in series))
    return store.accept(bytes(cramjam.snappy.compress_raw(body)), at)


def pods(first: int, count: int, metric: str = "m") -> list[dict[str, str]]:
    return [{NAME: metric, "namespace": "shop", "pod": f"p{index}"} for index in range(first, first + count)]


def rows(store: Store, now: float, metric: str = "m") -> int:
    return len(store.block(Select(metric), ("pod",), 300.0, now, 5.0).labels)


def test_only_what_is_asked_for_is_kept() -> None:
    store = Store(100, 5.0)
    store.covers(Select("m"), 300.0, T0, exact=False)
    taken = send(store, T0, *pods(0, 3), *pods(0, 5, "other"))
    assert (taken.kept, taken.ignored, taken.refused, store.series) == (3, 5, 0, 3)
    store.covers(Select("other"), 300.0, T0, exact=False)
    assert send(store, T0 + 5, *pods(0, 5, "other")).kept == 5
    assert rows(store, T0 + 6, "other") == 5


def test_a_metric_that_nobody_asks_for_any_more_is_given_up() -> None:
    store = Store(100, 5.0)
    store.covers(Select("m"), 300.0, T0, exact=False)
    send(store, T0, *pods(0, 3))
    store.tidy(T0 + 700)
    assert (store.series, store.wanted()) == (0, ())


def test_churn_is_bounded_and_what_has_no_room_is_said() -> None:
    store = Store(64, 5.0, window=60.0)
    store.covers(Select("m"), 60.0, T0, exact=False)
    assert send(store, T0, *pods(0, 64)).refused == 0
    assert send(store, T0 + 5, *pods(64, 10)).refused == 10
    assert not store.covers(Select("m"), 60.0, T0 + 5, exact=False)
    at = T0
    for generation in range(2, 12):
        at += 400.0
        assert send(store, at, *pods(64 * generation, 64)).refused == 0
        assert store.series == 64
        assert rows(store, at + 1) == 64


def test_series_that_are_over_make_room_for_new_ones() -> None:
    stale = float(np.array([0x7FF0000000000002], dtype=np.uint64).view(np.float64)[0])
    store = Store(10, 5.0)
    store.covers(Select("m"), 300.0, T0, exact=False)
    send(store, T0, *pods(0, 10))
    send(store, T0 + 5, *pods(0, 10), value=stale)
    assert send(store, T0 + 30, *pods(10, 10)).refused == 10
    assert send(store, T0 + 90, *pods(10, 10)).refused == 0


def test_twenty_thousand_new_series_a_minute_stay_in_bounded_memory() -> None:
    store = Store(30_000, 15.0, window=300.0)
    store.covers(Select("m"), 300.0, T0, exact=False)
    refused = 0
    for minute in range(10):
        for part in range(10):
            at = T0 + 60.0 * minute + 6.0 * part
            refused += send(store, at, *pods(20_000 * minute + 2_000 * part, 2_000)).refused
    assert store.series <= 30_000
    assert store.size < 30_000 * 2 * 45 * 10
    assert refused > 0
    assert not store.covers(Select("m"), 300.0, T0 + 600, exact=False)


def test_a_counter_keeps_its_small_steps() -> None:
    store = Store(10, 5.0)
    store.covers(Select("m"), 300.0, T0, exact=True)
    for index in range(3):
        send(store, T0 + 5 * index, *pods(0, 1), value=3e9 + index)
    (latest,) = store.latest(Select("m"), ("pod",), T0 + 11).values()
    assert latest == 3e9 + 2


def test_samples_by_query_and_by_write_are_one_series() -> None:
    store = Store(10, 5.0)
    store.covers(Select("m"), 300.0, T0, exact=False)
    (labels,) = pods(0, 1)
    send(store, T0, labels)
    del labels[NAME]
    store.put("m", Samples((labels,), np.array([0, 0]), np.array([T0 - 10, T0]), np.array([5.0, 1.0])), T0)
    assert store.series == 1
    block = store.block(Select("m", (equal("pod", "p0"),)), ("pod",), 300.0, T0 + 1, 5.0)
    assert block.values[np.isfinite(block.values)].tolist() == [5.0, 1.0]


def test_malformed_requests_change_nothing() -> None:
    store = Store(10, 5.0)
    store.covers(Select("m"), 300.0, T0, exact=False)
    with pytest.raises(Malformed):
        store.accept(b"\x05hello", T0)
    assert store.series == 0


@pytest.mark.parametrize(
    "labels",
    [
        {NAME: "up"},
        {NAME: "m", "pod": "p" * 200, "le": "+Inf", "ünï": "côde"},
        {"A": "\n\x08__name__\x12\x02up", NAME: "m"},
        {"pod": "p"},
        {NAME: "x" * 130},
    ],
)
def test_labels_are_read_as_they_were_written(labels: dict[str, str]) -> None:
    raw = encode(labels)
    assert {name.decode(): value.decode() for name, value in decode(raw).items()} == labels
    assert labels_of(raw) == labels
    assert metric_of(raw).decode() == labels.get(NAME, "")


def test_a_writer_that_was_silent_for_long_may_have_lost_something() -> None:
    store, at = Store(10, 5.0), T0
    select = Select("m")
    store.covers(select, 60.0, at, exact=False)
    for _ in range(100):
        at += 0.5
        send(store, at, *pods(0, 1))
    store.completed("m", at - 60)
    at += 2.0
    send(store, at, *pods(0, 1))
    assert store.missing(at) == []
    at += 7.0  # a restart of Prometheus: what waited in its queue is only in its own store
    send(store, at, *pods(0, 1))
    assert [one.metric for one in store.missing(at)] == ["m"]
