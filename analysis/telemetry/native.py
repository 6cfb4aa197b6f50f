"""Native histograms as counts below fixed bounds: from here on they are read like classic ones, with a label ``le``.

A native histogram has up to hundreds of buckets, which come and go and change their width. Its counts below half powers
of two are the same at every resolution finer than those, so they are counters, as ``le`` buckets are. Coarser buckets
are divided linearly, which is what a quantile would do with them anyway. What is below zero counts as below all bounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from analysis.compiled import kernel
from analysis.telemetry.wire import Bytes, Index, Int64, UInt64, field, signed, varint, varints, word
from analysis.windows.block import Bool, Float64

BOUNDS: Float64 = np.exp2(np.arange(-16, 13) / 2)
"""Seconds, from 4 ms to a minute: what thresholds of latencies lie between."""
LE = (*(repr(float(bound)) for bound in BOUNDS), "+Inf")
"""Values of the label, one per counter."""
LE_BYTES = tuple(le.encode() for le in LE)

READ, STALE, SKIPPED, MALFORMED = 0, 1, 2, -1
"""What became of a histogram. Skipped: a gauge, or a layout that is not known."""

_STALE_BITS = np.uint64(0x7FF0000000000002)
STALE_NAN = np.array([_STALE_BITS]).view(np.float64)[0]
"""The marker with which a sender ends a series."""
_CUSTOM, _COARSEST, _FINEST = -53, -4, 8
_GAUGE = np.uint64(3)
_COUNT, _SUM, _THRESHOLD, _ZERO, _SCHEMA, _HINT, _TIME = range(7)
"""Places of the fields that are one number."""
_NEAR = 1e-9
"""Relative distance below which two bounds are the same: powers are rounded."""
_LOW32 = np.uint64(0xFFFFFFFF)
_ONE = np.uint64(1)


@kernel
def _zigzag(value: np.uint64) -> Index:
    """A sint64."""
    half = np.int64(value >> _ONE)
    return -half - 1 if value & _ONE else half


@kernel
def _words(data: Bytes, begin: Index, stop: Index, wire: Index, into: UInt64, count: Index) -> Index:
    """The same for doubles, as their bits."""
    if wire != 1 and wire != 2:
        return count
    if (stop - begin) % 8:
        return -1
    while begin < stop:
        into[count] = word(data, begin)
        count += 1
        begin += 8
    return count


@kernel
def _span(data: Bytes, begin: Index, stop: Index, into: Int64) -> bool:
    """Read a BucketSpan into ``into: int64[2]``, offset and length; False when malformed."""
    while begin < stop:
        number, wire, at, begin = field(data, begin, stop)
        if begin < 0:
            return False
        if wire == 0 and number <= 2:
            value, _ = varint(data, at, begin)
            into[number - 1] = _zigzag(value & _LOW32) if number == 1 else np.int64(value & _LOW32)
    return True


@kernel
def _spread(out: Float64, lower: float, upper: float, count: float) -> None:
    """Add a bucket ``(lower, upper]`` to the cells between the bounds."""
    given, before = 0.0, lower
    cell = np.searchsorted(BOUNDS, lower * (1 + _NEAR) if upper > lower else upper)
    while cell < len(BOUNDS) and BOUNDS[cell] < upper * (1 - _NEAR):
        share = count * (BOUNDS[cell] - before) / (upper - lower)
        out[cell] += share
        given += share
        before = BOUNDS[cell]
        cell += 1
    out[cell] += count - given


@kernel
def _upper(index: Index, schema: Index, custom: Float64) -> float:
    """Upper bound of a bucket."""
    if schema != _CUSTOM:
        return float(np.exp2(index * 2.0**-schema))
    if index < 0:
        return 0.0
    return float(custom[index]) if index < len(custom) else np.inf


@kernel
def _fill(out: Float64, spans: Int64, counts: Float64, schema: Index, custom: Float64) -> bool:
    """Spread the positive buckets; False when spans and counts do not fit together."""
    index, taken = 0, 0
    for span in range(len(spans)):
        index += spans[span, 0]
        if spans[span, 1] > len(counts) - taken:
            return False
        for _ in range(spans[span, 1]):
            lower = max(_upper(index - 1, schema, custom), 0.0)
            _spread(out, lower, _upper(index, schema, custom), counts[taken])
            index += 1
            taken += 1
    return taken == len(counts)


@kernel
def _scalar(data: Bytes, number: Index, wire: Index, begin: Index, stop: Index, head: UInt64, kinds: Int64) -> None:
    """Take a field that is one number. ``head: uint64[7]``, see :data:`_COUNT` and the others; ``kinds``: floats?"""
    if wire == 0 and (number == 1 or number == 6):
        head[_COUNT if number == 1 else _ZERO], _ = varint(data, begin, stop)
        kinds[0 if number == 1 else 1] = 0
    elif wire == 1 and (number == 2 or number == 7):
        head[_COUNT if number == 2 else _ZERO] = word(data, begin)
        kinds[0 if number == 2 else 1] = 1
    elif wire == 1 and (number == 3 or number == 5):
        head[_SUM if number == 3 else _THRESHOLD] = word(data, begin)
    elif wire == 0 and (number == 4 or number == 14 or number == 15):
        head[_SCHEMA if number == 4 else _HINT if number == 14 else _TIME], _ = varint(data, begin, stop)


@kernel
def _read(
    data: Bytes, at: Index, end: Index, head: UInt64, kinds: Int64, lists: UInt64, sizes: Int64, spans: Int64
) -> bool:
    """Take all fields of a Histogram message; False when it is malformed.

    Args:
        lists: ``uint64[5, …]``, the repeated fields: deltas and counts below zero, above zero, custom bounds.
        sizes: ``int64[6]``, how many there are of each, and of the spans above zero.
        spans: ``int64[…, 2]``; the one after the last takes those below zero, where only the sum counts.
    """
    while at < end:
        number, wire, begin, at = field(data, at, end)
        if at < 0:
            return False
        if number == 8 or number == 11:
            if wire == 2 and not _span(data, begin, at, spans[sizes[5] if number == 11 else -1]):
                return False
            sizes[5] += wire == 2 and number == 11
        elif number == 9 or number == 12:
            kind = 0 if number == 9 else 1
            sizes[kind] = varints(data, begin, at, wire, lists[kind], sizes[kind])
        elif number == 10 or number == 13 or number == 16:
            kind = 2 if number == 10 else 3 if number == 13 else 4
            sizes[kind] = _words(data, begin, at, wire, lists[kind], sizes[kind])
        else:
            _scalar(data, number, wire, begin, at, head, kinds)
        if sizes.min() < 0:
            return False
    return True


@kernel
def _histogram(data: Bytes, at: Index, end: Index, out: Float64) -> tuple[Index, Index]:
    """Read one Histogram message: milliseconds and what became of it. ``out: float64[len(LE)]`` is filled when read."""
    head, kinds, sizes = np.zeros(7, dtype=np.uint64), np.zeros(2, dtype=np.int64), np.zeros(6, dtype=np.int64)
    lists = np.empty((5, end - at + 1), dtype=np.uint64)
    spans = np.zeros(((end - at) // 2 + 2, 2), dtype=np.int64)
    if not _read(data, at, end, head, kinds, lists, sizes, spans):
        return 0, MALFORMED
    millis, schema = signed(head[_TIME]), _zigzag(head[_SCHEMA] & _LOW32)
    if head[_SUM] == _STALE_BITS:
        return millis, STALE
    known = schema == _CUSTOM or _COARSEST <= schema <= _FINEST
    if (head[_HINT] & _LOW32) == _GAUGE or not known:
        return millis, SKIPPED
    if kinds[0]:
        below, above = lists[2, : sizes[2]].view(np.float64), lists[3, : sizes[3]].view(np.float64)
    else:
        below, above = _absolute(lists[0, : sizes[0]]), _absolute(lists[1, : sizes[1]])
    floats = head.view(np.float64)
    out[:] = 0.0
    out[0] = below.sum()
    _spread(out, 0.0, floats[_THRESHOLD], floats[_ZERO] if kinds[1] else float(head[_ZERO]))
    if not _fill(out, spans[: sizes[5]], above, schema, lists[4, : sizes[4]].view(np.float64)):
        return millis, SKIPPED
    for cell in range(1, len(BOUNDS)):
        out[cell] += out[cell - 1]
    out[len(BOUNDS)] = floats[_COUNT] if kinds[0] else float(head[_COUNT])  # with what no bucket counts: NaN
    return millis, READ


@kernel
def _absolute(deltas: UInt64) -> Float64:
    """Counts of buckets, each of which says how it differs from the one before."""
    found = np.empty(len(deltas))
    last = 0.0
    for index in range(len(deltas)):
        last += float(_zigzag(deltas[index]))
        found[index] = last
    return found


@kernel
def read_all(data: Bytes, spans: Int64, out: Float64, millis: Int64, status: Int64) -> None:
    """Read Histogram messages.

    Args:
        spans: ``int64[histogram, 2]``, where they begin and end.
        out: ``float64[histogram, len(LE)]``, filled.
        millis, status: ``int64[histogram]``, filled.
    """
    for index in range(len(spans)):
        millis[index], status[index] = _histogram(data, spans[index, 0], spans[index, 1], out[index])


def as_classic(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A series of Prometheus' JSON matrix whose values are histograms, as one series of numbers per bound."""
    stamps = [at for at, _ in item["histograms"]]
    counts = np.array([_below(one) for _, one in item["histograms"]]).T
    for le, values in zip(LE, counts.tolist(), strict=True):
        yield {"metric": {**item["metric"], "le": le}, "values": list(zip(stamps, values, strict=True))}


