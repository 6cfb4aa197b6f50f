"""Heads go outside while controllers write, seal and prune their logs; nothing but receipts is written here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controllers.audit import anchoring
from controllers.audit.anchor import AnchorError
from controllers.audit.anchoring import NotWhole, keep_heads, run
from controllers.audit.chain import Head
from controllers.audit.log import FileAudit
from controllers.audit.segments import lines_of
from controllers.runtime.settings import Settings
from tests.fakes.heads import Heads
from tests.fakes.kube import START
from tests.unit.controllers.audit.test_segments import DAY, keep, record

PLACE = "s3://heads/prod"


def anchor(directory: Path, store: Heads) -> list[str]:
    return list(keep_heads([directory], store, PLACE, lambda: START))


def content(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_receipts_are_all_that_is_written(tmp_path: Path) -> None:
    keep(tmp_path, 2).close()
    before, store = content(tmp_path), Heads()
    assert anchor(tmp_path, store) == [
        "policy.000000000000.jsonl: sealed with record 2, anchored, locked",
        "policy.jsonl: record 4, anchored, locked",
    ]
    after = content(tmp_path)
    receipt = json.loads(after.pop("anchored/policy.000000000000.json"))
    assert (receipt["seq"], receipt["place"]) == (2, PLACE)
    assert after == before


def test_a_line_that_is_being_written_is_none_yet(tmp_path: Path) -> None:
    audit, store = keep(tmp_path, 1), Heads()
    with audit.path.open("ab") as file:
        file.write(b'{"about":')
    anchor(tmp_path, store)
    assert store.kept["policy"] == [audit.head]


def test_a_log_that_was_changed_is_not_vouched_for(tmp_path: Path) -> None:
    audit, store = keep(tmp_path, 1), Heads()
    anchor(tmp_path, store)
    lines = audit.path.read_bytes().splitlines(keepends=True)
    audit.path.write_bytes(lines[0])  # a cut tail: only the head outside tells
    with pytest.raises(NotWhole, match=r"policy\.jsonl is not whole: record 1 is missing; see iirp audit verify"):
        anchor(tmp_path, store)
    assert [head.seq for head in store.kept["policy"]] == [1]


def seals(audit: FileAudit) -> None:
    record(audit, START + 40 * DAY)


def gone(_: FileAudit) -> None:
    raise FileNotFoundError(2, "No such file or directory")


@pytest.mark.parametrize("meanwhile", [seals, gone])
def test_a_log_that_is_sealed_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[FileAudit], None]
) -> None:
    audit, store, looks = keep(tmp_path, 3), Heads(), 0

    def read(files: Iterable[Path]) -> Iterator[bytes]:
        nonlocal looks
        looks += 1
        lines = list(lines_of(files))
        if looks == 1:
            meanwhile(audit)
        yield from lines

    monkeypatch.setattr(anchoring, "lines_of", read)
    anchor(tmp_path, store)
    assert store.kept["policy"][-1] == audit.head
    assert looks == 2


def test_a_log_that_never_rests_is_left_for_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audit, day = keep(tmp_path, 1), 1

    def read(files: Iterable[Path]) -> Iterator[bytes]:
        nonlocal day
        day += 1
        record(audit, START + timedelta(days=day))
        yield from lines_of(files)

    monkeypatch.setattr(anchoring, "lines_of", read)
    with pytest.raises(NotWhole, match="sealed or pruned 3 times while it was read"):
        anchor(tmp_path, Heads())


class Away(Heads):
    def heads(self, log: str) -> list[Head]:
        raise AnchorError("s3://heads: AccessDenied")


@pytest.mark.parametrize(
    ("settings", "store", "code", "said"),
    [
        ({}, Heads(), 0, "policy.jsonl: record 1, anchored, locked"),
        ({}, Away(), 1, "not anchored: s3://heads: AccessDenied"),
        ({"audit_anchor": ""}, Heads(), 2, "IIRP_AUDIT_ANCHOR"),
        ({"audit_dir": None}, Heads(), 2, "IIRP_AUDIT_DIR"),
        ({"audit_anchor": "file:///heads"}, None, 1, "'file:///heads' is not s3://bucket/prefix"),
    ],
)
def test_the_job_says_what_became_of_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    settings: dict[str, Any],
    store: Heads | None,
    code: int,
    said: str,
) -> None:
    keep(tmp_path, 1).close()
    if store is not None:
        monkeypatch.setattr(anchoring, "connect", lambda url: store)
    caplog.set_level("INFO")
    assert run(Settings(**{"audit_dir": tmp_path, "audit_anchor": PLACE, **settings})) == code
    assert said in caplog.text


def test_before_the_first_decision_there_is_nothing_to_keep(tmp_path: Path) -> None:
    FileAudit(tmp_path, "policy").close()
    assert anchor(tmp_path, Heads()) == ["policy.jsonl: empty, nothing to anchor"]
