"""The log survives crashes, is written by one process at a time, and stops what it cannot record."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from controllers.audit.chain import Head, verify
from controllers.audit.log import FileAudit
from controllers.audit.segments import TAIL
from controllers.runtime.errors import Retryable, Terminal
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.base import LocalRef
from tests.fakes.kube import START
from tests.unit.controllers.policy.world import plan


def about() -> ActionPlan:
    return plan(labels={"iirp.io/incident": "leak"})


def note(audit: FileAudit, name: str = "x") -> None:
    audit.record(
        "policy.decide", about(), {"observed": LocalRef(name=name, uid="u")}, LocalRef(name=name, uid="d"), START
    )


def lines(audit: FileAudit) -> list[bytes]:
    return audit.path.read_bytes().splitlines(keepends=True)


def test_a_record_says_what_was_decided_about_what(tmp_path: Path) -> None:
    audit = FileAudit(tmp_path, "policy")
    note(audit)
    record = json.loads(lines(audit)[0])
    assert record["incident"] == "leak"
    assert record["about"] | {"resourceVersion": ""} == {
        "kind": "ActionPlan", "namespace": "shop", "name": "p-1", "uid": "uid-shop-p-1", "resourceVersion": "",
    }  # fmt: skip
    assert (record["controller"], record["kind"], record["step"]) == ("policy", "policy.decide", "LocalRef")
    assert record["inputs"] == {"observed": {"name": "x", "uid": "u"}}
    assert record["decision"] == {"name": "x", "uid": "d"}
    assert record["at"] == START.isoformat()


def test_a_restarted_process_goes_on_where_the_last_one_was(tmp_path: Path) -> None:
    for run in range(3):
        audit = FileAudit(tmp_path, "policy")
        note(audit, f"a{run}")
        note(audit, "long" * 50)
        audit.close()
    found = verify(lines(audit))
    assert found.whole
    assert found.head == audit.head
    assert found.head.seq == 5


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    first = FileAudit(tmp_path, "policy")
    with pytest.raises(Terminal, match="AuditNotWritable"):
        FileAudit(tmp_path, "policy")
    FileAudit(tmp_path, "execution").close()
    first.close()


@pytest.mark.parametrize("keep", [1, 40, -1])
def test_a_line_torn_by_a_crash_is_put_aside_and_said(tmp_path: Path, keep: int) -> None:
    audit = FileAudit(tmp_path, "policy")
    note(audit, "a")
    note(audit, "b")
    audit.close()
    first, second = lines(audit)
    audit.path.write_bytes(first + second[:keep])
    audit = FileAudit(tmp_path, "policy")
    note(audit, "c")
    assert (tmp_path / "policy.torn").read_bytes() == second[:keep] + b"\n"
    assert [json.loads(line)["kind"] for line in lines(audit)] == ["policy.decide", "audit.recovered", "policy.decide"]
    assert verify(lines(audit)).whole


def test_a_torn_line_of_megabytes_is_put_aside_whole(tmp_path: Path) -> None:
    audit = FileAudit(tmp_path, "policy")
    note(audit, "a")
    audit.record("policy.decide", about(), {"observed": {"text": "long" * TAIL}}, {}, START)
    audit.close()
    first, second = lines(audit)
    assert len(second) > 2 * TAIL
    audit.path.write_bytes(first + second[:-1])
    audit = FileAudit(tmp_path, "policy")
    note(audit, "b")
    assert (tmp_path / "policy.torn").read_bytes() == second[:-1] + b"\n"
    assert verify(lines(audit)).whole


def test_a_damaged_tail_is_not_built_upon(tmp_path: Path) -> None:
    audit = FileAudit(tmp_path, "policy")
    note(audit)
    audit.close()
    audit.path.write_bytes(lines(audit)[0].replace(b"leak", b"spin"))
    with pytest.raises(Terminal, match="AuditDamaged"):
        FileAudit(tmp_path, "policy")


@pytest.mark.parametrize("broken", ["write", "fsync", "short"])
def test_what_cannot_be_recorded_must_not_happen(tmp_path: Path, monkeypatch: Any, broken: str) -> None:
    audit = FileAudit(tmp_path, "policy")
    note(audit)
    real = os.write

    def fail(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    if broken == "short":
        monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:7]))
    else:
        monkeypatch.setattr(os, broken, fail)
    with pytest.raises(Retryable, match="AuditNotWritable"):
        note(audit)
    monkeypatch.undo()
    note(audit)
    assert verify(lines(audit)).whole
    assert len(lines(audit)) == 2


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Terminal, match="AuditNotWritable"):
        FileAudit(tmp_path / "file" / "below", "policy")


def test_an_empty_log_has_the_empty_head(tmp_path: Path) -> None:
    assert FileAudit(tmp_path, "policy").head == Head()
