"""The HTTP servers of one shop process, over real sockets on loopback."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from demo.shop.client import Upstreams, fetch
from demo.shop.faults import Faults
from demo.shop.load import Load
from demo.shop.metrics import Metrics
from demo.shop.server import AdminHandler, BusinessHandler, Server, State


class Shop:
    """All four services on free ports, each with its admin server."""

    def __init__(self) -> None:
        self.urls: dict[str, str] = {}
        self.admin: dict[str, str] = {}
        self.states: dict[str, State] = {}
        self.servers: list[Server] = []
        for name in ("payments", "catalogue", "checkout", "frontend"):
            metrics = Metrics()
            state = State(name, metrics, Faults(), Upstreams(self.urls, 2.0, metrics))
            self.states[name] = state
            self.urls[name] = self._serve(BusinessHandler, state)
            self.admin[name] = self._serve(AdminHandler, state)

    def _serve(self, handler: type[BaseHTTPRequestHandler], state: State) -> str:
        server = Server(0, handler, state)
        self.servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
def shop() -> Iterator[Shop]:
    running = Shop()
    yield running
    for server in running.servers:
        server.shutdown()
        server.server_close()


def metrics_of(shop: Shop, service: str) -> str:
    return fetch(f"{shop.admin[service]}/metrics", "GET", None, "", 5)[1].decode()


def test_a_purchase_is_counted_at_every_hop_and_logged(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="shop.access"):
        code, _ = fetch(f"{shop.urls['frontend']}/checkout", "POST", {"basket": ["1"]}, "abc123", 5)
        assert code == 201
        lines = [record.getMessage() for record in caplog.records]
    assert 'http_requests_total{code="201",method="POST",route="/charges"} 1.0' in metrics_of(shop, "payments")
    assert 'upstream_requests_total{code="201",upstream="payments"} 1.0' in metrics_of(shop, "checkout")
    assert any("POST /charges 201" in line and "request_id=abc123" in line for line in lines)


def test_an_exception_is_a_500_here_and_a_502_upstream(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    fetch(f"{shop.admin['payments']}/fault/errors", "POST", {"share": 1}, "", 5)
    code, body = fetch(f"{shop.urls['frontend']}/checkout", "POST", {"basket": ["1"]}, "r", 5)
    assert (code, json.loads(body)["error"]) == (502, "checkout: answered 502")
    assert any(record.exc_info for record in caplog.records if "POST /charges" in record.getMessage())
    assert 'http_requests_total{code="500",method="POST",route="/charges"} 1.0' in metrics_of(shop, "payments")


def test_an_upstream_that_is_not_there_is_a_502_that_is_counted(shop: Shop) -> None:
    shop.urls["catalogue"] = "http://127.0.0.1:1"
    assert fetch(f"{shop.urls['frontend']}/", "GET", None, "r", 5)[0] == 502
    assert 'upstream_requests_total{code="none",upstream="catalogue"} 1.0' in metrics_of(shop, "frontend")


def test_faults_are_switched_and_listed_over_http(shop: Shop) -> None:
    admin = shop.admin["payments"]
    assert fetch(f"{admin}/fault/slow", "POST", {"milliseconds": 1}, "", 5)[0] == 200
    assert json.loads(fetch(f"{admin}/fault", "GET", None, "", 5)[1]) == {"slow": {"milliseconds": 1, "share": 1.0}}
    assert fetch(f"{admin}/fault/slow", "DELETE", None, "", 5)[0] == 200
    assert json.loads(fetch(f"{admin}/fault", "GET", None, "", 5)[1]) == {}


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [("/fault/nonsense", {}, 422), ("/fault/leak", {"rate": 1}, 422), ("/fault/LEAK", {}, 404), ("/other", {}, 404)],
)
def test_wrong_switches_are_refused(shop: Shop, path: str, body: object, code: int) -> None:
    assert fetch(shop.admin["payments"] + path, "POST", body, "", 5)[0] == code


def test_a_draining_service_is_alive_but_not_ready(shop: Shop) -> None:
    url = shop.urls["payments"]
    assert fetch(f"{url}/readyz", "GET", None, "", 5)[0] == 200
    shop.states["payments"].draining.set()
    assert fetch(f"{url}/readyz", "GET", None, "", 5)[0] == 503
    assert fetch(f"{url}/healthz", "GET", None, "", 5)[0] == 200


def test_a_request_id_from_outside_is_not_trusted_with_the_log(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="shop.access"):
        fetch(f"{shop.urls['catalogue']}/products", "GET", None, "x y", 5)
    assert not any("x y" in record.getMessage() for record in caplog.records)


def test_business_ports_have_no_switches_and_bodies_have_a_limit(shop: Shop) -> None:
    assert fetch(f"{shop.urls['payments']}/fault/leak", "POST", {}, "", 5)[0] == 404
    assert fetch(f"{shop.urls['payments']}/charges", "POST", {"cents": "x" * 70_000}, "", 5)[0] == 413


def test_the_load_is_changed_over_http_and_only_where_there_is_one() -> None:
    metrics = Metrics()
    state = State("load", metrics, Faults(), Upstreams({}, 2.0, metrics))
    server = Server(0, AdminHandler, state)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/load"
    try:
        assert fetch(url, "POST", {"rate": 32}, "", 5)[0] == 404
        state.load = Load("http://127.0.0.1:9", 8.0, 1, 1.0, metrics)
        assert json.loads(fetch(url, "POST", {"rate": 32}, "", 5)[1]) == {"rate": 32.0}
        assert json.loads(fetch(url, "GET", None, "", 5)[1]) == {"rate": 32.0}
        for bad in ({"rate": -1}, {"rate": "many"}, {"rate": 1e9}, {}, []):
            assert fetch(url, "POST", bad, "", 5)[0] == 422
        assert state.load.rate == 32
    finally:
        server.shutdown()
        server.server_close()


def test_thousands_of_series_are_served_while_the_fault_is_on(shop: Shop) -> None:
    assert fetch(f"{shop.admin['payments']}/fault/series", "POST", {"count": 3000}, "", 5)[0] == 200
    assert metrics_of(shop, "payments").count("basket_views_total{") == 3000
    assert fetch(f"{shop.admin['payments']}/fault/series", "DELETE", None, "", 5)[0] == 200
    assert "basket_views_total" not in metrics_of(shop, "payments")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'd\r\n{"count": 300\r\n2;x=y\r\n0}\r\n0\r\n\r\n', 200),
        (b'10\r\n{"count": 3000  \r\n1\r\n}\r\n0\r\nTrailer: t\r\n\r\n', 200),
        (b"zz\r\n", 400),
        (b"fffff\r\n", 413),
    ],
)
def test_parameters_arrive_in_chunks_too_as_the_api_server_proxies_them(shop: Shop, body: bytes, code: int) -> None:
    host, _, port = shop.admin["payments"].removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        head = b"POST /fault/series HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        connection.sendall(head + body)
        answer = connection.makefile("rb").read().decode()
    assert answer.splitlines()[0].split()[1] == str(code)
    if code == 200:
        assert '"count": 3000' in answer
