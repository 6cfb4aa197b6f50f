"""S8 over files: the chain runs on, retention takes only what is anchored, and crashes lose nothing."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controllers.audit.chain import PRUNED, Head, Verification, link, read, verify
from controllers.audit.log import FileAudit
from controllers.audit.segments import (
    Keeping,
    anchored,
    describe,
    leave_receipt,
    lines_of,
    logs_of,
    receipt,
    sealed,
)
from controllers.runtime.errors import Retryable, Terminal
from tests.fakes.kube import START
from tests.unit.controllers.audit.test_chain import (
    TAMPERINGS,
    cut_lines,
)
from tests.unit.controllers.audit.test_log import about, note

DAY = timedelta(days=1)
DAILY = Keeping(segment_age=DAY, retention=10 * DAY)


def record(audit: FileAudit, now: datetime) -> None:
    audit.record("policy.decide", about(), {}, {"n": 1}, now)


def keep(directory: Path, days: int, keeping: Keeping = DAILY, *, start: int = 0) -> FileAudit:
    """A log of so many days, two decisions a day."""
    audit = FileAudit(directory, "policy", keeping)
    for day in range(start, start + days):
        for hour in (0, 12):
            record(audit, START + day * DAY + timedelta(hours=hour))
    return audit


def files(directory: Path) -> list[Path]:
    return logs_of([directory]).get("policy", [])


def check(directory: Path, *anchors: Head) -> Verification:
    return verify(lines_of(files(directory)), anchors)


def anchor_all(directory: Path) -> list[Head]:
    """What ``iirp audit anchor`` leaves behind."""
    found = [describe(path) for path in sealed(directory / "policy.jsonl")]
    for segment in found:
        leave_receipt(segment, "s3://heads", START)
    return [segment.head for segment in found]


def test_a_segment_is_sealed_by_age_and_the_chain_goes_on(tmp_path: Path) -> None:
    audit = keep(tmp_path, 3)
    names = [path.name for path in files(tmp_path)]
    assert names == ["policy.000000000000.jsonl", "policy.000000000003.jsonl", "policy.jsonl"]
    found = check(tmp_path, audit.head)
    assert (found.whole, found.head.seq, found.start) == (True, 7, Head())
    first = describe(files(tmp_path)[0])
    assert (first.first, first.head.seq, first.sealed_at) == (0, 2, START + DAY)
    assert not os.access(first.path, os.W_OK) or os.geteuid() == 0
    assert first.path.stat().st_mode & 0o222 == 0


def test_a_segment_is_sealed_by_size(tmp_path: Path) -> None:
    audit = FileAudit(tmp_path, "policy", Keeping(segment_bytes=2000))
    for number in range(20):
        note(audit, f"decision-{number}")
    sizes = [path.stat().st_size for path in sealed(audit.path)]
    assert len(sizes) > 1
    assert all(2000 <= size < 4000 for size in sizes)
    assert check(tmp_path, audit.head).whole


def test_a_restarted_process_goes_on_whatever_file_was_open(tmp_path: Path) -> None:
    for day in range(5):
        keep(tmp_path, 1, start=day).close()
    assert check(tmp_path).whole
    assert len(files(tmp_path)) == 5


def test_the_age_of_a_segment_counts_from_its_first_record_across_restarts(tmp_path: Path) -> None:
    for hour in (0, 9, 18, 23):
        audit = FileAudit(tmp_path, "policy", DAILY)
        record(audit, START + timedelta(hours=hour))
        audit.close()
    assert len(files(tmp_path)) == 1
    audit = FileAudit(tmp_path, "policy", DAILY)
    record(audit, START + timedelta(hours=24))
    assert len(files(tmp_path)) == 2


@pytest.mark.parametrize("broken", ["rename", "open", "fsync"])
def test_a_rotation_that_fails_keeps_the_decision_from_happening_and_is_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    audit = keep(tmp_path, 1)

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(*{"rename": (Path, "rename"), "open": (os, "open"), "fsync": (os, "fsync")}[broken], fail)
        for _ in range(2):
            with pytest.raises(Retryable, match="AuditNotWritable"):
                record(audit, START + DAY)
    record(audit, START + DAY)
    found = check(tmp_path, audit.head)
    assert found.whole, found.problems
    kinds = [read(line)["kind"] for line in lines_of(files(tmp_path))]
    assert kinds == ["policy.decide", "policy.decide", "audit.sealed", "policy.decide"]


@pytest.mark.parametrize("renamed", [False, True])
def test_a_crash_in_the_middle_of_a_rotation_is_taken_up(tmp_path: Path, renamed: bool) -> None:
    audit = keep(tmp_path, 2)
    audit.close()
    first, second = files(tmp_path)
    second.unlink()  # it had not been made
    if not renamed:
        first.rename(second)
    audit = FileAudit(tmp_path, "policy", DAILY)
    record(audit, START + DAY)
    assert check(tmp_path, audit.head).whole
    assert [path.name for path in files(tmp_path)] == ["policy.000000000000.jsonl", "policy.jsonl"]


def test_a_sealed_segment_that_was_damaged_is_not_built_upon(tmp_path: Path) -> None:
    keep(tmp_path, 2).close()
    first, second = files(tmp_path)
    second.unlink()
    first.chmod(0o640)
    first.write_bytes(first.read_bytes().replace(b"sealed", b"hidden"))
    with pytest.raises(Terminal, match="AuditDamaged"):
        FileAudit(tmp_path, "policy")


# --- retention ---


def test_retention_takes_old_anchored_segments_and_the_rest_still_proves_itself(tmp_path: Path) -> None:
    keep(tmp_path, 3).close()
    heads = anchor_all(tmp_path)
    audit = keep(tmp_path, 1, start=30)
    assert [path.name for path in files(tmp_path)] == ["policy.000000000006.jsonl", "policy.jsonl"]
    assert not list(tmp_path.glob("policy.000000000000*"))
    found = check(tmp_path, *heads, audit.head)
    assert found.whole, found.problems
    assert found.start == heads[1]
    (told,) = [r for r in map(read, lines_of(files(tmp_path))) if r["kind"] == PRUNED]
    assert [(one["first"], one["seq"], one["hash"]) for one in told["segments"]] == [
        (0, heads[0].seq, heads[0].digest), (3, heads[1].seq, heads[1].digest),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("anchor", "days", "retention", "left"),
    [
        (True, 30, 10, 2),
        (True, 5, 10, 4),
        (True, 30, None, 4),
        (False, 30, 10, 4),
    ],
)
def test_only_what_is_old_and_anchored_goes(
    tmp_path: Path, anchor: bool, days: int, retention: int | None, left: int
) -> None:
    keeping = Keeping(segment_age=DAY, retention=retention * DAY if retention else None)
    keep(tmp_path, 3, keeping).close()
    heads = anchor_all(tmp_path) if anchor else []
    audit = keep(tmp_path, 1, keeping, start=days)
    assert len(files(tmp_path)) == left
    assert check(tmp_path, *heads, audit.head).whole


def test_a_front_that_was_never_anchored_shows(tmp_path: Path) -> None:
    keep(tmp_path, 3).close()
    anchor_all(tmp_path)
    audit = keep(tmp_path, 1, start=30)
    assert check(tmp_path).whole
    assert [one.what for one in check(tmp_path, audit.head).problems] == [
        "records up to 5 are gone, and their head was never anchored"
    ]


def test_what_is_not_anchored_keeps_all_that_is_newer(tmp_path: Path) -> None:
    keep(tmp_path, 4).close()
    anchor_all(tmp_path)
    receipt(sealed(tmp_path / "policy.jsonl")[1]).unlink()
    audit = keep(tmp_path, 1, start=60)
    firsts = [describe(path).first for path in sealed(audit.path)]
    assert firsts == [3, 6, 9]
    assert check(tmp_path).whole


@pytest.mark.parametrize("said", ["", "{", "[]", '{"seq": 2, "hash": "0"}', '{"seq": "2"}'])
def test_a_receipt_for_another_head_is_none(tmp_path: Path, said: str) -> None:
    keep(tmp_path, 2).close()
    segment = describe(sealed(tmp_path / "policy.jsonl")[0])
    receipt(segment.path).write_text(said)
    assert not anchored(segment)


def test_what_cannot_be_taken_stays_and_decisions_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keep(tmp_path, 2).close()
    anchor_all(tmp_path)
    oldest = sealed(tmp_path / "policy.jsonl")[0]
    oldest.chmod(0o640)
    oldest.write_bytes(oldest.read_bytes().replace(b"sealed", b"hidden"))
    keep(tmp_path, 1, start=30)
    assert oldest.exists()
    assert "segments stay beyond their retention" in caplog.text


def test_a_crash_between_the_record_and_the_deletion_is_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(tmp_path, 3).close()
    heads = anchor_all(tmp_path)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        keep(tmp_path, 1, start=30).close()
    assert check(tmp_path, *heads).start == Head()
    assert check(tmp_path, *heads).whole
    audit = keep(tmp_path, 1, start=40)
    found = check(tmp_path, *heads, audit.head)
    assert (found.whole, found.start) == (True, heads[1])


# --- tampering ---


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[list[bytes]], list[Head]]:
    """Files after a retention, and their anchors: what it took, each sealed file, and the end."""
    directory = tmp_path_factory.mktemp("kept")
    keep(directory, 3).close()
    heads = anchor_all(directory)
    audit = keep(directory, 4, start=30)
    heads += anchor_all(directory)
    audit.close()
    parts = [path.read_bytes().splitlines(keepends=True) for path in files(directory)]
    assert verify([line for part in parts for line in part], [*heads, audit.head]).whole
    return parts, [*heads, audit.head]


def lose_a_file(rng: random.Random, parts: list[list[bytes]]) -> None:
    del parts[rng.randrange(len(parts))]


def reorder_files(rng: random.Random, parts: list[list[bytes]]) -> None:
    before = list(parts)
    while parts == before:
        rng.shuffle(parts)


def repeat_a_file(rng: random.Random, parts: list[list[bytes]]) -> None:
    parts.insert(rng.randrange(len(parts) + 1), list(rng.choice(parts)))


def cut_a_file(rng: random.Random, parts: list[list[bytes]]) -> None:
    cut_lines(rng, parts[rng.randrange(len(parts))])


def empty_a_front(rng: random.Random, parts: list[list[bytes]]) -> None:
    """Take records from the front, as if retention had; and say so in a record that fits the chain."""
    flat = [line for part in parts for line in part]
    count = rng.randrange(1, len(flat) - 1)
    gone, last = read(flat[count - 1]), read(flat[-1])
    claim = {"kind": PRUNED, "segments": [{"first": 0, "seq": gone["seq"], "hash": gone["hash"]}]}
    line, _ = link(Head(last["seq"], last["hash"]), claim)
    parts[:] = [flat[count:] + ([line] if rng.random() < 0.8 else [])]


def drop_the_proof(rng: random.Random, parts: list[list[bytes]]) -> None:
    """Without the record that names it, the start is nobody's."""
    flat = [line for part in parts for line in part]
    index = next(i for i, line in enumerate(flat) if read(line)["kind"] == PRUNED)
    parts[:] = [flat[:index] + flat[index + rng.randint(1, 2) :]]


