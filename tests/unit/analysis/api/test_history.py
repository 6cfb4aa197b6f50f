from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from analysis.api.app import create_app
from analysis.config import Auth, Config, ConfigError, Endpoint, HistoryConfig, StaticCaller
from tests.unit.analysis.history.test_store import record
from tests.unit.analysis.rca.world import request, rollout

NOWHERE = Endpoint(url="http://127.0.0.1:9", timeout_seconds=1)


def secret(account: str) -> str:
    return hashlib.sha256(account.encode()).hexdigest()


def as_(account: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret(account)}"}


def config(tmp_path: Path, history: str | None) -> Config:
    callers = []
    for account in ("iirp-incident", "iirp-reader", "iirp-rca"):
        file = tmp_path / account
        file.write_text(secret(account))
        callers.append(StaticCaller(username=f"system:serviceaccount:iirp-system:{account}", secret_file=file))
    kept = HistoryConfig(url=history)
    return Config(prometheus=NOWHERE, loki=NOWHERE, auth=Auth(static=tuple(callers)), history=kept)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(create_app(config(tmp_path, f"sqlite:///{tmp_path / 'h.db'}"))) as found:
        yield found


RECENT = datetime.now(tz=UTC) - timedelta(minutes=5)
BODY = record(began=RECENT).model_dump(mode="json")


def test_what_the_controller_sends_readers_find(client: TestClient) -> None:
    assert client.post("/v1/history", json=BODY, headers=as_("iirp-incident")).json() == {"kept": True}
    (one,) = client.get("/v1/history/incidents?namespace=shop", headers=as_("iirp-reader")).json()
    assert (one["name"], one["type"]) == ("payments-leak-1", "MemoryLeak")
    story = client.get("/v1/history/incidents/shop/payments-leak-1", headers=as_("iirp-reader")).json()
    assert [line["message"] for line in story["timeline"]] == ["working set grows"]
    assert client.get("/v1/history/incidents?hours=0.01", headers=as_("iirp-reader")).json() == []


@pytest.mark.parametrize(
    ("method", "path", "account", "status"),
    [
        ("POST", "/v1/history", "iirp-reader", 403),
        ("POST", "/v1/history", "iirp-rca", 403),
        ("GET", "/v1/history/incidents", "iirp-incident", 403),
        ("GET", "/v1/history/incidents", "nobody", 401),
        ("GET", "/v1/history/incidents/shop/none", "iirp-reader", 404),
        ("GET", "/v1/history/incidents?limit=100000", "iirp-reader", 422),
        ("GET", "/v1/history/changes", "iirp-reader", 422),
    ],
)
def test_who_may_and_what_is_refused(client: TestClient, method: str, path: str, account: str, status: int) -> None:
    body = BODY if method == "POST" else None
    assert client.request(method, path, json=body, headers=as_(account)).status_code == status


def test_a_report_names_earlier_incidents_and_leaves_its_changes(client: TestClient) -> None:
    began = datetime(2020, 1, 1, tzinfo=UTC)
    before = record(began=began, cluster="")
    client.post("/v1/history", headers=as_("iirp-incident"), json=before.model_dump(mode="json"))
    asked = request(changes=(rollout(690.0),))
    facts = asked.incident.model_copy(update={"fingerprint": before.incident.spec.fingerprint})
    asked = asked.model_copy(update={"incident": facts})
    answer = client.post("/v1/rca", json=asked.model_dump(mode="json"), headers=as_("iirp-rca")).json()
    (similar,) = answer["similar"]
    assert similar["name"] == "payments-leak-1"
    assert similar["why"] == "the same fault, type MemoryLeak, Deployment payments"
    hours = (datetime.now(tz=UTC) - asked.changes[0].at).total_seconds() / 3600 + 1
    found = client.get(f"/v1/history/changes?namespace=shop&hours={hours}", headers=as_("iirp-reader")).json()
    assert [one["summary"] for one in found] == ["image v1.8 -> v1.9"]


def test_without_a_history_nothing_is_kept_and_readers_are_told(tmp_path: Path) -> None:
    with TestClient(create_app(config(tmp_path, None))) as client:
        assert client.post("/v1/history", json=BODY, headers=as_("iirp-incident")).json() == {"kept": False}
        answer = client.get("/v1/history/incidents", headers=as_("iirp-reader"))
    assert answer.status_code == 404
    assert "history.url" in answer.json()["detail"]


def test_a_history_that_cannot_be_opened_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"history\.url: history database: unable to open"):
        create_app(config(tmp_path, "sqlite:////no/such/folder/h.db"))