def _below(histogram: dict[str, Any]) -> Float64:
    """``float64[len(LE)]``. Buckets are ``[which sides are closed, lower, upper, count]``."""
    buckets = np.array([bucket[1:] for bucket in histogram.get("buckets") or ()], dtype=np.float64).reshape(-1, 3)
    lower, upper, count = np.maximum(buckets[:, 0], 0.0)[:, None], buckets[:, 1][:, None], buckets[:, 2]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(upper > lower, (BOUNDS[None, :] - lower) / (upper - lower), 1.0)
    share = np.where(BOUNDS[None, :] >= upper * (1 - _NEAR), 1.0, np.clip(share, 0.0, 1.0))
    share = np.where(np.isinf(upper) | (BOUNDS[None, :] < lower), 0.0, share)
    return np.append(count @ share, float(histogram["count"]))


class Natives:
    """Which rows the counters of each series of native histograms have."""

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}
        self._raw: list[bytes | None] = []
        self._free: list[int] = []
        self._rows: Int64 = np.zeros((0, len(LE)), dtype=np.int64)

    def number(self, raw: bytes) -> int | None:
        """Of a known series, by its label fields."""
        return self._known.get(raw)

    def add(self, raw: bytes, rows: Sequence[int]) -> int:
        """Number of a new series."""
        number = self._free.pop() if self._free else len(self._raw)
        if number == len(self._raw):
            self._raw.append(None)
        if number >= len(self._rows):
            self._rows = np.pad(self._rows, ((0, max(16, len(self._rows))), (0, 0)))
        self._known[raw], self._raw[number], self._rows[number] = number, raw, rows
        return number

    def rows(self, numbers: Int64) -> Int64:
        """``int64[series, len(LE)]``."""
        return self._rows[numbers]

    def forget(self, gone: Bool) -> None:
        """Rows are given to others: forget the series that had them. ``gone: bool[row]``."""
        for number in np.flatnonzero(gone[self._rows[: len(self._raw)]].any(axis=1)).tolist():
            raw = self._raw[number]
            if raw is not None:
                del self._known[raw]
                self._raw[number] = None
                self._free.append(number)

    def alive(self, numbers: Int64) -> Bool:
        """Which of them are known. ``bool[series]``."""
        here = np.array([raw is not None for raw in self._raw], dtype=np.bool_)
        return here[numbers]
