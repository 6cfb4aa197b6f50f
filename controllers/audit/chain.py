"""The hash chain: how records are linked, and what verification finds. Pure.

One record is one line of canonical JSON. Each carries its number, the hash of the record before it, and the SHA-256 of
itself without that field, so an edit, a deletion in the middle, an insertion or another order breaks a link (Schneier
and Kelsey 1999, without their keys). What a chain cannot show by itself, a cut tail or a log written anew from the
start, shows against a head that was kept elsewhere: see :mod:`controllers.audit.anchor`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from crds.v1alpha1.digest import canonical_json

FORMAT = "iirp.io/audit/v1"
GENESIS = "0" * 64
MAX_PROBLEMS = 20
SEALED, PRUNED = "audit.sealed", "audit.pruned"
"""Kinds of the records that end a file of the log, and that name files which retention took."""

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
    start: Head = Head()
    """What was there before the first line; the empty head unless retention took something."""

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

    A log whose oldest segments went by retention begins after a head that a later record names (``audit.pruned``); of
    the anchors, the one of that head has to be there, and older ones speak of what is gone.

    Args:
        lines: with their newlines, as read from the files in binary mode.
        anchors: heads that were kept elsewhere.
    """
    kept = tuple(anchors)
    chain = _follow(lines, {anchor.seq for anchor in kept})
    problems = [*_start_problems(chain), *chain.problems, *_anchor_problems(chain, kept)]
    return Verification(chain.head, tuple(problems[:MAX_PROBLEMS]), chain.start)


@dataclass
class _Chain:
    """What the lines alone say."""

    start: Head = field(default_factory=Head)
    head: Head = field(default_factory=Head)
    seen: dict[int, str] = field(default_factory=lambda: {-1: GENESIS})
    """Hashes of the records that an anchor speaks of, by number."""
    pruned: set[Head] = field(default_factory=set)
    """Heads of what retention took, by what the records say."""
    problems: list[Problem] = field(default_factory=list)


def _follow(lines: Iterable[bytes], anchored: set[int]) -> _Chain:
    chain = _Chain()
    for number, line in enumerate(lines, 1):
        try:
            record = read(line)
        except ValueError as error:
            chain.problems.append(Problem(number, str(error)))
            chain.head = Head(chain.head.seq + 1, "")
            continue
        if number == 1 and record["seq"] > 0:
            chain.start = chain.head = Head(record["seq"] - 1, record["prev"])
            chain.seen = {chain.start.seq: chain.start.digest}
        if record["seq"] != chain.head.seq + 1:
            what = f"record {record['seq']} stands where {chain.head.seq + 1} should"
            chain.problems.append(Problem(number, what))
        elif chain.head.digest and record["prev"] != chain.head.digest:
            chain.problems.append(Problem(number, "the link to the record before is broken"))
        chain.head = Head(record["seq"], record["hash"])
        if chain.head.seq in anchored:
            chain.seen[chain.head.seq] = chain.head.digest
        chain.pruned.update(_pruned(record))
    return chain


def _start_problems(chain: _Chain) -> Iterator[Problem]:
    if chain.start.seq >= 0 and chain.start not in chain.pruned:
        what = (
            f"record {chain.start.seq + 1} stands where 0 should, and no record says that retention took those before"
        )
        yield Problem(1, what)


def _anchor_problems(chain: _Chain, anchors: tuple[Head, ...]) -> Iterator[Problem]:
    if chain.start.seq >= 0 and anchors and all(anchor.seq != chain.start.seq for anchor in anchors):
        yield Problem(0, f"records up to {chain.start.seq} are gone, and their head was never anchored")
    for anchor in anchors:
        if anchor.seq >= chain.start.seq and chain.seen.get(anchor.seq) != anchor.digest:
            missing = anchor.seq not in chain.seen
            yield Problem(
                0, f"record {anchor.seq} {'is missing' if missing else 'is another than the one that was anchored'}"
            )


def _pruned(record: Entry) -> list[Head]:
    """Heads of the segments that this record says are gone."""
    if record.get("kind") != PRUNED:
        return []
    try:
        return [Head(int(one["seq"]), str(one["hash"])) for one in record["segments"]]
    except (KeyError, TypeError, ValueError):
        return []  # not ours; then nothing proves the start
