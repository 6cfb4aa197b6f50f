"""`iirp audit`, `iirp replay`, `iirp bundle` over the logs of a whole story."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import cli.audit as cli_audit
from cli.main import cli
from controllers.audit.chain import verify
from tests.fakes.chain import INCIDENT
from tests.fakes.heads import Heads
from tests.unit.controllers.audit.test_replay import Story, answer
from tests.unit.controllers.audit.test_segments import keep


def iirp(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    story = Story(tmp_path)
    story.analysis.on_verify = lambda _: answer()
    story.tell()
    for audit in story.audits.values():
        audit.close()
    return tmp_path


def edit(logs: Path, before: bytes, after: bytes) -> None:
    path = logs / "policy.jsonl"
    content = path.read_bytes()
    assert before in content
    path.write_bytes(content.replace(before, after, 1))


def test_verify_says_that_logs_are_whole(logs: Path) -> None:
    result = iirp("audit", "verify", logs)
    assert result.exit_code == 0, result.output
    assert "policy.jsonl: whole, 1 records" in result.output
    assert "no anchor was asked" in result.output


def test_verify_finds_an_edit(logs: Path) -> None:
    edit(logs, b"alice", b"mallory")
    result = iirp("audit", "verify", logs)
    assert result.exit_code == 1
    assert "policy.jsonl: CHANGED" in result.output
    assert "line 1: the record was changed: its hash is another" in result.output
    refused = iirp("replay", INCIDENT, logs)
    assert refused.exit_code == 1
    assert "see iirp audit verify" in refused.output


def test_sealed_files_are_anchored_pruned_and_still_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Heads()
    monkeypatch.setattr(cli_audit, "_connect", lambda url, endpoint: store if url else None)
    s3 = ("--anchor", "s3://heads")
    keep(tmp_path, 3).close()
    assert iirp("audit", "verify", tmp_path).output.startswith("policy.jsonl: whole, 8 records\n")
    told = iirp("audit", "anchor", tmp_path, *s3).output
    assert "policy.000000000003.jsonl: sealed with record 5, anchored, locked" in told
    assert "policy.jsonl: record 7, anchored, locked" in told
    assert [head.seq for head in store.kept["policy"]] == [2, 5, 7]
    assert iirp("audit", "anchor", tmp_path, *s3).output == "policy.jsonl: record 7, anchored before\n"
    assert len(store.kept["policy"]) == 3  # once is enough
    keep(tmp_path, 1, start=30).close()
    result = iirp("audit", "verify", tmp_path, *s3)
    assert result.exit_code == 0, result.output
    assert "policy.jsonl: whole, 6 records after 6 that retention took" in result.output
    store.kept["policy"] = [head for head in store.kept["policy"] if head.seq != 5]
    result = iirp("audit", "verify", tmp_path, *s3)
    assert result.exit_code == 1
    assert "anchor: records up to 5 are gone, and their head was never anchored" in result.output


def test_what_the_heads_outside_do_not_vouch_for_is_no_good_news(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Heads()
    monkeypatch.setattr(cli_audit, "_connect", lambda url, endpoint: store if url else None)
    s3 = ("--anchor", "s3://heads")
    never = iirp("audit", "verify", logs, *s3)
    assert never.exit_code == 3
    assert "policy.jsonl: whole" in never.output
    assert "policy.jsonl: no head of it is kept at s3://heads" in never.output
    assert iirp("audit", "anchor", logs, *s3).exit_code == 0
    assert iirp("audit", "verify", logs, *s3).exit_code == 0
    empty = logs / "empty"
    empty.mkdir()
    (empty / "feedback.jsonl").touch()
    store.kept, kept = {}, store.kept
    assert iirp("audit", "verify", empty, *s3).exit_code == 0, "before the first decision nothing can be missing"
    store.kept = kept
    (logs / "execution.jsonl").unlink()
    gone = iirp("audit", "verify", logs, *s3)
    assert gone.exit_code == 1
    assert "execution.jsonl: CHANGED, 0 records\n  anchor: record 2 is missing" in gone.output
    assert iirp("audit", "verify", logs / "policy.jsonl", *s3).exit_code == 0, "only that one was asked for"
    refused = iirp("audit", "anchor", logs, *s3)
    assert refused.exit_code == 1
    assert "execution.jsonl is gone, and its record 2 was anchored; see iirp audit verify" in refused.output


def test_a_problem_names_the_file_and_its_line(tmp_path: Path) -> None:
    keep(tmp_path, 2).close()
    sealed = tmp_path / "policy.000000000000.jsonl"
    sealed.chmod(0o640)
    sealed.write_bytes(sealed.read_bytes().replace(b"sealed", b"hidden"))
    told = iirp("audit", "verify", tmp_path)
    assert told.exit_code == 1
    assert "policy.000000000000.jsonl line 3: the record was changed" in told.output


def test_replay_comes_to_the_same_decisions(logs: Path) -> None:
    result = iirp("replay", INCIDENT, logs)
    assert result.exit_code == 0, result.output
    assert "8 of 8 decisions are the same" in result.output
    assert iirp("replay", "nothing", logs).exit_code == 1


def test_a_bundle_is_sealed_redacted_and_replayable(logs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.tar.gz"
    result = iirp("bundle", INCIDENT, logs, "-o", out)
    assert result.exit_code == 0, result.output
    first = out.read_bytes()
    with tarfile.open(out) as archive:
        files = {name: archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]
    seal = hashlib.sha256(files["manifest.json"]).hexdigest()
    assert files["SEAL"].decode().strip() == f"sha256:{seal}"
    assert seal in result.output
    manifest = json.loads(files["manifest.json"])
    digest = hashlib.sha256(files["records.jsonl"]).hexdigest()
    assert manifest["files"]["records.jsonl"] == f"sha256:{digest}"
    assert manifest["decisions"] == {"total": 8, "same": 8, "differ": 0}
    assert verify(files["records.jsonl"].splitlines(keepends=True)).head.digest == manifest["head"]["hash"]
    (tmp_path / "unpacked").mkdir()
    unpacked = tmp_path / "unpacked" / "records.jsonl"
    unpacked.write_bytes(files["records.jsonl"])
    assert "8 of 8 decisions are the same" in iirp("replay", INCIDENT, unpacked).output
    iirp("bundle", INCIDENT, logs, "-o", out)
    assert out.read_bytes() == first


def test_a_bundle_holds_no_secrets(logs: Path, tmp_path: Path) -> None:
    from cli.bundle import write

    secret = "password=hunter2hunter2"
    record = {"seq": 0, "hash": "0" * 64, "kind": "audit.recovered", "at": "2026-01-02T03:04:05+00:00", "text": secret}
    write(tmp_path / "b.tar.gz", "leak", [record])
    with tarfile.open(tmp_path / "b.tar.gz") as archive:
        content = archive.extractfile("records.jsonl").read()  # type: ignore[union-attr]
    assert b"hunter2" not in content
    assert b"[redacted:secret]" in content


def test_anchoring_needs_a_place_and_a_directory_needs_logs(logs: Path, tmp_path: Path) -> None:
    assert iirp("audit", "anchor", logs).exit_code == 2
    assert iirp("audit", "anchor", logs, "--anchor", "file:///x").exit_code == 2
    (tmp_path / "empty").mkdir()
    assert iirp("audit", "verify", tmp_path / "empty").exit_code == 1
