"""S8: whatever is done to the log, verification sees it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest

from controllers.audit.chain import GENESIS, Head, link, read, verify
from crds.v1alpha1.digest import canonical_json

Log = list[bytes]


def written(count: int = 12) -> tuple[Log, Head]:
    head, lines = Head(), []
    for number in range(count):
        entry = {
            "kind": "policy.decide",
            "at": f"2026-01-02T03:04:{number:02d}+00:00",
            "decision": {"tier": "Auto", "n": number},
        }
        line, head = link(head, entry)
        lines.append(line)
    return lines, head


LINES, HEAD = written()


def test_an_untouched_log_is_whole() -> None:
    found = verify(LINES, [HEAD, Head(3, read(LINES[3])["hash"]), Head()])
    assert found.whole
    assert found.head == HEAD == Head(11, read(LINES[-1])["hash"])
    assert verify([]).head == Head(-1, GENESIS)


def flip(rng: random.Random, lines: Log) -> None:
    index = rng.randrange(len(lines))
    at = rng.randrange(len(lines[index]))
    line = bytearray(lines[index])
    line[at] ^= rng.randrange(1, 256)
    lines[index] = bytes(line)


def insert_bytes(rng: random.Random, lines: Log) -> None:
    index = rng.randrange(len(lines))
    at = rng.randrange(len(lines[index]) + 1)
    lines[index] = lines[index][:at] + rng.choice([b" ", b"\t", b"0", b"\\u0041", b"\r"]) + lines[index][at:]


def edit_value(rng: random.Random, lines: Log) -> None:
    """A forger who knows the format and recomputes the record's own hash, but not those after it."""
    index = rng.randrange(len(lines))
    record = json.loads(lines[index])
    record.setdefault("decision", {})["tier"] = "Forged"
    record.pop("hash")
    seq, prev = record["seq"], record["prev"]
    entry = {key: value for key, value in record.items() if key not in ("seq", "prev", "format")}
    lines[index], _ = link(Head(seq - 1, prev), entry)


def rewrite_from(rng: random.Random, lines: Log) -> None:
    """A forger who writes everything anew from some record on: every link holds, only the anchor tells."""
    start = rng.randrange(len(lines))
    first = read(lines[start])
    head = Head(first["seq"] - 1, first["prev"])
    for index in range(start, len(lines)):
        lines[index], head = link(head, {"kind": "policy.decide", "decision": {"tier": "Forged"}})


def delete(rng: random.Random, lines: Log) -> None:
    start = rng.randrange(len(lines))
    del lines[start : start + rng.randint(1, 3)]


def swap(rng: random.Random, lines: Log) -> None:
    one, two = rng.sample(range(len(lines)), 2)
    lines[one], lines[two] = lines[two], lines[one]


def shuffle(rng: random.Random, lines: Log) -> None:
    before = list(lines)
    while lines == before:
        rng.shuffle(lines)


def duplicate(rng: random.Random, lines: Log) -> None:
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))


def cut_lines(rng: random.Random, lines: Log) -> None:
    del lines[rng.randrange(len(lines)) :]


def cut_bytes(rng: random.Random, lines: Log) -> None:
    whole = b"".join(lines)
    lines[:] = whole[: rng.randrange(len(whole))].splitlines(keepends=True)


def join(rng: random.Random, lines: Log) -> None:
    index = rng.randrange(len(lines) - 1)
    lines[index : index + 2] = [lines[index].rstrip(b"\n") + lines[index + 1]]


TAMPERINGS: list[Callable[[random.Random, Log], None]] = [
    flip, insert_bytes, edit_value, rewrite_from, delete, swap, shuffle, duplicate, cut_lines, cut_bytes, join,
]  # fmt: skip


def test_s8_ten_thousand_tamperings_are_all_detected() -> None:
    """Edits, deletions, insertions, reorderings, truncations and rewritings against one anchored head."""
    rng = random.Random(20260102)
    for number in range(10_000):
        lines = list(LINES)
        tamper = TAMPERINGS[number % len(TAMPERINGS)]
        tamper(rng, lines)
        split = b"".join(lines).splitlines(keepends=True)
        assert lines != LINES, tamper.__name__
        assert not verify(split, [HEAD]).whole, (number, tamper.__name__)


@pytest.mark.parametrize("tamper", [flip, insert_bytes, edit_value, duplicate, swap, shuffle, join])
def test_changes_in_the_middle_show_without_an_anchor(tamper: Callable[[random.Random, Log], None]) -> None:
    rng = random.Random(7)
    for _ in range(200):
        lines = list(LINES)
        tamper(rng, lines)
        if tamper is edit_value and lines[:-1] == LINES[:-1]:
            continue  # the last record has no successor: that one needs the anchor
        assert not verify(b"".join(lines).splitlines(keepends=True)).whole


def test_problems_name_their_line() -> None:
    lines = list(LINES)
    lines[4] = lines[4].replace(b"Auto", b"Manu")
    found = verify(lines, [HEAD])
    assert [(problem.line, problem.what) for problem in found.problems] == [
        (5, "the record was changed: its hash is another")
    ]
    del lines[4]
    assert verify(lines).problems[0].what == "record 5 stands where 4 should"
    lines = list(LINES)
    edit_value(random.Random(1), lines)
    assert "the link to the record before is broken" in [problem.what for problem in verify(lines).problems]


def test_an_anchor_beyond_the_end_or_of_another_log_shows() -> None:
    assert verify(LINES[:5], [HEAD]).problems[0].what == "record 11 is missing"
    assert verify(LINES, [Head(3, "f" * 64)]).problems[0].what == "record 3 is another than the one that was anchored"


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"{}\n",
        b"[]\n",
        b"null\n",
        b"{\n",
        b"\xff\n",
        b'{"format":"iirp.io/audit/v1","seq":"0"}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_garbage_is_no_record(line: bytes) -> None:
    with pytest.raises(ValueError, match="not a record"):
        read(line)


def test_the_line_is_canonical() -> None:
    assert LINES[0] == canonical_json(json.loads(LINES[0])) + b"\n"
    with pytest.raises(ValueError, match="JSON compliant"):
        link(Head(), {"value": float("nan")})
