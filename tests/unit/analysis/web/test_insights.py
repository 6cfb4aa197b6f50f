"""Policies with their backtest, autonomy and audit: what the person may see, judged by the controllers' own code."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from analysis.config import Web
from analysis.web.judging import JudgingError, Question, judge
from analysis.web.pages import install
from controllers.audit.chain import Head, link
from tests.unit.analysis.web.support import EVIL, Cluster, sign_in, signed_out

PAGES = ("/policies", "/autonomy", "/audit")
POLICY = """
apiVersion: iirp.io/v1alpha1
kind: ActionPolicy
metadata: {name: changed}
spec:
  rules:
    - name: all
      match: {namespaces: [shop]}
      tier: %s
"""


def decided(cluster: Cluster, verdict: str = "Effective") -> None:
    """The plan was decided about and carried out a moment ago."""
    now = datetime.now(tz=UTC)
    at, later = ((now + timedelta(seconds=s)).strftime("%Y-%m-%dT%H:%M:%SZ") for s in (-60, -30))
    done = {"phase": "Succeeded", "reason": "Done", "startedAt": at, "finishedAt": later}
    cluster.plans[0]["status"] = {
        "state": "Verified",
        "tier": "HumanApproval",
        "decision": {
            "tier": "HumanApproval", "reason": "ApprovalRequired", "message": EVIL, "requiredApprovals": 1,
            "planDigest": "sha256:" + "a" * 64, "decidedAt": at, "expiresAt": later,
        },
        "execution": {**done, "actions": [{"id": "restart-1", "actionId": "act-1", **done}]},
        "verification": {"verdict": verdict, "reason": "R", "window": {"start": at, "end": later}},
    }  # fmt: skip


def judged(client: TestClient, text: str, **fields: str) -> str:
    csrf = re.search(r'name="csrf" value="([^"]+)"', client.get("/policies").text)
    assert csrf
    data = {"csrf": csrf[1], "text": text, "since": "7d", **fields}
    return client.post("/policies", data=data).text


@pytest.mark.parametrize("path", PAGES)
def test_nobody_without_a_session(client: TestClient, cluster: Cluster, path: str) -> None:
    assert signed_out(client.get(path))
    assert signed_out(client.post("/policies", data={"text": POLICY}))
    assert cluster.asked == []


@pytest.mark.parametrize("path", PAGES)
def test_each_page_is_read_as_the_person(client: TestClient, cluster: Cluster, path: str) -> None:
    decided(cluster)
    cluster.policies[0]["spec"]["description"] = EVIL
    cluster.approval["spec"]["decisions"] = [
        {"by": EVIL, "verdict": "reject", "reason": EVIL, "planDigest": "sha256:" + "a" * 64}
    ]
    sign_in(client)
    answer = client.get(path)
    assert answer.status_code == 200
    assert EVIL not in answer.text
    assert {token for _, _, token in cluster.asked} == {"alice-token"}


@pytest.mark.parametrize("path", ["/autonomy", "/audit"])
def test_who_may_see_nothing_sees_nothing(client: TestClient, path: str) -> None:
    sign_in(client, "eve-token")
    answer = client.get(path)
    assert answer.status_code == 403
    assert "payments" not in answer.text


@pytest.mark.parametrize(
    ("tier", "said"),
    [
        ("Forbidden", "1 stricter (1 had been effective"),
        ("AutoLowRisk", "1 looser (1 had been effective"),
        ("HumanApproval", "1 same"),
    ],
)
def test_a_changed_policy_is_judged_by_the_past(client: TestClient, cluster: Cluster, tier: str, said: str) -> None:
    decided(cluster)
    sign_in(client)
    text = judged(client, POLICY % tier)
    assert said in text
    assert "shop/payments-leak-1-1" in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not YAML"),
        ("kind: Pod", "no ActionPolicy"),
        (EVIL, "no ActionPolicy"),
        (POLICY % "Whatever", "changed:"),
        (POLICY % "AutoLowRisk" + "      minConfidencePercnt: 80", "minConfidencePercnt: there is no such key"),
        ("a" * 70_000, "at most 64 kB"),
    ],
)
def test_what_is_no_policy_is_told(client: TestClient, cluster: Cluster, text: str, said: str) -> None:
    sign_in(client)
    page = judged(client, text)
    assert said in page
    assert EVIL not in page


def test_a_backtest_from_another_site_is_refused(client: TestClient) -> None:
    sign_in(client)
    assert client.post("/policies", data={"text": POLICY % "Forbidden", "csrf": "guess"}).status_code == 403


def test_a_judgement_that_does_not_end_is_ended() -> None:
    question = Question(policies="", plans=[], incidents=[], namespaces={}, since=datetime.now(tz=UTC))
    with pytest.raises(JudgingError, match="too long"):
        asyncio.run(judge(question, timeout=0.0))


@pytest.mark.parametrize(("verdict", "mean"), [("Effective", "67 %"), ("Ineffective", "33 %")])
def test_autonomy_counts_what_was_verified(client: TestClient, cluster: Cluster, verdict: str, mean: str) -> None:
    decided(cluster, verdict)
    sign_in(client)
    text = client.get("/autonomy?successes=0&percent=999").text
    assert "RestartDeployment" in text
    assert mean in text
    assert "0 of" in text or "below 100 %" in text


@pytest.fixture
def logged(cluster: Cluster, tmp_path: Path) -> Iterator[TestClient]:
    """A server with a copy of the logs: one decision about each of two namespaces."""
    head, lines = Head(), b""
    for namespace in ("shop", "secret"):
        about = {"namespace": namespace, "name": f"plan-in-{namespace}"}
        entry: dict[str, Any] = {"at": "2026-01-02T03:04:05+00:00", "controller": "policy", "about": about}
        line, head = link(head, {**entry, "step": EVIL, "decision": {}, "inputs": {"note": "an input"}})
        lines += line
    (tmp_path / "policy.jsonl").write_bytes(lines)
    app = FastAPI()
    install(app, Web(cluster_name="dev", audit_dir=tmp_path), cluster)  # type: ignore[arg-type]
    with TestClient(app, base_url="https://page", follow_redirects=False) as found:
        yield found


def test_records_are_shown_of_namespaces_that_the_person_may_look_into(logged: TestClient, cluster: Cluster) -> None:
    cluster.listable = {"shop"}
    sign_in(logged)
    text = logged.get("/audit").text
    assert "whole" in text
    assert "2 records" in text
    assert "plan-in-shop" in text
    assert "plan-in-secret" not in text
    assert "an input" not in text
    assert EVIL not in text
    assert "plan-in-secret" not in logged.get("/audit?namespace=secret").text
    cluster.listable = {""}
    assert "plan-in-secret" in logged.get("/audit").text


def test_a_changed_log_is_told(logged: TestClient, tmp_path: Path) -> None:
    sign_in(logged)
    assert "CHANGED" not in logged.get("/audit").text
    path = tmp_path / "policy.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    records[0]["about"]["name"] = "another-plan"
    path.write_text("".join(json.dumps(one, sort_keys=True, separators=(",", ":")) + "\n" for one in records))
    text = logged.get("/audit").text
    assert "CHANGED" in text
    assert "line 1" in text
