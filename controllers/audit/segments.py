"""The files of one audit log: sealed segments, oldest first, and the one that is written. The chain runs through all.

``policy.jsonl`` is written; full or old, it gets a last record (``audit.sealed``) and becomes ``policy.<first>.jsonl``.
``iirp audit anchor`` keeps the head of a sealed segment outside and leaves a receipt for it. Retention takes whole
segments from the front, those with a receipt only, and says their heads in a record of its own (``audit.pruned``), so
what is left still proves itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from controllers.audit.chain import SEALED, Head, read

LOGS = frozenset({"policy", "approval", "execution", "feedback"})
"""The controllers that keep one."""
SUFFIX = ".jsonl"
RECEIPTS = "anchored"
TAIL = 1 << 20


@dataclass(frozen=True)
class Keeping:
    """When a segment is sealed, and how long a sealed one is kept; ``retention`` None: for ever."""

    segment_bytes: int = 64 << 20
    segment_age: timedelta = timedelta(days=30)
    retention: timedelta | None = None


@dataclass(frozen=True)
class Segment:
    """A sealed file, as its own last record describes it."""

    path: Path
    first: int
    head: Head
    sealed_at: datetime


def log_name(path: Path) -> str:
    """``policy`` of ``policy.jsonl`` and of ``policy.000000000500.jsonl``."""
    return path.name.partition(".")[0]


def logs_of(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Files by log, each in the order of its chain. Directories stand for all logs in them."""
    files = [file for path in paths for file in (path.glob(f"*{SUFFIX}") if path.is_dir() else [path])]
    found: dict[str, list[Path]] = {}
    # The name of the written file sorts behind all numbers.
    for file in sorted(set(files), key=lambda file: (log_name(file), file.name)):
        found.setdefault(log_name(file), []).append(file)
    return found


def absent(paths: Sequence[Path]) -> list[str]:
    """Logs that a directory may have and has not: the last line of a log can be cut, and so can its first."""
    return sorted(LOGS - logs_of(paths).keys()) if any(path.is_dir() for path in paths) else []


def lines_of(files: Iterable[Path]) -> Iterator[bytes]:
    """All lines of a log's files, with their newlines; years of them do not fit into memory at once."""
    for path in files:
        with path.open("rb") as file:
            yield from file


def sealed_path(active: Path, first: int) -> Path:
    """What the written file is called once it is sealed."""
    return active.with_name(f"{log_name(active)}.{first:012d}{SUFFIX}")


def sealed(active: Path) -> list[Path]:
    """The sealed files of a log, oldest first."""
    return sorted(active.parent.glob(f"{log_name(active)}.{'[0-9]' * 12}{SUFFIX}"))


def describe(path: Path) -> Segment:
    """A sealed segment.

    Raises:
        ValueError: its last record is none, or does not seal it.
    """
    record = read(last_line(path))
    if record.get("kind") != SEALED:
        raise ValueError("it is not sealed")
    head = Head(record["seq"], record["hash"])
    return Segment(path, int(record["first"]), head, datetime.fromisoformat(record["at"]))


def last_line(path: Path) -> bytes:
    """The last line of a file that ends with a newline; read backwards, because logs grow long."""
    with path.open("rb") as file:
        start, tail = file.seek(0, 2), b""
        while start > 0 and tail.count(b"\n") < 2:
            step = min(start, TAIL)
            start -= step
            file.seek(start)
            tail = file.read(step) + tail
    return tail[tail.rfind(b"\n", 0, len(tail) - 1) + 1 :]


def receipt(path: Path) -> Path:
    """Where it is said that a segment's head is kept outside. In a folder of its own: who anchors may write there, and
    read the log."""
    return path.parent / RECEIPTS / f"{path.stem}.json"


def leave_receipt(segment: Segment, place: str, now: datetime) -> None:
    """Say that the head is kept at ``place``."""
    told = {"seq": segment.head.seq, "hash": segment.head.digest, "place": place, "at": now.isoformat()}
    receipt(segment.path).parent.mkdir(exist_ok=True)
    receipt(segment.path).write_text(json.dumps(told) + "\n", encoding="utf-8")


def anchored(segment: Segment) -> bool:
    """Whether there is a receipt for exactly this head."""
    try:
        told = json.loads(receipt(segment.path).read_bytes())
        return bool((told["seq"], told["hash"]) == (segment.head.seq, segment.head.digest))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def outlived(active: Path, retention: timedelta, now: datetime) -> list[Segment]:
    """Segments that may go: from the oldest on, all sealed longer ago than ``retention`` and anchored.

    Raises:
        OSError, ValueError: one of them cannot be read, or is not as it was written.
    """
    found = []
    for path in sealed(active):
        segment = describe(path)
        if now - segment.sealed_at <= retention or not anchored(segment):
            break
        found.append(segment)
    return found
