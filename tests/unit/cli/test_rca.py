from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

import cli.rca
from analysis.rca.results import log_result, metric_result
from cli.main import main
from cli.rca import rca
from controllers.kube.resources import DEPLOYMENTS
from crds.v1alpha1.base import Window
from crds.v1alpha1.rcareport import RCAReport
from external.errors import ExternalError
from external.query import LogLine, Series
from external.rerun import Rerun, exit_code, id_of
from tests.fakes.kube import FakeKube

WINDOW = Window(start=datetime(2026, 1, 2, 3, 0, tzinfo=UTC), end=datetime(2026, 1, 2, 3, 15, tzinfo=UTC))
POINTS = ((1.0, 0.02), (16.0, 1.9))
SAID = metric_result([({"upstream": "payments"}, POINTS)]).to_wire()
TARGET = {"kind": "Deployment", "namespace": "shop", "name": "checkout", "uid": "u"}
PATH = "/apis/apps/v1/namespaces/shop/deployments/checkout"


class FakeGateway:
    """What the external side says now."""

    def __init__(self, points: tuple = POINTS, lines: int = 3, broken: bool = False) -> None:
        self.points, self.matching, self.broken = points, lines, broken
        self.written: list[LogLine] = []

    def lines(self, query: str, start: datetime, end: datetime, limit: int, *, newest: bool) -> list[LogLine]:
        assert query == STREAMS
        span = range(*(int(one.timestamp() * 1e6) * 1000 for one in (start, end)))
        found = [one for one in self.written if one.at in span]
        return found[-limit:] if newest else found[:limit]

    def values(self, *_: Any) -> list[Series]:
        if self.broken:
            raise ExternalError("the gateway does not answer")
        return [Series({"upstream": "payments"}, self.points)] if self.points else []

    def count(self, *_: Any) -> int:
        return self.matching


STREAMS = '{k8s_namespace_name="shop",k8s_pod_name="p"}'
QUOTED_AT = 1_767_323_000_123_456_789


def written(at: int, text: str) -> LogLine:
    return LogLine(at, text, {"k8s_pod_name": "p", "k8s_container_name": "app"})


QUOTED = written(QUOTED_AT, "bank refused order 7")
EXCERPT = {
    "id": id_of(QUOTED), "mark": "New", "template": "bank refused order <*>", "count": 3, "before": 0,
    "firstAt": "2026-01-02T03:03:20Z", "lastAt": "2026-01-02T03:05:00Z", "example": "bank refused order 7",
    "query": f'{STREAMS} |= "bank refused order"',
}  # fmt: skip


def wire(*queries: tuple[str, dict | None], refuted: bool = False) -> dict[str, Any]:
    evidence = [
        {"id": f"e{number}", "kind": "Metric", "summary": "slow \x1b[31m", "query": query, "ran": ran}
        for number, (query, ran) in enumerate(queries)
    ]
    causes = [
        {"id": "c", "kind": "DependencySlow", "summary": "s", "target": TARGET, "confidencePercent": 80,
         "evidence": evidence},
        {"id": "r", "kind": "Other", "summary": "no", "target": TARGET, "confidencePercent": 3, "refuted": True,
         "refuters": [{"summary": "s", "query": "sum(up)", "refuted": True, "result": "0"}]},
    ]  # fmt: skip
    return {
        "kind": "RCAReport",
        "metadata": {"name": "x", "namespace": "shop", "uid": "u"},
        "spec": {"incidentRef": {"name": "x", "uid": "u"}, "window": WINDOW.to_wire()},
        "status": {"state": "Complete", "rootCauses": causes},
    }


LINES = log_result(3).to_wire()


@pytest.mark.parametrize(
    ("query", "ran", "gateway", "verdict", "code"),
    [
        ("sum(up)", SAID, FakeGateway(), "same", 0),
        ("sum(up)", SAID, FakeGateway(((1.0, 0.02), (16.0, 1.91))), "close", 0),
        ("sum(up)", SAID, FakeGateway(((1.0, 0.02), (16.0, 0.02))), "changed", 1),
        ("sum(up)", SAID, FakeGateway(()), "no data", 3),
        ("sum(up)", None, FakeGateway(), "not run", 3),
        ("sum(up)", SAID, FakeGateway(broken=True), "unreadable", 3),
        ('{a="b"}', LINES, FakeGateway(lines=3), "same", 0),
        ('{a="b"}', LINES, FakeGateway(lines=30), "changed", 1),
        (PATH, None, FakeGateway(), "there", 0),
        ("/api/v1/namespaces/shop/pods/gone", None, FakeGateway(), "gone", 3),
        ("/api/v1/namespaces/../secrets", None, FakeGateway(), "unreadable", 3),
    ],
)
def test_each_query_is_held_against_what_the_report_claims(
    query: str, ran: dict | None, gateway: FakeGateway, verdict: str, code: int
) -> None:
    kube = FakeKube()
    kube.add_raw(DEPLOYMENTS, {"metadata": {"name": "checkout", "namespace": "shop"}})
    checked = list(Rerun(gateway, kube).check(RCAReport.from_wire(wire((query, ran)))))  # type: ignore[arg-type]
    assert [one.verdict for one in checked] == [verdict]
    assert exit_code(checked) == code


