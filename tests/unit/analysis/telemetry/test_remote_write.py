"""The decoder reads what the protobuf library reads, refuses what it refuses, and stays within its bounds."""

from __future__ import annotations

import os
import subprocess
import sys

import cramjam
import numpy as np
import pytest

from analysis.telemetry.labels import encode
from analysis.telemetry.remote_write import MAX_BYTES, Decoder, Malformed
from benchmarks.fuzz import KINDS, fuzz
from benchmarks.wire import Request, request

INPUTS = int(os.environ.get("IIRP_FUZZ", "4000"))


def squeezed(message: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(message))


def test_fuzzed_requests_read_as_by_the_library_or_are_refused() -> None:
    found = fuzz(INPUTS)
    assert not [outcome for _, outcome in found if outcome.startswith("WRONG")]
    assert sum(found.values()) == INPUTS
    assert [found[kind, "read the same"] for kind in KINDS[1:3]] == [INPUTS // len(KINDS)] * 2
    assert found.get((KINDS[0], "refused, the library reads it"), 0) < INPUTS / 100


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


@pytest.mark.parametrize(
    "millis", [0, 1, 127, 1 << 34, (1 << 35) - 1, 1 << 35, (1 << 42) - 1, 1 << 42, (1 << 63) - 1, -1]
)
def test_times_of_every_length_beside_labels_of_every_length_are_read(millis: int) -> None:
    """What is read at a glance (labels below 128 bytes, times of six bytes) and what is not, side by side."""
    sizes = (0, 1, 2, 7, 8, 9, 15, 16, 17, 120, 121, 122, 123, 124, 127, 128, 300)
    sent = [({"a": "x" * size, "b": "y" * (size % 5)}, [(float(size), millis), (-0.5, 3)]) for size in sizes]
    decoder = Decoder(len(sizes))
    for _ in range(2):
        found = decoder.read(request(*sent))
        assert [decoder.labels(row) for row in found.rows[::2].tolist()] == [labels for labels, _ in sent]
        assert found.millis.tolist() == [millis, 3] * len(sizes)
        assert found.values.tolist() == [value for size in sizes for value in (float(size), -0.5)]


def test_the_same_series_twice_in_its_first_request_is_one() -> None:
    found = Decoder(4).read(request(({"a": "1"}, [(1.0, 1)]), ({"a": "1"}, [(2.0, 2)])))
    assert found.rows.tolist() == [0, 0]


def test_a_series_in_pieces_is_the_one_that_came_whole_until_it_is_forgotten() -> None:
    decoder, labels = Decoder(4), [encode({"a": "1"}), encode({"b": "2"})]
    whole = request(({"a": "1", "b": "2"}, [(1.0, 1)]))
    series, size = whole[2:], len(b"".join(labels))
    pieces = whole[:2] + labels[0] + series[size:] + labels[1]
    for _ in range(2):
        assert [decoder.read(one).rows.tolist() for one in (pieces, whole, pieces)] == [[0], [0], [0]]
        assert (decoder.row(series[:size]), len(decoder)) == ((0, False), 1)
        decoder.forget(np.array([0]))
        assert len(decoder) == 0


def test_series_that_nobody_wants_leave_room_for_those_that_are() -> None:
    decoder = Decoder(8, lambda raw: b"wanted" in raw)
    for first in range(0, 400, 40):
        flood = [({"ignored": str(number)}, [(1.0, 1)]) for number in range(first, first + 40)]
        for _ in range(2):
            assert decoder.read(request(*flood)).ignored == 40
    wanted = [({"wanted": str(number)}, [(1.0, 1)]) for number in range(9)]
    for _ in range(2):
        found = decoder.read(request(*wanted))
        assert (found.rows.tolist(), found.refused, len(decoder)) == (list(range(8)), 1, 8)


def test_both_versions_know_a_series_by_the_same_row() -> None:
    decoder = Decoder(4)
    first = decoder.read(request(({"__name__": "m", "pod": "a"}, [(1.0, 1)])))
    made = Request(symbols=[b"", b"__name__", b"m", b"pod", b"a"])
    made.timeseries.add(labels_refs=[1, 2, 3, 4]).samples.add(value=2.0, timestamp=2)
    second = decoder.decode(squeezed(made.SerializeToString()), version=2)
    assert (first.rows.tolist(), second.rows.tolist(), second.values.tolist()) == ([0], [0], [2.0])


@pytest.mark.parametrize(
    ("symbols", "refs", "word"),
    [
        ([b"", b"a"], [1], "2.0"),
        ([b"", b"a"], [1, 2], "2.0"),
        ([b"", b"a" * 60_000], [1] * 200, "labels of more than"),
    ],
    ids=["half a label", "no such symbol", "a small request of endless labels"],
)
def test_labels_that_refer_to_nothing_or_to_too_much(symbols: list[bytes], refs: list[int], word: str) -> None:
    made = Request(symbols=symbols)
    made.timeseries.add(labels_refs=refs).samples.add(value=1.0, timestamp=1)
    with pytest.raises(Malformed, match=word):
        Decoder(4).read_v2(made.SerializeToString())


FALLBACK = """
from analysis.compiled import COMPILED
from benchmarks.fuzz import Decoder, answers, damaged, some_request, some_v2_request
import hashlib, random
chance, decoder, said = random.Random(9), Decoder(10_000), hashlib.sha256()
for index in range(160):
    version = 1 + index // 2 % 2
    message = some_request(chance) if version == 1 else some_v2_request(chance)
    said.update(repr(answers(decoder, damaged(message, chance) if index % 2 else message, version)).encode())
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
