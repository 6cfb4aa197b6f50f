from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from analysis.api.app import create_app
from analysis.config import Auth, Config, Endpoint, HistoryConfig, StaticCaller
from analysis.configfile import ConfigError
from analysis.kube import ApiServer, ApiServerError
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


class People:
    """An API server to which alice may list incidents in shop, and root everywhere."""

    def __init__(self, broken: bool = False) -> None:
        self.broken = broken

    async def request(self, method: str, path: str, *, token: str | None, body: dict[str, Any]) -> dict[str, Any]:
        assert (method, path) == ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
        if self.broken:
            raise ApiServerError("does not answer")
        if token not in {"alice", "root"}:
            raise ApiServerError("Unauthorized", 401)
        asked = body["spec"]["resourceAttributes"]
        assert (asked["group"], asked["resource"], asked["verb"]) == ("iirp.io", "incidents", "list")
        return {"status": {"allowed": token == "root" or asked["namespace"] == "shop"}}

    async def aclose(self) -> None:
        pass


def vouched_by(client: TestClient, people: People) -> None:
    state = cast(FastAPI, client.app).state
    state.services = replace(state.services, api_server=cast(ApiServer, people))


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("incidents?namespace=shop", "alice", 200),
        ("incidents/shop/payments-leak-1", "alice", 200),
        ("changes?namespace=shop", "alice", 200),
        ("incidents?namespace=shop&cluster=cluster", "alice", 200),
        ("incidents?namespace=shop&cluster=other", "alice", 403),
        ("incidents", "alice", 403),
        ("incidents?namespace=", "alice", 403),
        ("incidents?namespace=billing", "alice", 403),
        ("incidents/billing/payments-leak-1", "alice", 403),
        ("changes?namespace=billing", "alice", 403),
        ("incidents", "root", 200),
        ("incidents?namespace=shop", "stolen", 401),
        ("incidents?namespace=shop", "", 401),
    ],
)
def test_people_read_of_the_namespaces_in_which_they_may_list_incidents(
    client: TestClient, path: str, token: str, status: int
) -> None:
    for cluster in ("cluster", "other"):
        sent = record(began=RECENT, cluster=cluster)
        uid = sent.incident.metadata.model_copy(update={"uid": f"u-{cluster}"})
        sent = sent.model_copy(update={"incident": sent.incident.model_copy(update={"metadata": uid})})
        client.post("/v1/history", json=sent.model_dump(mode="json"), headers=as_("iirp-incident"))
    vouched_by(client, People())
    answer = client.get(f"/v1/history/{path}", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == status, answer.text
    if status == 200:
        rows = answer.json() if isinstance(answer.json(), list) else [answer.json()]
        assert {row["cluster"] for row in rows} <= {"cluster"}, "rights in one cluster are none in another"
        assert rows or path.startswith("changes")


def test_rights_that_cannot_be_checked_are_none(client: TestClient) -> None:
    vouched_by(client, People(broken=True))
    answer = client.get("/v1/history/incidents?namespace=shop", headers={"Authorization": "Bearer alice"})
    assert answer.status_code == 503


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


def test_a_driver_that_is_not_installed_is_told_with_what_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"history\.url: .*psycopg.*pip install 'iirp\[postgres\]'"):
        create_app(config(tmp_path, "postgresql+psycopg://iirp@127.0.0.1:1/x"))


def test_a_history_that_cannot_be_opened_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"history\.url: history database: unable to open"):
        create_app(config(tmp_path, "sqlite:////no/such/folder/h.db"))
