from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from analysis.contract import HistoryRecord, RcaResponse
from analysis.history.similar import Traits
from analysis.history.store import History, HistoryError, migrate
from analysis.history.tables import metadata
from crds.v1alpha1.incident import Incident
from crds.v1alpha1.rcareport import RCAReport
from tests.unit.analysis.rca.world import request, rollout

NOW = datetime(2030, 5, 6, 10, 0, tzinfo=UTC)
LINE = {"at": "2030-05-06T09:00:00Z", "source": "metric", "message": "working set grows"}


POSTGRES = os.environ.get("IIRP_TEST_POSTGRES", "")
"""``postgresql+psycopg://user@host/db`` of a database that may be emptied; the tests run in it as well then."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'history.db'}"
    if not POSTGRES:
        pytest.skip("set IIRP_TEST_POSTGRES to the URL of an empty database (docs/root-causes.md, History)")
    engine = create_engine(POSTGRES)
    with engine.begin() as connection:
        metadata.drop_all(connection)
        connection.execute(text("DROP TABLE IF EXISTS alembic_version"))
    engine.dispose()
    return POSTGRES


@pytest.fixture
def history(url: str) -> Iterator[History]:
    made = History(url)
    yield made
    made.close()


def record(
    uid: str = "u1",
    *,
    name: str = "payments-leak-1",
    began: datetime = NOW - timedelta(hours=1),
    workload: str = "payments",
    kind: str = "MemoryLeak",
    cluster: str = "c",
    namespace: str = "shop",
    reports: tuple[RCAReport, ...] = (),
    **status: Any,
) -> HistoryRecord:
    incident = {
        "metadata": {"name": name, "namespace": namespace, "uid": uid},
        "spec": {
            "fingerprint": f"{abs(hash((kind, workload))) % 16**16:016x}", "type": kind, "scope": "Workload",
            "target": {"kind": "Deployment", "namespace": namespace, "name": workload, "uid": "t"},
            "startedAt": began.isoformat(), "detectedAt": began.isoformat(),
            "detectedBy": {"rule": "r", "confidencePercent": 90}, "severity": "high",
        },
        "status": {"state": "Diagnosing", "timeline": [LINE], **status},
    }  # fmt: skip
    return HistoryRecord(cluster=cluster, incident=Incident.from_wire(incident), reports=reports)


def report(cause: str = "MemoryLeak") -> RCAReport:
    target = {"kind": "Deployment", "namespace": "shop", "name": "payments", "uid": "t"}
    causes = [{"id": "c", "kind": cause, "summary": "s", "target": target, "confidencePercent": 80}]
    window = {"start": NOW.isoformat(), "end": NOW.isoformat()}
    return RCAReport.from_wire(
        {
            "metadata": {"name": "payments-leak-1", "namespace": "shop", "uid": "r1"},
            "spec": {"incidentRef": {"name": "payments-leak-1", "uid": "u1"}, "window": window},
            "status": {"state": "Complete", "rootCauses": causes},
        }
    )


def test_the_migrations_make_exactly_the_tables_that_the_code_uses(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        migrate(connection)
        difference = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    assert [one for one in difference if one[0] not in {"modify_default"}] == []


def test_the_tables_can_be_made_in_postgresql() -> None:
    made = [str(CreateTable(table).compile(dialect=postgresql.dialect())) for table in metadata.sorted_tables]
    assert any("TIMESTAMP WITH TIME ZONE" in one for one in made)


def test_opening_a_database_again_keeps_what_is_in_it(url: str) -> None:
    for number in range(2):
        history = History(url)
        assert (history.story("shop", "payments-leak-1") is None) == (number == 0)
        history.record(record(), NOW)
        history.close()


def test_hostile_text_is_kept_without_what_a_database_cannot_hold(history: History) -> None:
    """PostgreSQL takes no NUL in text: that must not cost the incident its history."""
    line = {"at": "2030-05-06T09:30:00Z", "source": "log", "message": "a\x00b'; DROP TABLE incidents; -- \u202e"}
    history.record(record(timeline=[line], cause="nul \x00 here"), NOW)
    found = history.story("shop", "payments-leak-1")
    assert found is not None
    assert found["timeline"][0]["message"] == "ab'; DROP TABLE incidents; -- \u202e"
    assert found["cause"] == "nul  here"


def test_a_database_that_cannot_be_opened_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="unable to open") as error:
        History(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}")
    assert "\n" not in str(error.value)


def test_a_chain_is_kept_once_however_often_it_is_sent(history: History) -> None:
    for _ in range(3):
        history.record(record(reports=(report(),)), NOW)
    found = history.story("shop", "payments-leak-1")
    assert found is not None
    assert len(history.incidents(limit=10, since=NOW - timedelta(days=1))) == 1
    assert [one["kind"] for one in found["objects"]] == ["RCAReport"]
    assert (found["cause_kind"], found["confidence"]) == ("MemoryLeak", 80)
    assert found["started_at"] == NOW - timedelta(hours=1)


def test_the_line_that_opened_it_is_one_line_whose_figures_move_on(history: History) -> None:
    opened = {"at": "2030-05-06T09:00:40Z", "source": "incident", "actor": "iirp-detection"}
    for felt in ("", " (53% of the requests fail)", " (51% of the requests fail)"):
        line = {**opened, "message": f"opened: HighErrorRate{felt}"}
        history.record(record(timeline=[LINE, LINE, line]), NOW)
    found = history.story("shop", "payments-leak-1")
    assert found is not None
    said = [one["message"] for one in found["timeline"]]
    assert said == ["working set grows", "opened: HighErrorRate (51% of the requests fail)"]


def test_lines_that_fall_out_of_the_objects_timeline_stay(history: History) -> None:
    later = {"at": "2030-05-06T09:30:00Z", "source": "action", "message": "restarted"}
    history.record(record(timeline=[LINE]), NOW)
    history.record(record(timeline=[later]), NOW)
    found = history.story("shop", "payments-leak-1")
    assert found is not None
    assert [one["message"] for one in found["timeline"]] == ["working set grows", "restarted"]


def test_changes_are_kept_once_and_found_by_time(history: History) -> None:
    asked = request(changes=(rollout(690.0), rollout(700.0, "8"))).model_copy(update={"cluster": "c"})
    answer = RcaResponse(root_causes=(), method="deterministic", evidence_digest="sha256:" + "0" * 64)
    for _ in range(2):
        history.saw(asked, answer, (), NOW)
    at = asked.changes[0].at
    found = history.changes(namespace="shop", since=at - timedelta(seconds=1), until=at + timedelta(hours=1), limit=10)
    assert [one["revision"] for one in found] == ["8", "7"]
    assert history.changes(namespace="other", since=at, until=NOW, limit=10) == []


def test_what_the_request_told_is_kept_when_the_chain_is_recorded(history: History) -> None:
    asked = request(changes=(rollout(690.0),)).model_copy(update={"cluster": "c"})
    answer = RcaResponse(root_causes=(), method="deterministic", evidence_digest="sha256:" + "0" * 64)
    history.saw(asked, answer, ("cache miss <*>",), NOW)
    history.record(record(uid=asked.incident.uid, name=asked.incident.name), NOW)
    found = history.story("shop", asked.incident.name)
    assert found is not None
    assert found["templates"] == ["cache miss <*>"]
    assert "image" in found["changed"]
    assert found["state"] == "Diagnosing"


def test_similar_incidents_are_of_the_same_namespace_and_cluster_and_earlier(history: History) -> None:
    history.record(record("past", name="past", began=NOW - timedelta(days=3)), NOW)
    history.record(record("elsewhere", name="a", namespace="bank", began=NOW - timedelta(days=3)), NOW)
    history.record(record("other", name="b", cluster="d", began=NOW - timedelta(days=3)), NOW)
    history.record(record("future", name="f", began=NOW + timedelta(days=3)), NOW)
    now = record()
    wanted = Traits(
        now.incident.spec.fingerprint, "MemoryLeak", ("Deployment", "payments"), "", frozenset(), frozenset()
    )
    found = history.similar(wanted, cluster="c", namespace="shop", uid="u1", before=NOW, limit=3)
    assert [one.row["uid"] for one in found] == ["past"]


def test_what_is_older_than_the_retention_is_forgotten_with_all_that_belongs_to_it(history: History) -> None:
    ended = (NOW - timedelta(days=40)).isoformat()
    history.record(record("old", name="old", resolvedAt=ended, began=NOW - timedelta(days=41)), NOW)
    history.record(record(), NOW)
    assert history.sweep(NOW, timedelta(days=30)) == 1
    assert history.story("shop", "old") is None
    assert history.story("shop", "payments-leak-1") is not None


def test_incidents_are_filtered(history: History) -> None:
    history.record(record(), NOW)
    history.record(record("u2", name="x", workload="checkout", kind="HighLatency"), NOW)
    found = history.incidents(limit=10, since=NOW - timedelta(days=1), type="HighLatency", namespace="shop")
    assert [one["target_name"] for one in found] == ["checkout"]
