"""Processes that outlive their starter, with real processes."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster.errors import StepFailed
from devcluster.processes import ProcessRecord, ProcessSpec, ProcessTable, boot_id, poll, start_ticks

SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")


@pytest.fixture
def table(tmp_path: Path) -> Iterator[ProcessTable]:
    table = ProcessTable(tmp_path)
    yield table
    for record in table.records():
        table.stop(record.name, grace=0.0)


def test_a_started_process_is_alive_in_its_own_session_until_stopped(table: ProcessTable) -> None:
    record = table.start(ProcessSpec("sleeper", SLEEP))
    assert table.alive("sleeper") == record
    assert os.getsid(record.pid) == record.pid != os.getsid(0)
    table.stop("sleeper")
    assert not record.alive()
    assert table.records() == []


def test_output_goes_to_the_log_and_the_log_of_the_run_before_is_kept(table: ProcessTable) -> None:
    for word in ("first", "second"):
        record = table.start(ProcessSpec("talker", (sys.executable, "-c", f"print('{word}')")))
        assert poll(lambda record=record: not record.alive(), 10.0)  # type: ignore[misc]
    assert table.log("talker").read_text() == "second\n"
    assert table.log("talker").with_suffix(".log.1").read_text() == "first\n"


def test_the_same_command_is_adopted_and_another_one_replaces_it(table: ProcessTable) -> None:
    first = table.ensure(ProcessSpec("sleeper", SLEEP))
    assert table.ensure(ProcessSpec("sleeper", SLEEP)) == first
    second = table.ensure(ProcessSpec("sleeper", (*SLEEP, "other")))
    assert second.pid != first.pid
    assert not first.alive()


def test_a_changed_configuration_file_replaces_the_process(table: ProcessTable, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("a")
    first = table.ensure(ProcessSpec("sleeper", SLEEP, files=[config]))
    assert table.ensure(ProcessSpec("sleeper", SLEEP, files=[config])) == first
    config.write_text("b")
    assert table.ensure(ProcessSpec("sleeper", SLEEP, files=[config])) != first


def test_a_killed_process_is_started_again(table: ProcessTable) -> None:
    first = table.ensure(ProcessSpec("sleeper", SLEEP))
    os.kill(first.pid, signal.SIGKILL)
    assert poll(lambda: table.alive("sleeper") is None, 10.0)
    assert table.ensure(ProcessSpec("sleeper", SLEEP)).pid != first.pid


@pytest.mark.parametrize("change", [{"ticks": 1}, {"boot": "another boot"}])
def test_a_recycled_pid_is_neither_adopted_nor_killed(table: ProcessTable, change: dict[str, object]) -> None:
    record = table.start(ProcessSpec("sleeper", SLEEP))
    stale = dataclasses.replace(record, name="stale", **change)  # type: ignore[arg-type]
    path = Path(table.log("stale")).parent.parent / "run" / "stale.json"
    path.write_text(json.dumps(dataclasses.asdict(stale)))
    assert table.alive("stale") is None
    table.stop("stale", grace=0.0)
    assert record.alive()
    assert not path.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"name": "x"}'])
def test_a_torn_record_counts_as_nothing(table: ProcessTable, tmp_path: Path, content: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "torn.json").write_text(content)
    assert table.record("torn") is None
    assert table.records() == []
    table.stop("torn")


def test_a_process_that_ignores_sigterm_is_killed(table: ProcessTable) -> None:
    program = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    record = table.start(ProcessSpec("deaf", (sys.executable, "-c", program)))
    assert poll(lambda: "deaf" in table.log("deaf").read_text(), 10.0)
    table.stop("deaf", grace=0.2)
    assert not record.alive()


def test_a_program_that_does_not_exist_is_named(table: ProcessTable) -> None:
    with pytest.raises(StepFailed, match=r"missing could not be started: No such file or directory: /no/such/program"):
        table.start(ProcessSpec("missing", ("/no/such/program",)))
    assert table.record("missing") is None


def test_a_process_that_cannot_be_recorded_never_runs(table: ProcessTable, tmp_path: Path) -> None:
    obstacle = tmp_path / "run" / "lost.json"
    obstacle.mkdir(parents=True)
    with pytest.raises(StepFailed, match="lost could not be started: Is a directory"):
        table.start(ProcessSpec("lost", (sys.executable, "-c", f"open('{tmp_path}/ran', 'w')")))
    assert not poll((tmp_path / "ran").exists, 0.5, 0.05)
    obstacle.rmdir()


def test_waiting_for_a_process_that_died_shows_its_last_lines(table: ProcessTable) -> None:
    table.start(ProcessSpec("dying", (sys.executable, "-c", "raise SystemExit('no disk left')")))
    with pytest.raises(StepFailed, match=r"dying ended before it was ready\n  log: .*dying\.log\n  \| no disk left"):
        table.wait_ready("dying", lambda: False, timeout=10.0, interval=0.02)


def test_waiting_too_long_shows_the_log(table: ProcessTable) -> None:
    table.start(ProcessSpec("slow", SLEEP))
    with pytest.raises(StepFailed, match=r"slow was not ready within 0 s\n  log: "):
        table.wait_ready("slow", lambda: False, timeout=0.1, interval=0.02)


def test_this_process_has_a_start_time_and_the_unborn_has_none() -> None:
    assert start_ticks(os.getpid()) is not None
    assert start_ticks(2**22 + 1) is None
    assert not ProcessRecord("x", os.getpid(), -1, boot_id(), "").alive()
