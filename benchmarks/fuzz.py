"""``python -m benchmarks fuzz [--inputs 1000000]``: the remote_write decoder against the ordinary protobuf library.

A fifth each: valid requests of version 1 and of version 2, damaged ones (of both), valid ones whose compressed body is
damaged, noise. What the decoder
accepts the library must read the same, bit by bit; what the library refuses it must refuse; nothing else may be raised.
"""

from __future__ import annotations

import argparse
import math
import random
import struct
import time
from collections import Counter
from typing import Any

import cramjam
from google.protobuf.message import DecodeError

from analysis.telemetry.native import LE
from analysis.telemetry.remote_write import Decoder, Malformed
from benchmarks.native import counts_below, some_histogram
from benchmarks.report import table
from benchmarks.wire import Request, WriteRequest

Read = list[tuple[tuple[Any, ...], int, float]]
"""(labels, milliseconds, value) by sample; those of native histograms last, by bound."""
SEED = 1
SERIES = 20_000
"""After so many series a new decoder is taken: the table's edges are met too."""
ROOM = 5 * len(LE)
"""Series that one request may have."""


def answers(decoder: Decoder, message: bytes, version: int = 1) -> Read | None:
    """What the decoder reads; None when it refuses."""
    try:
        found = decoder.read(message) if version == 1 else decoder.read_v2(message)
    except Malformed:
        return None
    identity = {row: _identity(decoder.labels(row)) for row in set(found.rows.tolist())}
    parts = zip(found.rows.tolist(), found.millis.tolist(), found.values.tolist(), strict=True)
    return [(identity[row], at, value) for row, at, value in parts]


def expected(message: bytes, version: int = 1) -> Read | None:
    """What the library reads; None when it refuses, or when a label of version 2 refers to nothing."""
    try:
        read = WriteRequest.FromString(message) if version == 1 else Request.FromString(message)
        labelled = [(one, _labels(one) if version == 1 else _referred(one, read.symbols)) for one in read.timeseries]
    except (DecodeError, LookupError):
        return None
    samples, counts = [], []
    for series, labels in labelled:
        samples += [(_identity(labels), sample.timestamp, sample.value) for sample in series.samples]
        for one in series.histograms:
            for le, count in zip(LE, counts_below(one) or (), strict=False):
                counts.append((_identity({**labels, "le": le}), one.timestamp, count))
    return samples + counts


def _labels(series: Any) -> dict[str, str]:
    return {_text(one.name): _text(one.value) for one in series.labels}


def _referred(series: Any, symbols: Any) -> dict[str, str]:
    if len(series.labels_refs) % 2:
        raise LookupError("half a label")
    texts = [_text(symbols[ref]) for ref in series.labels_refs]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def same(ours: Read | None, theirs: Read | None) -> bool:
    """Samples to the bit, NaN of any kind included; counts but for rounding."""
    if ours is None or theirs is None or len(ours) != len(theirs):
        return ours is theirs
    return all(
        one[:2] == other[:2] and (_bits(one[2]) == _bits(other[2]) or math.isclose(one[2], other[2], rel_tol=1e-6))
        for one, other in zip(ours, theirs, strict=True)
    )


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _identity(labels: dict[str, str]) -> tuple[Any, ...]:
    return tuple(sorted(labels.items()))


def _bits(value: float) -> bytes:
    return struct.pack("<d", value)


def some_request(chance: random.Random) -> bytes:
    """A small valid request with edges in it."""
    made = WriteRequest()
    for _ in range(chance.randrange(5)):
        series = made.timeseries.add()
        labels = {
            chance.choice("abcdefg") * chance.randrange(1, 4): "v" * chance.choice((0, 1, 7, 40, 200)) for _ in range(4)
        }
        for name, value in sorted(labels.items()):
            series.labels.add(name=name.encode(), value=value.encode())
        for _ in range(chance.randrange(3)):
            at = chance.choice((0, 5, -1, 1_700_000_000_000, 2**62))
            series.samples.add(value=chance.choice((0.0, -1.5, 1e300, float("inf"))), timestamp=at)
        if chance.random() < 0.2:
            some_histogram(chance, series.histograms.add())
    return bytes(made.SerializeToString())


def some_v2_request(chance: random.Random) -> bytes:
    """The same in version 2."""
    first, made = WriteRequest.FromString(some_request(chance)), Request(symbols=[b""])
    for series in first.timeseries:
        one = made.timeseries.add()
        for label in series.labels:
            for text in (label.name, label.value):
                if text not in made.symbols:
                    made.symbols.append(text)
                one.labels_refs.append(list(made.symbols).index(text))
        for sample in series.samples:
            one.samples.add(value=sample.value, timestamp=sample.timestamp)
        for histogram in series.histograms:
            one.histograms.add().MergeFromString(histogram.SerializeToString())
    return bytes(made.SerializeToString())


def damaged(message: bytes, chance: random.Random) -> bytes:
    """A few bytes changed, removed or put in."""
    data = bytearray(message)
    for _ in range(chance.randrange(1, 4)):
        kind = chance.randrange(3)
        at = chance.randrange(len(data) + 1)
        if kind == 0 and data:
            data[at % len(data)] = chance.randrange(256)
        elif kind == 1:
            del data[at : at + chance.randrange(1, 9)]
        else:
            data[at:at] = chance.randbytes(chance.randrange(1, 5))
    return bytes(data)


def _one(kind: int, decoder: Decoder, chance: random.Random) -> str:
    """Outcome of one input; ``WRONG: …`` is a defect."""
    if kind < 3:
        version = kind or chance.randrange(1, 3)
        message = some_request(chance) if version == 1 else some_v2_request(chance)
        message = message if kind else damaged(message, chance)
        ours, theirs = answers(decoder, message, version), expected(message, version)
        if ours is None and not kind:
            # groups, which remote_write never had, are read by the library and refused here
            return "refused" if theirs is None else "refused, the library reads it"
        return "read the same" if same(ours, theirs) else f"WRONG: {version} {message.hex()}"
    body = chance.randbytes(chance.randrange(80))
    if kind == 3:
        body = damaged(bytes(cramjam.snappy.compress_raw(some_request(chance))), chance)
    try:
        decoder.decode(body, chance.randrange(1, 3))
    except Malformed:
        return "refused"
    return "read"


KINDS = ("valid, then damaged", "valid", "valid, version 2", "damaged after compression", "noise")


def fuzz(inputs: int, seed: int = SEED) -> dict[tuple[str, str], int]:
    """Number of inputs by kind and outcome."""
    chance, decoder = random.Random(seed), Decoder(SERIES)  # noqa: S311 - not for secrets
    found: Counter[tuple[str, str]] = Counter()
    for index in range(inputs):
        if len(decoder) > SERIES - ROOM:
            decoder = Decoder(SERIES)
        found[KINDS[index % len(KINDS)], _one(index % len(KINDS), decoder, chance)] += 1
    return dict(found)


def run(argv: list[str]) -> int:
    """1 when a number was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks fuzz")
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args(argv)
    started = time.monotonic()
    found = fuzz(given.inputs, given.seed)
    print(table(("input", "outcome", "n"), [(*key, f"{count:,}") for key, count in sorted(found.items())]))
    print(f"{given.inputs:,} inputs, seed {given.seed}, {time.monotonic() - started:.0f} s")
    return 1 if any(outcome.startswith("WRONG") for _, outcome in found) else 0
