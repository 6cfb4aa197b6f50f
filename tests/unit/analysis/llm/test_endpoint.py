"""Endpoints as they fail: each gives the deterministic report, marked, within its time, and costs what it must."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from analysis.api.metrics import Metrics
from analysis.config import DATA_ROOT, Model
from analysis.contract import RcaResponse
from analysis.llm.service import Narrator
from analysis.rca.catalogue import load_causes
from analysis.rca.service import explain
from tests.unit.analysis.rca.world import facts, request

CAUSES = load_causes(DATA_ROOT / "causes")
Serve = Callable[[socket.socket], None]
ANSWER = json.dumps({"wordings": [], "hypotheses": []})
TIMEOUT = 3.0


def http(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


def completion(content: str = ANSWER, usage: dict[str, int] | None = None, finish: str = "stop") -> bytes:
    message = {"role": "assistant", "content": content}
    body = {
        "id": "1", "object": "chat.completion", "created": 1, "model": "m", "usage": usage,
        "choices": [{"index": 0, "finish_reason": finish, "message": message}],
    }  # fmt: skip
    return json.dumps(body).encode()


class Peer:
    """A TCP server whose each connection is served by the next of the given functions, the last one for ever."""

    def __init__(self, *serves: Serve) -> None:
        self.accepted = 0
        self._serves = serves
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        self._thread = threading.Thread(target=self._run)

    @contextmanager
    def running(self) -> Iterator[Peer]:
        self._thread.start()
        try:
            yield self
        finally:
            self._over.set()
            self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            serve = self._serves[min(self.accepted, len(self._serves) - 1)]
            self.accepted += 1
            threading.Thread(target=self._serve, args=(serve, connection), daemon=True).start()

    def _serve(self, serve: Serve, connection: socket.socket) -> None:
        with connection:
            try:
                _read_request(connection)
                serve(connection)
            except OSError:
                """The client gave up, which is what some tests are about."""


def _read_request(connection: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
    )
    while len(body) < length:
        body += connection.recv(65536)


def says(data: bytes) -> Serve:
    return lambda connection: connection.sendall(data)


def drip(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    deadline = threading.Event()
    while not deadline.wait(0.05):
        connection.sendall(b" ")


def flood(connection: socket.socket) -> None:
    size = 100 * 1024 * 1024
    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n".encode())
    for _ in range(size // 65536):
        connection.sendall(b"x" * 65536)


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")


def silent(connection: socket.socket) -> None:
    connection.recv(1)


def reset(connection: socket.socket) -> None:
    connection.close()


def enrich(url: str, times: int = 1, **settings: object) -> tuple[RcaResponse, list[RcaResponse], Metrics]:
    metrics = Metrics()
    values = {"base_url": url, "model": "m", "timeout_seconds": TIMEOUT, **settings}
    narrator = Narrator(Model.model_validate(values), "", metrics)
    report, seen = explain(CAUSES, facts())

    async def run() -> list[RcaResponse]:
        try:
            return [await narrator.enrich(report, request(), seen) for _ in range(times)]
        finally:
            await narrator.aclose()

    return report, asyncio.run(run()), metrics


@pytest.mark.parametrize(
    ("serve", "reason"),
    [
        (says(http("429 Too Many Requests", b"{}", "Retry-After: 60")), "HTTP 429"),
        (says(http("500 Internal Server Error", b"oops")), "HTTP 500"),
        (says(http("302 Found", b"", "Location: http://127.0.0.1:9/")), "HTTP 302"),
        (says(http("200 OK", b"this is not JSON")), "not JSON"),
        (says(http("200 OK", b"[1]")), ""),
        (says(http("200 OK", completion("no JSON either"))), "invalid answer"),
        (says(http("200 OK", completion(""))), "empty answer"),
        (says(http("200 OK", completion(ANSWER[:9], finish="length"))), "cut off at 1200 tokens"),
        (says(http("422 Unprocessable Entity", b"{}")), "HTTP 422 (does it know this model, and model.answerFormat?)"),
        (
            says(http("200 OK", completion(json.dumps({"tool": "kubectl"})))),
            "invalid",
        ),
        (drip, "no answer within 3 s"),
        (silent, "no answer within 3 s"),
        (flood, "larger than"),
        (endless, "larger than"),
        (reset, "cannot connect"),
    ],
)
def test_a_failing_endpoint_leaves_the_deterministic_report_marked(serve: Serve, reason: str) -> None:
    with Peer(serve).running() as peer:
        started = time.monotonic()
        before, (after,), metrics = enrich(peer.url)
        elapsed = time.monotonic() - started
    assert after.root_causes == before.root_causes
    assert after.recommended_actions == before.recommended_actions
    assert after.method == "deterministic"
    assert reason in after.degraded_reason
    assert after.degraded_reason
    assert metrics.registry.get_sample_value("iirp_analysis_model_calls_total", {"outcome": "failed"}) == 1
    # Not a measurement: a hung endpoint would hang for ever.
    assert elapsed < TIMEOUT * 10


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    before, (after,), _ = enrich(url)
    assert after.root_causes == before.root_causes
    assert "cannot connect" in after.degraded_reason


@pytest.mark.parametrize(
    ("serves", "attempts", "degraded"),
    [
        ((reset, says(http("200 OK", completion()))), 2, False),
        ((reset, reset, says(http("200 OK", completion()))), 3, False),
        ((reset,), 3, True),
        ((says(http("429 Too Many Requests", b"{}")), says(http("200 OK", completion()))), 1, True),
        ((says(http("503 Unavailable", b"{}")), says(http("200 OK", completion()))), 1, True),
    ],
)
def test_only_what_got_no_answer_is_sent_again(serves: tuple[Serve, ...], attempts: int, *, degraded: bool) -> None:
    with Peer(*serves).running() as peer:
        _, (after,), _ = enrich(peer.url)
    assert peer.accepted == attempts
    assert bool(after.degraded_reason) is degraded


def test_the_same_prompt_is_paid_once() -> None:
    with Peer(
        says(http("200 OK", completion(usage={"prompt_tokens": 900, "completion_tokens": 20, "total_tokens": 920})))
    ).running() as peer:
        _, answers, metrics = enrich(peer.url, times=3)
    assert peer.accepted == 1
    assert len({one.model_dump_json() for one in answers}) == 1
    assert metrics.registry.get_sample_value("iirp_analysis_model_calls_total", {"outcome": "cached"}) == 2
    assert metrics.registry.get_sample_value("iirp_analysis_model_tokens_total", {"kind": "prompt"}) == 900


def test_an_invalid_answer_is_paid_and_not_kept() -> None:
    with Peer(says(http("200 OK", completion("nonsense")))).running() as peer:
        _, answers, _ = enrich(peer.url, times=9, budget={"tokens_per_incident": 8_000})
    reasons = [one.degraded_reason for one in answers]
    assert "invalid answer" in reasons[0]
    assert "budget of this incident" in reasons[-1]
    assert peer.accepted < 9
