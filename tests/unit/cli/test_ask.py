from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from analysis.questions import Intent, Question, answer, parse
from cli.ask import ask
from crds.v1alpha1 import Incident, RCAReport

NOW = datetime(2030, 5, 6, 10, 0, tzinfo=UTC)
TARGET = {"kind": "Deployment", "namespace": "shop", "name": "payments", "uid": "u-payments"}


def wire(
    name: str,
    began: datetime,
    *,
    workload: str = "payments",
    kind: str = "MemoryLeak",
    state: str = "Resolved",
    **status,
) -> dict:
    over = {"resolvedAt": (began + timedelta(minutes=12)).isoformat()} if state == "Resolved" else {}
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": f"uid-{name}"},
        "spec": {
            "fingerprint": "0123456789abcdef", "type": kind, "scope": "Workload",
            "target": {**TARGET, "name": workload},
            "startedAt": began.isoformat(), "detectedAt": (began + timedelta(seconds=50)).isoformat(),
            "detectedBy": {"rule": "r", "confidencePercent": 90}, "severity": "high",
        },
        "status": {"state": state, **over, **status},
    }  # fmt: skip


TIMELINE = [
    {"at": "2030-05-06T01:00:00Z", "source": "change", "message": "rolled out rev 7: image v1.8 to v1.9"},
    {"at": "2030-05-06T01:03:00Z", "source": "metric", "message": "working set grows"},
]
NIGHT = wire(
    "payments-leak-1", datetime(2030, 5, 6, 1, 2, tzinfo=UTC), timeline=TIMELINE, action="Restart deploy/payments",
    verdict="Effective",
)  # fmt: skip
MORNING = wire(
    "checkout-slow-1", NOW - timedelta(hours=1), workload="checkout", kind="HighLatency", state="AwaitingApproval"
)
OLD = wire("payments-leak-0", NOW - timedelta(days=5))
OBJECTS = [Incident.from_wire(one) for one in (NIGHT, MORNING, OLD)]


def cause(kind: str, summary: str, *, refuted: bool = False) -> dict:
    evidence = [{"id": "e1", "kind": "Metric", "summary": "grows 3 MiB/min", "query": "up{}"}]
    return {
        "id": f"cause-{kind.lower()}", "kind": kind, "summary": summary, "target": TARGET, "refuted": refuted,
        "confidencePercent": 3 if refuted else 84, "evidence": [] if refuted else evidence,
    }  # fmt: skip


REPORT = {
    "metadata": {"name": "payments-leak-1", "namespace": "shop", "uid": "uid-r"},
    "spec": {
        "incidentRef": {"name": "payments-leak-1", "uid": "uid-payments-leak-1"},
        "window": {"start": "2030-05-06T00:50:00Z", "end": "2030-05-06T01:10:00Z"},
    },
    "status": {
        "rootCauses": [
            cause("MemoryLeak", "memory grows since rev 7"),
            cause("TrafficGrowth", "traffic -2 %", refuted=True),
        ]
    },
}
REPORTS = {("shop", "payments-leak-1"): RCAReport.from_wire(REPORT)}


def understood(text: str) -> Question:
    question = parse(text, NOW, OBJECTS)
    assert question is not None, text
    return question


@pytest.mark.parametrize(
    ("text", "intent", "workloads"),
    [
        ("which incidents are open?", Intent.LIST, ()),
        ("list incidents of payments", Intent.LIST, ("payments",)),
        ("are there any problems?", Intent.LIST, ()),
        ("How many incidents were there in the last 24 hours?", Intent.COUNT, ()),
        ("why did payments restart last night?", Intent.WHY, ("payments",)),
        ("what caused the incident of deploy/checkout", Intent.WHY, ("checkout",)),
        ("why is nosuch slow", Intent.WHY, ("nosuch",)),
        ("when did checkout recover?", Intent.WHEN, ("checkout",)),
        ("what changed before the incident of payments?", Intent.CHANGED, ("payments",)),
        ("what waits for approval?", Intent.WAITING, ()),
        ("compare payments and checkout", Intent.COMPARE, ("checkout", "payments")),
    ],
)
def test_common_questions_are_understood(text: str, intent: Intent, workloads: tuple[str, ...]) -> None:
    question = understood(text)
    assert (question.intent, question.workloads) == (intent, workloads)


@pytest.mark.parametrize("text", ["", "hello", "restart payments", "delete everything", "42", "wie geht es dir?"])
def test_what_is_not_understood_is_none(text: str) -> None:
    assert parse(text, NOW, OBJECTS) is None


@pytest.mark.parametrize(
    ("words", "since", "until"),
    [
        ("in the last 2 hours", NOW - timedelta(hours=2), NOW),
        ("in the past week", NOW - timedelta(weeks=1), NOW),
        ("today", NOW.replace(hour=0), NOW),
        ("yesterday", NOW.replace(day=5, hour=0), NOW.replace(hour=0)),
        ("last night", NOW.replace(day=5, hour=18), NOW.replace(hour=8)),
        ("since 09:30", NOW.replace(hour=9, minute=30), NOW),
        ("since 23:30", NOW.replace(day=5, hour=23, minute=30), NOW),
        ("since 99:99", None, None),
        ("", None, None),
    ],
)
def test_times_are_the_askers(words: str, since: datetime | None, until: datetime | None) -> None:
    question = understood(f"which incidents {words}")
    assert (question.since, question.until) == (since, until)


