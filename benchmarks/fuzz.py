"""``python -m benchmarks fuzz [--inputs 1000000]``: the remote_write decoder against the ordinary protobuf library.

A quarter each: valid requests, damaged ones, valid ones whose compressed body is damaged, noise. What the decoder
accepts the library must read the same, bit by bit; what the library refuses it must refuse; nothing else may be raised.
"""

from __future__ import annotations

import argparse
import random
import struct
import time
from collections import Counter
from typing import Any

import cramjam
import numpy as np
from google.protobuf.message import DecodeError

from analysis.telemetry.remote_write import Decoder, Malformed
from benchmarks.report import table
from benchmarks.wire import WriteRequest, request

Read = list[tuple[tuple[Any, ...], int, int]]
"""(labels, milliseconds, bits of the value) by sample."""
SEED = 1
SERIES = 20_000
"""After so many series a new decoder is taken: the table's edges are met too."""


def answers(decoder: Decoder, message: bytes) -> Read | None:
    """What the decoder reads; None when it refuses."""
    try:
        found = decoder.read(message)
    except Malformed:
        return None
    bits = found.values.view(np.uint64).tolist()
    identity = {row: tuple(decoder.labels(row).items()) for row in set(found.rows.tolist())}
    return [(identity[r], t, b) for r, t, b in zip(found.rows.tolist(), found.millis.tolist(), bits, strict=True)]


def expected(message: bytes) -> Read | None:
    """What the library reads; None when it refuses."""
    try:
        read = WriteRequest.FromString(message)
    except DecodeError:
        return None
    return [
        (
            tuple({p.name.decode("utf-8", "replace"): p.value.decode("utf-8", "replace") for p in s.labels}.items()),
            sample.timestamp,
            struct.unpack("<Q", struct.pack("<d", sample.value))[0],
        )
        for s in read.timeseries
        for sample in s.samples
    ]


def some_request(chance: random.Random) -> bytes:
    """A small valid request with edges in it."""
    series = []
    for _ in range(chance.randrange(5)):
        labels = {
            chance.choice("abcdefg") * chance.randrange(1, 4): "v" * chance.choice((0, 1, 7, 40, 200)) for _ in range(4)
        }
        times = [chance.choice((0, 5, -1, 1_700_000_000_000, 2**62)) for _ in range(chance.randrange(3))]
        series.append((labels, [(chance.choice((0.0, -1.5, 1e300, float("inf"))), at) for at in times]))
    return request(*series)


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
    if kind < 2:
        message = some_request(chance)
        message = damaged(message, chance) if kind else message
        ours, theirs = answers(decoder, message), expected(message)
        if ours is None:
            # groups, which remote_write never had, are read by the library and refused here
            return (
                "refused" if theirs is None else "refused, the library reads it" if kind else f"WRONG: {message.hex()}"
            )
        return "read the same" if ours == theirs else f"WRONG: {message.hex()}"
    body = (
        damaged(bytes(cramjam.snappy.compress_raw(some_request(chance))), chance)
        if kind == 2
        else chance.randbytes(chance.randrange(80))
    )
    try:
        decoder.decode(body)
    except Malformed:
        return "refused"
    return "read"


KINDS = ("valid", "valid, then damaged", "damaged after compression", "noise")


def fuzz(inputs: int, seed: int = SEED) -> dict[tuple[str, str], int]:
    """Number of inputs by kind and outcome."""
    chance, decoder = random.Random(seed), Decoder(SERIES)  # noqa: S311 - not for secrets
    found: Counter[tuple[str, str]] = Counter()
    for index in range(inputs):
        if len(decoder) > SERIES - 10:
            decoder = Decoder(SERIES)
        found[KINDS[index % 4], _one(index % 4, decoder, chance)] += 1
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
