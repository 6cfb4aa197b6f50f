"""Native histograms are read alike by remote_write and by query, and both as Prometheus reads them."""

from __future__ import annotations

import random
from typing import Any

import cramjam
import numpy as np
import pytest

from analysis.telemetry.native import LE
from analysis.telemetry.prometheus import decode_matrix
from analysis.telemetry.query import RateSum, Select, equal
from analysis.telemetry.remote_write import Decoder, Malformed
from analysis.telemetry.store import Store
from benchmarks.native import _placed, _summed, counts_below, some_histogram
from benchmarks.wire import WriteRequest

T0 = 1_767_225_600.0
NAME = "http_request_duration_seconds"
PAYMENTS = {"__name__": NAME, "namespace": "shop", "pod": "payments-0"}


def written(labels: dict[str, str], *histograms: dict[str, Any]) -> bytes:
    made = WriteRequest()
    series = made.timeseries.add()
    for name, value in sorted(labels.items()):
        series.labels.add(name=name.encode(), value=value.encode())
    for given in histograms:
        fields = dict(given)
        spans = fields.pop("spans", ())
        one = series.histograms.add(**fields)
        for offset, length in spans:
            one.positive_spans.add(offset=offset, length=length)
    return bytes(made.SerializeToString())


def as_json(histogram: Any) -> dict[str, Any]:
    """What Prometheus answers of an integer histogram with a standard schema and no negative buckets."""
    placed = _placed(histogram, _summed(histogram.positive_deltas))
    zero = (-histogram.zero_threshold, histogram.zero_threshold, float(histogram.zero_count_int))
    return {
        "count": str(histogram.count_int),
        "sum": str(histogram.sum),
        "buckets": [[0, str(lo), str(up), str(count)] for lo, up, count in [zero, *placed] if count],
    }


def test_a_query_and_a_write_say_the_same() -> None:
    chance, seen = random.Random(4), 0
    while seen < 30:
        message = WriteRequest().timeseries.add().histograms.add()
        some_histogram(chance, message)
        counts = counts_below(message)
        standard = message.schema != -53 and message.WhichOneof("count") == "count_int"
        if not standard or message.negative_deltas or counts is None or np.isnan(counts).any():
            continue
        item = {"metric": {"pod": "p"}, "histograms": [[T0, as_json(message)]]}
        read = decode_matrix([item])
        assert [labels["le"] for labels in read.labels] == list(LE)
        np.testing.assert_allclose(read.values, counts, rtol=1e-6)
        seen += 1


def test_a_series_of_both_kinds_is_two() -> None:
    mixed = WriteRequest.FromString(written(PAYMENTS, {"count_int": 3, "timestamp": 1000}))
    mixed.timeseries[0].samples.add(value=7.0, timestamp=1000)
    decoder = Decoder(100)
    for _ in range(2):
        found = decoder.read(mixed.SerializeToString())
        assert (found.values[0], found.values[-1], len(found.rows)) == (7.0, 3.0, 1 + len(LE))
    assert "le" not in decoder.labels(int(found.rows[0]))
    assert decoder.labels(int(found.rows[-1])) == {**PAYMENTS, "le": "+Inf"}


@pytest.mark.parametrize(
    "histogram",
    [
        {"count_int": 3, "reset_hint": 3},
        {"count_int": 3, "schema": 12},
        {"count_int": 3, "spans": [(0, 4_000_000_000)], "positive_deltas": [3]},
        {"count_int": 3, "spans": [(0, 1)], "positive_deltas": [1, 1, 1]},
    ],
    ids=["gauge", "schema of the future", "endless span", "more counts than spans"],
)
def test_what_is_no_counter_is_passed_over(histogram: dict[str, Any]) -> None:
    found = Decoder(100).read(written(PAYMENTS, histogram))
    assert (len(found.rows), found.ignored, found.histograms) == (0, 1, 1)


def test_a_damaged_histogram_refuses_the_whole_request() -> None:
    message = written(PAYMENTS, {"count_int": 3, "spans": [(0, 1)], "positive_deltas": [3]})
    at = message.rindex(b"\x62\x01\x06")  # the packed deltas; now they claim to go on
    decoder = Decoder(100)
    with pytest.raises(Malformed):
        decoder.read(message[:at] + b"\x62\x01\x86" + message[at + 3 :])
    assert len(decoder) == 0


def test_rates_of_native_histograms_come_from_memory_and_end_with_their_series() -> None:
    store, now = Store(1000, 5.0), T0
    select = Select(NAME, (equal("namespace", "shop"),), native=True)
    query = RateSum(select, 60.0, ("namespace", "pod", "le"))
    assert not store.covers(select, 150.0, now, exact=True)
    for tick in range(40):
        now = T0 + 5.0 * tick
        one = {"count_int": 10 * tick, "sum": 1.0, "schema": 3, "timestamp": round(now * 1000)}
        body = written(PAYMENTS, {**one, "spans": [(1, 1), (12, 1)], "positive_deltas": [5 * tick, 0]})
        store.accept(bytes(cramjam.snappy.compress_raw(body)), now)
    store.completed(NAME, T0)
    assert store.covers(select, 150.0, now, exact=True)
    rates = store.rates(query, 90.0, 10.0, now)
    latest = {labels["le"]: float(value) for labels, value in zip(rates.labels, rates.values[:, -1], strict=True)}
    assert latest["1.0"] == pytest.approx(0.0)
    assert latest["1.4142135623730951"] == pytest.approx(1.0)  # the bucket (1, 1.09]
    assert latest["4.0"] == pytest.approx(2.0)  # and (2.83, 3.08]
    assert latest["+Inf"] == pytest.approx(2.0)
    store.evict(now + 3000)
    assert store.series == 0
    again = store.accept(bytes(cramjam.snappy.compress_raw(body)), now)
    assert (again.kept, store.series) == (len(LE), len(LE))
