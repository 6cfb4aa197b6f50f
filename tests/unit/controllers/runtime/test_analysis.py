"""The analysis client against a real HTTP server on loopback: what it sends, and what each failure says."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analysis.contract import DetectRequest, DetectResponse, Problem
from controllers.runtime.analysis import AnalysisClient, AnalysisRefused, AnalysisUnavailable, TopologyUnknown
from controllers.runtime.errors import Retryable, Terminal
from controllers.runtime.metrics import Metrics
from controllers.runtime.settings import Settings

REQUEST = DetectRequest(cluster="c", topology_digest="sha256:" + "0" * 64)
GOOD = DetectResponse(evaluated_at=datetime(2026, 1, 1, tzinfo=UTC)).model_dump_json().encode()
Answer = tuple[int, bytes]


class Server(http.server.ThreadingHTTPServer):
    answer: Answer = (200, GOOD)
    unsent = 0
    seen: list[dict[str, str]]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Server)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append({"path": self.path, **dict(self.headers.items())})
        status, body = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) + self.server.unsent))
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/steal")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    made.seen = []
    threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("first\n")
    return path


@pytest.fixture
def client(server: Server, token: Path) -> AnalysisClient:
    address = f"http://127.0.0.1:{server.server_address[1]}"
    return AnalysisClient(address + "/", token_file=token, ca_file=None, timeout=5, metrics=Metrics("test"))


def test_the_token_is_read_anew_for_each_request(client: AnalysisClient, server: Server, token: Path) -> None:
    client.detect(REQUEST)
    token.write_text("second")
    client.detect(REQUEST)
    assert [item["Authorization"] for item in server.seen] == ["Bearer first", "Bearer second"]
    assert server.seen[0]["path"] == "/v1/detect"


def test_a_large_request_is_packed_and_a_small_one_is_not(client: AnalysisClient, server: Server) -> None:
    client.detect(REQUEST)
    client.detect(REQUEST.model_copy(update={"cluster": "c" * 100_000}))
    assert [item.get("Content-Encoding") for item in server.seen] == [None, "gzip"]
    assert int(server.seen[1]["Content-Length"]) < 5000


def problem(status: int) -> bytes:
    return Problem(title="no", status=status, detail="because").model_dump_json().encode()


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ((409, problem(409)), TopologyUnknown, "because"),
        ((422, problem(422)), AnalysisRefused, "/v1/detect answered 422: no: because"),
        ((401, problem(401)), AnalysisUnavailable, "audience"),
        ((403, b"<html>\n403"), AnalysisUnavailable, "callers"),
        ((503, problem(503)), AnalysisUnavailable, "answered 503: no: because"),
        ((200, b"[]"), AnalysisUnavailable, "same version"),
        ((200, GOOD[:-1] + b',"surprise":1}'), AnalysisUnavailable, "surprise"),
        ((302, b""), AnalysisUnavailable, "answered 302"),
    ],
)
def test_each_failure_is_typed_and_says_where_and_what_next(
    client: AnalysisClient, server: Server, answer: Answer, kind: type[Exception], words: str
) -> None:
    server.answer = answer
    with pytest.raises(kind, match=words):
        client.detect(REQUEST)
    assert len(server.seen) == 1, "neither retried in secret nor redirected with the token"


def test_refused_is_final_and_the_rest_is_tried_again() -> None:
    assert issubclass(AnalysisRefused, Terminal)
    assert issubclass(AnalysisUnavailable, Retryable)
    assert issubclass(TopologyUnknown, Retryable)


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda server, token: server.server_close(), "check that the external side runs"),
        (lambda server, token: token.unlink(), "IIRP_TOKEN_FILE"),
        (lambda server, token: setattr(server, "unsent", 10), "check that the external side runs"),
        (lambda server, token: token.write_text("two words"), "one token"),
        (lambda server, token: token.write_text(""), "one token"),
    ],
)
def test_an_outage_names_the_address_and_is_a_metric(
    client: AnalysisClient, server: Server, token: Path, break_it: Callable[[Server, Path], None], words: str
) -> None:
    address = f"http://127.0.0.1:{server.server_address[1]}/v1/detect"
    if break_it.__code__.co_names[:1] == ("server_close",):
        server.shutdown()
    break_it(server, token)
    with pytest.raises(AnalysisUnavailable, match=words) as caught:
        client.detect(REQUEST)
    assert address in caught.value.message
    assert client._metrics is not None
    up = client._metrics.registry.get_sample_value(
        "iirp_external_source_up", {"controller": "test", "source": "analysis"}
    )
    assert up == 0


def test_without_an_address_the_controller_does_not_start() -> None:
    with pytest.raises(Terminal, match="IIRP_ANALYSIS_URL"):
        AnalysisClient.from_settings(Settings(), Metrics("test"))
