"""What a person reads about a full volume: where the room went, what came last, nothing that harms a terminal."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from controllers.diagnose import disk_usage
from controllers.diagnose.disk_usage import MAX_REPORT, main, measure, report

OLD = 7200


def write(path: Path, mib: float, age: float = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * int(mib * 1024 * 1024))
    os.utime(path, (time.time() - age, time.time() - age))


def test_the_report_names_the_largest_folders_and_files_and_what_is_new(tmp_path: Path) -> None:
    write(tmp_path / "orders/2026/11/22/journal", 3)
    write(tmp_path / "orders/2025/dump", 2, OLD)
    write(tmp_path / "small", 0.1, OLD)
    os.symlink("/", tmp_path / "elsewhere")
    result = tmp_path.parent / "termination-log"
    assert main(str(tmp_path), str(result)) == 0
    lines = result.read_text().splitlines()
    folders = [line.split() for line in lines if line.endswith(("orders", "orders/2026/11", "orders/2025"))]
    assert [(" ".join(row[:2]), " ".join(row[2:4]), row[4]) for row in folders] == [
        ("5.0 MiB", "3.0 MiB", "orders"),
        ("3.0 MiB", "3.0 MiB", "orders/2026/11"),
        ("2.0 MiB", "0.0 MiB", "orders/2025"),
    ]
    files = lines[lines.index("largest files (last written):") + 1 :]
    assert files[0].endswith("0 min ago  orders/2026/11/22/journal")
    assert files[1].endswith("120 min ago  orders/2025/dump")
    assert "4 files seen" in lines[0], "the link is one, what it points to is none"


def test_names_are_hostile_and_the_report_is_bounded(tmp_path: Path) -> None:
    for number in range(40):
        write(tmp_path / f"{number:02}\x1b[2J\n{'ä' * 60}" / "file", 0.01)
    now = time.time()
    text = report(tmp_path, measure(tmp_path, now), now)
    assert "\x1b" not in text
    assert text.isascii()
    assert all(line.strip() for line in text.splitlines())
    assert len(text) <= MAX_REPORT + 1


def test_too_many_files_end_in_half_an_answer_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        write(tmp_path / name, 0.01)
    monkeypatch.setattr(disk_usage, "MAX_ENTRIES", 2)
    now = time.time()
    text = report(tmp_path, measure(tmp_path, now), now)
    assert "stopped early" in text
    assert "2 files seen" in text
