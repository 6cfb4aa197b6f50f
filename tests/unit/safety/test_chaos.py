"""The parts of `make chaos` that decide: what the audit log says, what is tried, what the proxy does to a request."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from devcluster.pki import Authority, Identity
from tests.safety.chaos.__main__ import Effort, schedule, summary
from tests.safety.chaos.audit import EXECUTOR, AuditTail, Recorded
from tests.safety.chaos.kinds import KINDS
from tests.safety.chaos.proxy import Fault, Proxy, Write
from tests.safety.chaos.runs import Disturbance, Outcome, happened

URI = "/apis/apps/v1/namespaces/shop/deployments/web?fieldManager=iirp-execution"


def event(verb: str = "patch", uri: str = URI, user: str = EXECUTOR, code: int = 200, **about: str) -> str:
    body = {
        "stage": "ResponseComplete",
        "verb": verb,
        "requestURI": uri,
        "user": {"username": user},
        "objectRef": {"resource": "deployments", "namespace": "shop", "name": "web", **about},
        "responseStatus": {"code": code},
    }
    return json.dumps(body, separators=(",", ":")) + "\n"


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        (event(), [200]),
        (event(code=409), [409]),
        (event("delete"), [200]),
        (event("create", resource="jobs"), [200]),
        (event("get"), []),
        (event(uri=URI + "&dryRun=All"), []),
        (event(user="alice"), []),
        (event(resource="actionplans", subresource="status"), []),
        (event(namespace="other"), []),
    ],
)
def test_only_the_executors_own_writes_to_workloads_are_counted(tmp_path: Path, line: str, codes: list[int]) -> None:
    log = tmp_path / "audit.log"
    log.write_text(event())  # of before the run
    tail = AuditTail(log)
    with log.open("a") as file:
        file.write(line)
    found = tail.of("shop")
    assert [recorded.code for recorded in found] == codes
    assert [recorded.done for recorded in found] == [code < 300 for code in codes]


@pytest.mark.parametrize(
    ("recorded", "times"),
    [
        ([("patch", "web", 200)], 1),
        ([("patch", "web", 200), ("patch", "web", 409)], 1),
        ([("patch", "web", 200), ("patch", "web", 200)], 2),
        ([("delete", "web-a", 200), ("delete", "web-a", 200)], 1),
        ([("delete", "web-a", 200), ("delete", "web-b", 200)], 2),
        ([("patch", "web", 403)], 0),
    ],
)
def test_a_pod_that_is_going_already_goes_once(recorded: list[tuple[str, str, int]], times: int) -> None:
    found = [Recorded(verb, "pods" if verb == "delete" else "deployments", name, code) for verb, name, code in recorded]
    assert len(happened(found)) == times


def test_audit_log_is_followed_over_its_rotation_and_half_written_lines(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text("")
    tail = AuditTail(log)
    with log.open("a") as file:
        file.write(event() + event()[:40])
    assert len(tail.of("shop")) == 1
    with log.open("a") as file:
        file.write(event()[40:])
    log.rename(tmp_path / "audit-1.log")
    log.write_text(event(code=409))
    assert [recorded.code for recorded in tail.of("shop")] == [200, 200, 409]


def test_every_fault_is_tried_at_every_write_of_every_type() -> None:
    planned = schedule({"restart": 3, "scale": 2}, Effort(repeat=2, races=4, frozen=90))
    tried = {(item.kind.name, item.fault, item.at) for item in planned if item.fault}
    assert tried == {
        (kind, f, at) for kind, n in (("restart", 3), ("scale", 2)) for f in Fault for at in range(1, n + 1)
    }
    assert sum(bool(item.frozen) for item in planned) == 2
    assert sum(item.racing == 2 for item in planned) == 8
    assert len(planned) == 2 + 8 + 2 * len(tried)


def test_summary_counts_the_wrong() -> None:
    ok = Outcome(Disturbance(KINDS["scale"], Fault.TWICE, 3))
    bad = Outcome(Disturbance(KINDS["scale"], Fault.TWICE, 4), ["twice"])
    _, row = summary([ok, bad]).splitlines()
    assert row.split()[-2:] == ["2", "1"]


@pytest.mark.parametrize(
    ("write", "real"),
    [
        (Write(1, "PATCH", "/apis/apps/v1/namespaces/a/deployments/web", dry=False), True),
        (Write(1, "PATCH", "/apis/apps/v1/namespaces/a/deployments/web", dry=True), False),
        (Write(1, "DELETE", "/api/v1/namespaces/a/pods/web", dry=False), True),
        (Write(1, "PATCH", "/apis/iirp.io/v1alpha1/namespaces/a/actionplans/x/status", dry=False), False),
        (Write(1, "POST", "/apis/events.k8s.io/v1/namespaces/a/events", dry=False), False),
    ],
)
def test_the_write_to_the_workload_is_told_from_records(write: Write, real: bool) -> None:
    assert write.real is real


class Upstream(BaseHTTPRequestHandler):
    """Counts what arrives."""

    arrived: list[str]

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.arrived.append(self.command)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    do_GET = do_PATCH = _answer  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Path, Path]]:
    authority = Authority(tmp_path_factory.mktemp("pki"), "ca")
    return authority.certificate, authority.issue("server", Identity("server", hosts=("127.0.0.1",), client=False))


@pytest.fixture
def proxy(pki: tuple[Path, tuple[Path, Path]]) -> Iterator[tuple[Proxy, list[str]]]:
    arrived: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (Upstream,), {"arrived": arrived})) as upstream:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*map(str, pki[1]))
        upstream.socket = context.wrap_socket(upstream.socket, server_side=True)
        threading.Thread(target=upstream.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        standing = Proxy(f"https://127.0.0.1:{upstream.server_address[1]}", *pki)
        yield standing, arrived
        standing.close()
        upstream.shutdown()


@pytest.mark.parametrize(
    ("fault", "arrives", "delivered", "killed"),
    [
        (None, 1, True, 0),
        (Fault.KILL_BEFORE, 0, False, 1),
        (Fault.KILL_WRITTEN, 1, False, 1),
        (Fault.KILL_REPLIED, 1, True, 1),
        (Fault.LOSE_REQUEST, 0, False, 0),
        (Fault.LOSE_REPLY, 1, False, 0),
        (Fault.TWICE, 2, True, 0),
    ],
)
def test_proxy_does_one_thing_wrong_at_one_write(
    proxy: tuple[Proxy, list[str]], pki: Any, fault: Fault | None, arrives: int, delivered: bool, killed: int
) -> None:
    standing, arrived = proxy
    kills: list[int] = []
    done = threading.Event()

    def kill() -> None:
        kills.append(1)
        done.set()

    standing.fault, standing.at, standing.kill = fault, 2, kill

    def send(method: str) -> bool:
        context = ssl.create_default_context(cafile=str(pki[0]))
        connection = http.client.HTTPSConnection(
            "127.0.0.1", int(standing.url.split(":")[-1]), timeout=10, context=context
        )
        try:
            connection.request(method, "/x", b"{}")
            return connection.getresponse().read() == b"ok"
        except (http.client.HTTPException, OSError):
            return False

    assert send("PATCH"), "the first write is let through"
    assert send("GET"), "reads are never counted"
    before = len(arrived)
    assert send("PATCH") is delivered
    if killed:
        assert done.wait(10)
    assert (len(arrived) - before, len(kills)) == (arrives, killed)
    assert send("PATCH"), "only once"
