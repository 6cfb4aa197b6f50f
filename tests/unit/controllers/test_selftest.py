"""`helm test` says what is wrong and what to do, and passes only when nothing is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from controllers.kube.errors import Unavailable
from controllers.runtime.settings import Settings
from controllers.selftest import selftest


class FewCalls:
    """The two reads that the self-test makes."""

    def __init__(self, deployments: list[dict[str, Any]], missing: str = "") -> None:
        self.deployments = deployments
        self.missing = missing

    def served(self, resource: Any) -> bool:
        return bool(resource.plural != self.missing)

    def list_raw(self, resource: Any, namespace: str, *, labels: str = "") -> list[dict[str, Any]]:
        assert (namespace, labels) == ("iirp-system", "app.kubernetes.io/part-of=iirp")
        return self.deployments


def deployment(name: str, available: int) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"replicas": 1}, "status": {"availableReplicas": available}}


@contextmanager
def gateway(status: int) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            assert "Authorization" not in self.headers
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("available", "missing", "status", "code", "words"),
    [
        (1, "", 401, 0, "ok      deployment iirp-policy"),
        (0, "", 401, 1, "0 of 1 available: kubectl logs -n iirp-system deploy/iirp-policy"),
        (1, "approvals", 401, 1, "approvals.iirp.io: the API server does not serve it"),
        (1, "", 200, 1, "answered 200 to a request without a token"),
    ],
)
def test_each_finding_decides(
    available: int, missing: str, status: int, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kube = FewCalls([deployment("iirp-policy", available)], missing)
    with gateway(status) as url:
        assert selftest(Settings.from_environment({"IIRP_ANALYSIS_URL": url}), lambda: kube) == code  # type: ignore[arg-type, return-value]
    assert words in capsys.readouterr().out


def test_an_empty_namespace_and_a_silent_gateway_fail(capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings.from_environment({"IIRP_ANALYSIS_URL": "http://127.0.0.1:9"})
    assert selftest(settings, lambda: FewCalls([])) == 1  # type: ignore[arg-type, return-value]
    out = capsys.readouterr().out
    assert "none of IIRP in namespace iirp-system" in out
    assert "not reachable (ConnectionError)" in out


def test_an_unreachable_api_server_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    def unreachable() -> Any:
        raise Unavailable("NoAnswer", "https://10.0.0.1:6443: connection refused")

    assert selftest(Settings.from_environment({}), unreachable) == 1
    assert "10.0.0.1:6443" in capsys.readouterr().out
