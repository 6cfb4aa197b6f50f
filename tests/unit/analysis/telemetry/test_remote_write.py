"""The decoder reads what the protobuf library reads, refuses what it refuses, and stays within its bounds."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys

import cramjam
import numpy as np
import pytest
from google.protobuf.message import DecodeError

from analysis.telemetry.remote_write import MAX_BYTES, Decoder, Malformed
from tests.unit.analysis.telemetry.remote import WriteRequest, request

INPUTS = int(os.environ.get("IIRP_FUZZ", "4000"))


def squeezed(message: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(message))


def answers(decoder: Decoder, message: bytes) -> list[tuple[tuple, int, int]] | None:
    """(labels, milliseconds, bits of the value) by sample, None when it is refused."""
    try:
        found = decoder.read(message)
    except Malformed:
        return None
    bits = found.values.view(np.uint64).tolist()
    identity = {row: tuple(decoder.labels(row).items()) for row in set(found.rows.tolist())}
    return [(identity[r], t, b) for r, t, b in zip(found.rows.tolist(), found.millis.tolist(), bits, strict=True)]


def expected(message: bytes) -> list[tuple[tuple, int, int]] | None:
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
    series = []
    for _ in range(chance.randrange(5)):
        labels = {
            chance.choice("abcdefg") * chance.randrange(1, 4): "v" * chance.choice((0, 1, 7, 40, 200)) for _ in range(4)
        }
        times = [chance.choice((0, 5, -1, 1_700_000_000_000, 2**62)) for _ in range(chance.randrange(3))]
        series.append((labels, [(chance.choice((0.0, -1.5, 1e300, float("inf"))), at) for at in times]))
    return request(*series)


def damaged(message: bytes, chance: random.Random) -> bytes:
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


def test_valid_requests_read_as_by_the_library() -> None:
    chance, decoder = random.Random(1), Decoder(2 * INPUTS)
    for _ in range(INPUTS // 4):
        message = some_request(chance)
        assert answers(decoder, message) == expected(message)


def test_damaged_requests_give_the_librarys_answer_or_none() -> None:
    chance, refused = random.Random(2), 0
    decoder = Decoder(4 * INPUTS)
    for _ in range(INPUTS):
        message = damaged(some_request(chance), chance)
        ours, theirs = answers(decoder, message), expected(message)
        if ours is None and theirs is not None:
            refused += 1  # groups, which remote_write never had
            continue
        assert ours == theirs, message.hex()
    assert refused < INPUTS / 50


def test_noise_is_refused_without_a_crash() -> None:
    chance, decoder = random.Random(3), Decoder(16)
    for _ in range(INPUTS // 4):
        body = chance.randbytes(chance.randrange(60))
        try:
            decoder.decode(body)
        except Malformed:
            continue


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "header"),
        (b"\xff\xff\xff\xff\x7f", "bytes uncompressed"),
        (b"\x05hello", "snappy"),
        (squeezed(b"\x00"), "WriteRequest"),
    ],
)
def test_what_is_wrong_is_said(body: bytes, word: str) -> None:
    with pytest.raises(Malformed, match=word):
        Decoder(4).decode(body)


def test_a_small_body_cannot_unpack_to_a_large_one() -> None:
    with pytest.raises(Malformed, match="uncompressed"):
        Decoder(4).decode(squeezed(b"\x00" * (MAX_BYTES + 1)))


def test_a_series_keeps_its_row_and_a_full_decoder_refuses_new_ones() -> None:
    decoder = Decoder(2)
    first = decoder.read(request(({"a": "1"}, [(1.0, 1)]), ({"a": "2"}, [(2.0, 1)])))
    again = decoder.read(request(({"a": "2"}, [(3.0, 2)]), ({"a": "3"}, [(4.0, 2)])))
    assert first.rows.tolist() == [0, 1]
    assert (again.rows.tolist(), again.values.tolist(), again.refused) == ([1], [3.0], 1)
    decoder.forget(np.array([0]))
    later = decoder.read(request(({"a": "3"}, [(4.0, 3)]), ({"a": "2"}, [(5.0, 3)])))
    assert (later.rows.tolist(), later.refused, len(decoder)) == ([0, 1], 0, 2)
    assert decoder.labels(0) == {"a": "3"}


def test_the_same_series_twice_in_its_first_request_is_one() -> None:
    found = Decoder(4).read(request(({"a": "1"}, [(1.0, 1)]), ({"a": "1"}, [(2.0, 2)])))
    assert found.rows.tolist() == [0, 0]


FALLBACK = """
from analysis.compiled import COMPILED
from tests.unit.analysis.telemetry.test_remote_write import Decoder, answers, damaged, some_request
import hashlib, random
chance, decoder, said = random.Random(9), Decoder(10_000), hashlib.sha256()
for index in range(150):
    message = some_request(chance)
    said.update(repr(answers(decoder, damaged(message, chance) if index % 2 else message)).encode())
print(COMPILED, said.hexdigest())
"""


def test_without_a_compiler_the_answers_are_the_same() -> None:
    said = {}
    for off in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", FALLBACK],
            env={**os.environ, "IIRP_NO_COMPILE": off, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        compiled, said[off] = done.stdout.split()
        assert compiled == str(off == "0")
    assert said["0"] == said["1"]
