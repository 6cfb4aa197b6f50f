"""The application as callers see it: who gets in, what errors look like. Sources and API server are test doubles."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cramjam
import pytest
from fastapi.testclient import TestClient
from starlette.types import ASGIApp, Message, Receive

from analysis.api.app import MAX_UNPACKED_BYTES, create_app
from analysis.api.limits import BodyLimit
from analysis.config import Auth, Config, Endpoint, StaticCaller
from analysis.telemetry.query import Select
from analysis.warm import warm, warm_up
from tests.unit.analysis.telemetry.remote import Request, request

ACCOUNTS = ("iirp-alertmanager", "iirp-detection", "iirp-rca", "iirp-feedback", "iirp-incident", "prometheus-agent")
DETECT = {"cluster": "c", "topology_digest": "sha256:" + "0" * 64}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    callers = []
    for account in ACCOUNTS:
        file = tmp_path / account
        file.write_text(secret(account))
        callers.append(StaticCaller(username=f"system:serviceaccount:iirp-system:{account}", secret_file=file))
    nowhere = Endpoint(url="http://127.0.0.1:9", timeout_seconds=1)
    config = Config(prometheus=nowhere, loki=nowhere, auth=Auth(static=tuple(callers)))
    warm()  # else each client's server would start a process that compiles
    with TestClient(create_app(config), raise_server_exceptions=False) as found:
        yield found


def secret(account: str) -> str:
    return hashlib.sha256(account.encode()).hexdigest()


def as_(account: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret(account)}"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer guessed"}, 401),
        ({"Authorization": "Basic abc"}, 401),
        (as_("iirp-rca"), 403),
        ({"X-Remote-User": "system:serviceaccount:iirp-system:iirp-detection"}, 401),
        ({"X-Forwarded-User": "iirp-detection", "X-Original-URI": "/login", "X-Original-Method": "GET"}, 401),
        (as_("iirp-detection"), 409),
    ],
)
def test_own_routes_check_the_token_themselves(client: TestClient, headers: dict, status: int) -> None:
    answer = client.post("/v1/detect", json=DETECT, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


@pytest.mark.parametrize(
    ("account", "method", "uri", "status"),
    [
        ("prometheus-agent", "POST", "/prometheus/api/v1/write", 204),
        ("prometheus-agent", "POST", "/otlp/v1/logs", 403),
        ("prometheus-agent", "GET", "/prometheus/api/v1/query", 403),
        ("iirp-detection", "POST", "/v1/detect", 204),
        ("prometheus-agent", "POST", "/v1/write", 204),
        ("iirp-detection", "POST", "/v1/write", 403),
        ("iirp-alertmanager", "POST", "/v1/alerts?cluster=c", 204),
        ("iirp-alertmanager", "POST", "/v1/detect", 403),
        ("iirp-detection", "POST", "/v1/alerts", 403),
        ("iirp-detection", "POST", "/v1/rca", 403),
        ("iirp-detection", "POST", "/v1/rca/../detect", 403),
        (None, "POST", "/v1/detect", 401),
        (None, "GET", "/login", 204),
        (None, "GET", "/metrics", 403),
        (None, "", "", 403),
    ],
)
def test_the_gateways_question(client: TestClient, account: str | None, method: str, uri: str, status: int) -> None:
    headers = {"X-Original-URI": uri, "X-Original-Method": method, **(as_(account) if account else {})}
    answer = client.get("/auth", headers=headers)
    assert answer.status_code == status
    if status == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_refusal_does_not_echo_the_token(client: TestClient) -> None:
    headers = {"X-Original-URI": "/v1/rca", "X-Original-Method": "POST", "Authorization": "Bearer sEcReT-123"}
    assert "sEcReT" not in client.get("/auth", headers=headers).text


def test_metrics_down_is_reported_not_raised(client: TestClient) -> None:
    topology = {
        "digest": DETECT["topology_digest"],
        "pods": [
            {
                "namespace": "shop",
                "name": "p-1",
                "uid": "u",
                "workload": {"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "p-1"},
            }
        ],
    }
    answer = client.post("/v1/detect", json={**DETECT, "topology": topology}, headers=as_("iirp-detection"))
    assert answer.status_code == 200
    sources = {one["name"]: one for one in answer.json()["sources"]}
    assert not sources["prometheus"]["ok"]
    assert sources["prometheus"]["address"] == "http://127.0.0.1:9"
    assert client.post("/v1/detect", json=DETECT, headers=as_("iirp-detection")).status_code == 200
    assert 'iirp_analysis_source_up{source="prometheus"} 0.0' in client.get("/metrics").text


@pytest.mark.parametrize("body", [{}, {"cluster": "c"}, {**DETECT, "colour": "sEcReT"}, []])
def test_bad_bodies_are_problems(client: TestClient, body: object) -> None:
    answer = client.post("/v1/detect", json=body, headers=as_("iirp-detection"))
    assert answer.status_code == 422
    assert "contract" in answer.json()["title"]
    assert "sEcReT" not in answer.text


def test_health_and_unknown_paths(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json()["status"] == "degraded"
    assert client.get("/nowhere").json()["status"] == 404
    assert client.get("/docs").status_code == 404
    assert client.get("/openapi.json").status_code == 404


def test_bodies_are_bounded_whatever_they_claim(client: TestClient) -> None:
    bounded = TestClient(BodyLimit(client.app, max_bytes=1000, seconds=60.0))
    headers = {**as_("iirp-detection"), "Content-Type": "application/json"}
    assert bounded.post("/v1/detect", content=iter([b"[" * 600] * 3), headers=headers).status_code == 413
    assert bounded.post("/v1/detect", json=DETECT, headers=headers).status_code == 409


@pytest.mark.parametrize("path", ["/v1/detect", "/v1/rca", "/v1/verify", "/v1/history", "/v1/alerts", "/v1/write"])
@pytest.mark.parametrize(("sent", "status"), [({}, 401), ({"Authorization": "Bearer guessed"}, 401), (as_("x"), 401)])
def test_no_byte_is_read_from_who_may_not_ask(client: TestClient, path: str, sent: dict, status: int) -> None:
    async def receive() -> Message:
        raise AssertionError("the body was asked for")

    answers = asyncio.run(exchange(client.app, path, {**sent, "Content-Encoding": "gzip"}, receive))
    assert answers[0]["status"] == status


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_body_that_never_ends_is_given_up(client: TestClient, coding: str) -> None:
    async def receive() -> Message:
        return await asyncio.Future()

    bounded = BodyLimit(client.app, max_bytes=1000, seconds=0.0)
    headers = {**as_("iirp-detection"), "Content-Type": "application/json", "Content-Encoding": coding}
    answers = asyncio.run(exchange(bounded, "/v1/detect", headers, receive))
    assert answers[0]["status"] == 408
    assert len([one for one in answers if one["type"] == "http.response.start"]) == 1


async def exchange(app: ASGIApp, path: str, headers: dict[str, str], receive: Receive) -> list[Message]:
    """What a POST is answered, in pieces."""
    answers: list[Message] = []

    async def send(message: Message) -> None:
        answers.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": path,
             "raw_path": path.encode(), "query_string": b"", "headers": raw}  # fmt: skip
    await app(scope, receive, send)
    return answers


HOSTILE = {
    "nested": b'{"cluster":' + b"[" * 200_000,
    "nested and closed": b"[" * 50_000 + b"]" * 50_000,
    "a number of 5000 digits": b'{"cluster":' + b"9" * 5000 + b"}",
    "not a number": b'{"cluster":NaN,"topology_digest":Infinity}',
    "half a surrogate pair as a key": b'{"\\ud800":1}',
    "not UTF-8": b'{"cluster":"\xff"}',
    "a key of a megabyte": b'{"' + b"a" * 1_000_000 + b'":1}',
    "a time after the year 9999": b'{"cluster":"c","topology_digest":"d","signals":[{"at":1e308}]}',
    "nothing": b"",
    "null": b"null",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize(
    ("path", "account"),
    [
        ("/v1/detect", "iirp-detection"),
        ("/v1/rca", "iirp-rca"),
        ("/v1/verify", "iirp-feedback"),
        ("/v1/alerts", "iirp-alertmanager"),
    ],
)
def test_hostile_bodies_are_a_short_refusal(client: TestClient, path: str, account: str, body: bytes) -> None:
    answer = client.post(path, content=body, headers={**as_(account), "Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 2000


def test_samples_come_in_by_remote_write(client: TestClient) -> None:
    body = bytes(cramjam.snappy.compress_raw(request(({"__name__": "m", "pod": "p"}, [(1.0, 1_767_225_600_000)]))))
    agent = as_("prometheus-agent")
    assert client.post("/v1/write", content=body).status_code == 401
    assert client.post("/v1/write", content=body, headers=as_("iirp-detection")).status_code == 403
    assert client.post("/v1/write", content=body, headers=agent).status_code == 204
    assert client.post("/v1/write", content=b"noise", headers=agent).status_code == 400
    assert client.post("/v1/write", content=body, headers={**agent, "Content-Encoding": "gzip"}).status_code == 415
    assert client.post("/v1/write", content=body, headers={**agent, "Content-Type": "text/plain"}).status_code == 415
    assert 'iirp_analysis_intake_samples_total{outcome="ignored"} 1.0' in client.get("/metrics").text


def test_version_2_is_told_what_was_written(client: TestClient) -> None:
    made = Request(symbols=[b"", b"__name__", b"m", b"pod", b"a", b"b"])
    now = round(time.time() * 1000)
    for pod in (4, 5):
        made.timeseries.add(labels_refs=[1, 2, 3, pod]).samples.add(value=1.0, timestamp=now)
    made.timeseries.add(labels_refs=[1, 2]).histograms.add(count_int=1, timestamp=now)
    body = bytes(cramjam.snappy.compress_raw(made.SerializeToString()))
    headers = {**as_("prometheus-agent"), "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"}
    store = client.app.state.services.store

    def written() -> tuple[int, list[str]]:
        answer = client.post("/v1/write", content=body, headers=headers)
        names = ("Samples", "Histograms", "Exemplars")
        return answer.status_code, [answer.headers[f"X-Prometheus-Remote-Write-{name}-Written"] for name in names]

    assert written() == (204, ["2", "1", "0"])  # nobody reads them, and that is no failure of the sender
    store.capacity = store._decoder.capacity = 1
    store.covers(Select("m"), 60.0, time.time(), exact=False)
    assert written() == (400, ["1", "0", "0"])
    unknown = {**headers, "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v3.Request"}
    assert client.post("/v1/write", content=body, headers=unknown).status_code == 415


def test_samples_that_have_no_room_are_said(client: TestClient) -> None:
    services = client.app.state.services
    services.store.capacity = services.store._decoder.capacity = 1
    services.store.covers(Select("m"), 60.0, time.time(), exact=False)
    now = round(time.time() * 1000)
    series = [({"__name__": "m", "pod": str(index)}, [(1.0, now)]) for index in range(3)]
    body = bytes(cramjam.snappy.compress_raw(request(*series)))
    answer = client.post("/v1/write", content=body, headers=as_("prometheus-agent"))
    assert answer.status_code == 400
    assert "2 samples" in answer.json()["detail"]


def test_too_many_writers_at_once_are_told_to_come_again(client: TestClient) -> None:
    while not client.app.state.services.in_flight.locked():
        asyncio.run(client.app.state.services.in_flight.acquire())
    answer = client.post("/v1/write", content=b"", headers=as_("prometheus-agent"))
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0


def packed(body: bytes, account: str = "iirp-detection") -> dict[str, Any]:
    headers = {**as_(account), "Content-Type": "application/json", "Content-Encoding": "gzip"}
    return {"content": body, "headers": headers}


def test_large_requests_may_come_packed(client: TestClient) -> None:
    text = json.dumps(DETECT).encode()
    assert client.post("/v1/detect", **packed(gzip.compress(text))).status_code == 409, (
        "read, and the topology asked for"
    )
    assert client.post("/v1/detect", **packed(text)).status_code == 400
    assert client.post("/v1/detect", **packed(gzip.compress(text)[:-9])).status_code == 400


@pytest.mark.parametrize(
    ("path", "account"),
    [
        ("/v1/detect", "iirp-detection"),
        ("/v1/rca", "iirp-rca"),
        ("/v1/verify", "iirp-feedback"),
        ("/v1/history", "iirp-incident"),
    ],
)
def test_whatever_controllers_post_may_come_packed(client: TestClient, path: str, account: str) -> None:
    answer = client.post(path, **packed(gzip.compress(b"{}"), account))
    assert answer.status_code == 422, "read, and found to lack everything"


def test_a_small_body_that_unpacks_to_a_large_one_is_refused(client: TestClient) -> None:
    bomb = gzip.compress(b" " * (MAX_UNPACKED_BYTES + 1))
    assert len(bomb) < 1_000_000
    assert client.post("/v1/detect", **packed(bomb)).status_code == 413


def test_an_alert_comes_in_shows_up_and_goes(client: TestClient) -> None:
    target = {"kind": "Deployment", "namespace": "shop", "name": "payments", "uid": "d"}
    pod = {"namespace": "shop", "name": "payments-1", "uid": "u", "workload": target}
    digest = DETECT["topology_digest"]
    topology = {"digest": digest, "pods": [pod]}
    alert = {
        "status": "firing",
        "labels": {"alertname": "QueueGrows", "namespace": "shop", "pod": "payments-1"},
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
    }

    def types(status: str) -> list[str]:
        body = {"version": "4", "alerts": [{**alert, "status": status}]}
        assert client.post("/v1/alerts", json=body, headers=as_("iirp-alertmanager")).status_code == 200
        request = {"cluster": "c", "topology_digest": digest, "topology": topology}
        answer = client.post("/v1/detect", json=request, headers=as_("iirp-detection"))
        return [one["type"] for one in answer.json()["candidates"]]

    assert types("firing") == ["QueueGrows"]
    assert types("resolved") == []
    refused = client.post("/v1/alerts", content=b"{}", headers=as_("iirp-alertmanager"))
    assert refused.status_code == 400


def test_a_server_that_is_still_loading_asks_writers_to_come_again(client: TestClient) -> None:
    store = client.app.state.services.store
    store.ready = False
    assert client.post("/v1/write", content=b"", headers=as_("prometheus-agent")).status_code == 503
    assert not store.covers(Select("m"), 60.0, time.time(), exact=False)
    assert client.get("/readyz").json()["intake"] == "compiling"
    asyncio.run(warm_up(store))
    assert client.get("/readyz").json()["intake"] == "ready"