def test_a_report_without_queries_is_not_taken_for_verified() -> None:
    assert exit_code([]) == 3


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def invoke(*arguments: str, body: dict | None = None):
        path = tmp_path / "report.yaml"
        path.write_text(yaml.safe_dump(body if body is not None else wire(("sum(up)", SAID))))
        monkeypatch.setattr(cli.rca, "gateway_from", lambda **_: FakeGateway())
        monkeypatch.setattr(cli.rca, "kubeconfig_of", lambda *_: None)
        monkeypatch.setattr("controllers.kube.client.connect", lambda *_: FakeKube())
        return CliRunner().invoke(rca, ["verify", *(arguments or ("-f", str(path)))])

    return invoke


def test_a_person_sees_cause_claim_query_and_verdict(run) -> None:
    result = run()
    assert result.exit_code == 0, result.output
    assert "DependencySlow (80 %)" in result.output
    assert "same" in result.output
    assert "PromQL: sum(up)" in result.output
    assert "\x1b" not in result.output
    assert "Other" not in result.output


def test_the_exit_code_reaches_the_shell(run, tmp_path: Path) -> None:
    run(body=wire(("sum(up)", None)))
    with pytest.raises(SystemExit) as ended:
        main(["rca", "verify", "-f", str(tmp_path / "report.yaml")])
    assert ended.value.code == 3


def test_a_program_gets_json(run, tmp_path: Path) -> None:
    run()
    found = json.loads(run("-f", str(tmp_path / "report.yaml"), "-o", "json", "--all").output)
    assert [(one["role"], one["verdict"]) for one in found] == [("evidence", "same"), ("refuter", "not run")]


@pytest.mark.parametrize(
    ("arguments", "body", "words"),
    [
        (("nosuch", "-n", "shop"), None, "no RCAReport shop/nosuch"),
        (("x", "-f", "/dev/null"), None, "name a report, or give one"),
        ((), {"kind": "Pod", "metadata": {"name": "x"}}, "holds 0 RCAReports"),
    ],
)
def test_what_is_no_report_is_said(run, arguments: tuple[str, ...], body: dict | None, words: str) -> None:
    result = run(*arguments, body=body)
    assert result.exit_code != 0
    assert words in result.output


@pytest.mark.parametrize(
    ("lines", "verdict"),
    [
        ((QUOTED,), "there"),
        ((written(QUOTED_AT + 100, "other"), QUOTED), "there"),
        ((), "gone"),
        ((written(QUOTED_AT, "bank refused order 8"),), "gone"),
    ],
)
def test_a_quoted_line_is_found_again_in_loki(lines: tuple[LogLine, ...], verdict: str) -> None:
    body = wire()
    body["status"]["logs"] = [EXCERPT]
    gateway = FakeGateway()
    gateway.written = list(lines)
    checked = list(Rerun(gateway, FakeKube()).check(RCAReport.from_wire(body)))  # type: ignore[arg-type]
    assert [(one.role, one.verdict) for one in checked] == [("log line", verdict)]


def test_a_quoted_line_is_shown_with_the_lines_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    body = wire()
    body["status"]["logs"] = [EXCERPT]
    gateway = FakeGateway()
    gateway.written = [written(QUOTED_AT + at * 10**9, f"GET {at}") for at in range(-20, 0)]
    gateway.written += [QUOTED, *(written(QUOTED_AT + at * 10**9, f"GET \x1b[2J{at}") for at in range(1, 20))]
    monkeypatch.setattr(cli.rca, "gateway_from", lambda **_: gateway)
    monkeypatch.setattr(cli.rca, "kubeconfig_of", lambda *_: None)
    monkeypatch.setattr("controllers.kube.client.connect", lambda *_: FakeKube())
    monkeypatch.setattr("cli.rca.load_report", lambda *_: RCAReport.from_wire(body))
    shown = CliRunner().invoke(rca, ["logs", "x", EXCERPT["id"], "-n", "shop", "--around", "2"])
    assert shown.output.splitlines() == [
        "  GET -2", "  GET -1", "> bank refused order 7", r"  GET \x1b[2J1", r"  GET \x1b[2J2",
    ]  # fmt: skip
    listed = CliRunner().invoke(rca, ["logs", "x", "-n", "shop"])
    assert "New       x3       (0 before)" in listed.output
    unknown = CliRunner().invoke(rca, ["logs", "x", "log-1-00000000", "-n", "shop"])
    assert unknown.exit_code == 1
    assert f"it has {EXCERPT['id']}" in unknown.output
