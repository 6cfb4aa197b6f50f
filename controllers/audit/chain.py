"""The hash chain: how records are linked, and what verification finds. Pure.

One record is one line of canonical JSON. Each carries its number, the hash of the record before it, and the SHA-256 of
itself without that field, so an edit, a deletion in the middle, an insertion or another order breaks a link (Schneier
and Kelsey 1999, without their keys). What a chain cannot show by itself, a cut tail or a log written anew from the
start, shows against a head that was kept elsewhere: see :mod:`controllers.audit.anchor`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crds.v1alpha1.digest import canonical_json

FORMAT = "iirp.io/audit/v1"
GENESIS = "0" * 64
MAX_PROBLEMS = 20

Entry = dict[str, Any]


@dataclass(frozen=True)
class Head:
    """After record ``seq`` (counted from 0) the hash was ``digest``; ``seq`` -1 is the empty log."""

    seq: int = -1
    digest: str = GENESIS


@dataclass(frozen=True)
class Problem:
    """What is wrong, at which line (from 1; 0 for the log as a whole)."""

    line: int
    what: str


@dataclass(frozen=True)
class Verification:
    """``problems`` is empty exactly when the log is whole."""

    head: Head
    problems: tuple[Problem, ...]

    @property
    def whole(self) -> bool:
        """Every link holds, and every anchor is met."""
        return not self.problems


def link(head: Head, entry: Mapping[str, Any]) -> tuple[bytes, Head]:
    """The line to append after ``head`` (with its newline), and the head afterwards.

    Raises:
        ValueError: ``entry`` holds a number that JSON has not (NaN, infinities).
    """
    record = {**entry, "format": FORMAT, "seq": head.seq + 1, "prev": head.digest}
    digest = hashlib.sha256(canonical_json(record)).hexdigest()
    return canonical_json({**record, "hash": digest}) + b"\n", Head(head.seq + 1, digest)


def read(line: bytes) -> Entry:
    """Parse one line and check it by itself.

    Raises:
        ValueError: not a record, not as we write it (byte for byte), or its hash is not its own.
    """
    if not line.endswith(b"\n"):
        raise ValueError("the line is not complete")
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError("not a record") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT or not isinstance(record.get("seq"), int):
        raise ValueError("not a record")
    try:
        body = canonical_json({key: value for key, value in record.items() if key != "hash"})
        same = canonical_json(record) + b"\n" == line
    except (ValueError, UnicodeEncodeError) as error:
        raise ValueError("not a record as it was written") from error
    if not same:
        raise ValueError("not a record as it was written")
    if record.get("hash") != hashlib.sha256(body).hexdigest():
        raise ValueError("the record was changed: its hash is another")
    return record


def verify(lines: Iterable[bytes], anchors: Iterable[Head] = ()) -> Verification:
    """Check every link, then every anchor.

    After a broken line the chain is taken up from what the next one claims, so that one edit is reported as one problem
    and not as all that follow.

    Args:
        lines: with their newlines, as read from the file in binary mode.
        anchors: heads that were kept elsewhere.
    """
    problems: list[Problem] = []
    head, seen = Head(), {-1: GENESIS}
    for number, line in enumerate(lines, 1):
        try:
            record = read(line)
        except ValueError as error:
            problems.append(Problem(number, str(error)))
            head = Head(head.seq + 1, "")
            continue
        if record["seq"] != head.seq + 1:
            problems.append(Problem(number, f"record {record['seq']} stands where {head.seq + 1} should"))
        elif head.digest and record["prev"] != head.digest:
            problems.append(Problem(number, "the link to the record before is broken"))
        head = Head(record["seq"], record["hash"])
        seen[head.seq] = head.digest
    for anchor in anchors:
        if seen.get(anchor.seq) != anchor.digest:
            what = "is missing" if anchor.seq not in seen else "is another than the one that was anchored"
            problems.append(Problem(0, f"record {anchor.seq} {what}"))
    return Verification(head, tuple(problems[:MAX_PROBLEMS]))