def test_why_tells_cause_evidence_and_what_was_ruled_out() -> None:
    found = answer(understood("why did payments restart last night?"), OBJECTS, REPORTS)
    assert found.lines == (
        "payments-leak-1: MemoryLeak of deploy/payments in shop, Resolved",
        "  cause (84 %): memory grows since rev 7",
        "    Metric: grows 3 MiB/min",
        "  ruled out: traffic -2 %",
        "  done: Restart deploy/payments, Effective",
    )
    assert "up{}" in found.citations
    assert "kubectl get rcareport payments-leak-1 -n shop -o yaml" in found.citations


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ({"state": "AwaitingApproval"}, "  proposed, not done: Restart deploy/payments"),
        (
            {"state": "Verifying", "conditions": [
                {"type": "Remediated", "status": "True", "reason": "X", "lastTransitionTime": NOW.isoformat()},
            ]},
            "  done: Restart deploy/payments",
        ),
    ],
)  # fmt: skip
def test_what_was_only_proposed_is_not_called_done(status: dict, told: str) -> None:
    began = datetime(2030, 5, 6, 1, 2, tzinfo=UTC)
    found = Incident.from_wire(wire("payments-leak-1", began, action="Restart deploy/payments", **status))
    assert told in answer(understood("why did payments restart last night?"), [found], REPORTS).lines


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("which incidents are open", "checkout-slow-1: HighLatency of deploy/checkout in shop, AwaitingApproval"),
        ("what is wrong?", "checkout-slow-1: HighLatency of deploy/checkout in shop, AwaitingApproval"),
        ("how many incidents in the last 24 hours", "2 incidents (HighLatency ×1, MemoryLeak ×1)"),
        ("how many memory leaks", "2 incidents (MemoryLeak ×2)"),
        ("how many incidents yesterday", "0 incidents"),
        ("what waits for approval", "checkout-slow-1: HighLatency of deploy/checkout in shop, AwaitingApproval"),
        ("why is nosuch slow", "no incident about nosuch"),
        ("compare payments and checkout", "checkout: 1 incident (HighLatency ×1), 1 open"),
    ],
)
def test_answers_begin_with_the_point(text: str, first: str) -> None:
    assert answer(understood(text), OBJECTS, REPORTS).lines[0] == first


def test_what_changed_tells_changes_only() -> None:
    lines = answer(understood("what changed before payments failed today"), OBJECTS, REPORTS).lines
    assert lines[1:] == ("  2030-05-06 01:00:00 UTC rolled out rev 7: image v1.8 to v1.9",)


def test_when_tells_beginning_and_end() -> None:
    lines = answer(understood("when did payments fail today"), OBJECTS, REPORTS).lines
    assert (
        lines[1] == "  began 2030-05-06 01:02:00 UTC, noticed 2030-05-06 01:02:50 UTC, over at 2030-05-06 01:14:00 UTC"
    )


def test_an_incident_without_report_has_no_invented_cause() -> None:
    assert answer(understood("why is checkout slow"), OBJECTS, {}).lines[1] == "  cause: not known"


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[tuple[Path, list[str]]]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            items = [NIGHT, MORNING] if "incidents" in self.path else [REPORT]
            refused = {"kind": "Status", "reason": "Forbidden", "message": "incidents.iirp.io is forbidden"}
            data = json.dumps(refused if "secret" in self.path else {"items": items}).encode()
            self.send_response(403 if "secret" in self.path else 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "u", "user": {}}], "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }  # fmt: skip
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config))
    yield path, asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_command_answers_with_citations(kubeconfig: tuple[Path, list[str]]) -> None:
    path, asked = kubeconfig
    result = CliRunner().invoke(ask, ["why did payments leak?", "--kubeconfig", str(path), "-n", "shop", "-o", "json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["intent"] == "why"
    assert json.loads(result.output)["citations"]
    assert asked == [f"/apis/iirp.io/v1alpha1/namespaces/shop/{kind}?limit=500" for kind in ("incidents", "rcareports")]


def test_the_command_says_what_it_does_not_understand(kubeconfig: tuple[Path, list[str]]) -> None:
    result = CliRunner().invoke(ask, ["make me a sandwich", "--kubeconfig", str(kubeconfig[0])])
    assert result.exit_code == 1
    assert "I do not understand" in result.output


def test_a_refusal_is_one_line(kubeconfig: tuple[Path, list[str]]) -> None:
    result = CliRunner().invoke(ask, ["which incidents", "--kubeconfig", str(kubeconfig[0]), "-n", "secret"])
    assert result.exit_code == 1
    assert result.output == "Error: incidents.iirp.io is forbidden; what is missing: iirp doctor\n"


def test_without_a_kubeconfig_the_next_step_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    done = CliRunner().invoke(ask, ["why did payments restart?"])
    assert done.exit_code == 1
    assert "set KUBECONFIG to a kubeconfig file" in done.output
    assert "iirp cluster kubeconfig" in done.output
    assert ".;" not in done.output