def in_lines(
    tamper: Callable[[random.Random, list[bytes]], None],
) -> Callable[[random.Random, list[list[bytes]]], None]:
    def change(rng: random.Random, parts: list[list[bytes]]) -> None:
        flat = [line for part in parts for line in part]
        tamper(rng, flat)
        parts[:] = [b"".join(flat).splitlines(keepends=True)]

    return change


FILE_TAMPERINGS = [lose_a_file, reorder_files, repeat_a_file, cut_a_file, empty_a_front, drop_the_proof]


def test_s8_ten_thousand_tamperings_with_segments_are_all_detected(
    kept: tuple[list[list[bytes]], list[Head]],
) -> None:
    """The front is bound by the anchor of what retention took, the end by the last one."""
    whole, heads = kept
    start = verify([line for part in whole for line in part]).start
    kinds = [*FILE_TAMPERINGS, *map(in_lines, TAMPERINGS)]
    rng = random.Random(20260103)
    for number in range(10_000):
        parts = [list(part) for part in whole]
        kinds[number % len(kinds)](rng, parts)
        flat = [line for part in parts for line in part]
        if flat == [line for part in whole for line in part]:
            continue
        found = verify(flat, heads)
        if found.whole:
            # The one thing that no chain can tell: whole anchored files taken early, by who can write the log.
            assert found.start != start
            assert found.start in heads
            assert read(flat[-1])["kind"] == PRUNED
