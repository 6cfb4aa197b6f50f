"""Native histograms read one bucket after the other: the slow, plain counterpart of ``analysis.telemetry.native``."""

from __future__ import annotations

import math
import random
import struct
from typing import Any

from analysis.telemetry.native import LE

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
_SCHEMAS = (*range(-4, 9), -53)


def counts_below(histogram: Any) -> list[float] | None:
    """Observations at or below each bound of a parsed Histogram message; None when it is not one that is read."""
    if struct.pack("<d", histogram.sum) == struct.pack("<d", STALE):
        return [STALE] * len(LE)
    if histogram.reset_hint == 3 or histogram.schema not in _SCHEMAS:
        return None
    floats = histogram.WhichOneof("count") == "count_float"
    above = list(histogram.positive_counts) if floats else _summed(histogram.positive_deltas)
    below = list(histogram.negative_counts) if floats else _summed(histogram.negative_deltas)
    if sum(span.length for span in histogram.positive_spans) != len(above):
        return None
    zero_float = histogram.WhichOneof("zero_count") == "zero_count_float"
    zero = histogram.zero_count_float if zero_float else float(histogram.zero_count_int)
    buckets = [(0.0, histogram.zero_threshold, zero), *_placed(histogram, above)]
    found = [
        sum(below) + sum(count * _share(lower, upper, float(bound)) for lower, upper, count in buckets)
        for bound in LE[:-1]
    ]
    return [*found, histogram.count_float if floats else float(histogram.count_int)]


def some_histogram(chance: random.Random, histogram: Any) -> None:
    """Fill a message with something that a sender might send, edges included."""
    histogram.schema = chance.choice((*_SCHEMAS, 3, 3, 9))
    histogram.timestamp = chance.choice((0, 1_700_000_000_000, -1))
    histogram.sum = STALE if chance.random() < 0.05 else chance.uniform(0, 100)
    histogram.reset_hint = chance.choice((0, 0, 1, 2, 3))
    histogram.zero_threshold = chance.choice((0.0, 2.0**-128, 0.1))
    counts = [chance.randrange(50) for _ in range(chance.randrange(12))]
    left = len(counts)
    while left:
        length = chance.randrange(1, left + 1)
        offset = 1 if histogram.schema == -53 else chance.randrange(-20, 20)
        histogram.positive_spans.add(offset=offset, length=length)
        left -= length
    if histogram.schema == -53:
        histogram.custom_values.extend(sorted(chance.uniform(0, 20) for _ in range(chance.randrange(6))))
    below = [chance.randrange(9) for _ in range(chance.randrange(3))]
    if chance.random() < 0.5:
        histogram.count_float, histogram.zero_count_float = float(sum(counts)), 1.5
        histogram.positive_counts.extend(map(float, counts))
        histogram.negative_counts.extend(map(float, below))
    else:
        histogram.count_int, histogram.zero_count_int = sum(counts) + 2, 2
        histogram.positive_deltas.extend(now - before for before, now in zip([0, *counts], counts, strict=False))
        histogram.negative_deltas.extend(now - before for before, now in zip([0, *below], below, strict=False))


def _summed(deltas: Any) -> list[float]:
    found, last = [], 0.0
    for delta in deltas:
        last += float(delta)
        found.append(last)
    return found


def _placed(histogram: Any, counts: list[float]) -> list[tuple[float, float, float]]:
    found, index, rest = [], 0, iter(counts)
    for span in histogram.positive_spans:
        index += span.offset
        for _ in range(span.length):
            lower, upper = _bound(index - 1, histogram), _bound(index, histogram)
            found.append((max(lower, 0.0), upper, next(rest)))
            index += 1
    return found


def _bound(index: int, histogram: Any) -> float:
    if histogram.schema != -53:
        try:
            return math.pow(2.0, index * 2.0**-histogram.schema)
        except OverflowError:
            return math.inf
    if index < 0:
        return 0.0
    return histogram.custom_values[index] if index < len(histogram.custom_values) else math.inf


def _share(lower: float, upper: float, bound: float) -> float:
    """Part of a bucket that lies at or below a bound."""
    if bound >= upper * (1 - 1e-9):
        return 1.0
    return 0.0 if bound <= lower * (1 + 1e-9) or math.isinf(upper) else (bound - lower) / (upper - lower)
