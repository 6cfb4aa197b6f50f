"""The execute endpoint: it asks, and grants nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from controllers.kube.resources import DEPLOYMENTS
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.approval import ApprovalState
from crds.v1alpha1.incident import Incident
from crds.v1alpha1.rcareport import RCAReport
from tests.fakes.chain import (
    INCIDENT,
    NS,
    PLAN,
    PLATFORM,
    add_incident,
    deployment,
    ready_plan,
    restart,
    set_approval,
    target,
)
from tests.fakes.kube import START
from tests.unit.controllers.incident.builders import report
from tests.unit.controllers.mcp.world import Api, Endpoint, endpoint

RESTART = {"id": "a", "type": "RestartDeployment", "target": target().to_wire()}
PROPOSAL = {"namespace": NS, "incident": INCIDENT, "actions": [RESTART]}
ANNOTATIONS = ("iirp.io/execute-requested", "iirp.io/execute-requested-by")


@pytest.fixture
def execute() -> Iterator[Endpoint]:
    """One incident with an approved plan."""
    api = Api()
    api.add_raw(DEPLOYMENTS, deployment())
    add_incident(api)
    ready_plan(api, restart())
    with endpoint("mcp-execute", api, mcp_calls_per_minute=600) as found:
        yield found


def digest(found: Endpoint) -> str:
    return str(found.api.objects["actionplans", NS, PLAN]["status"]["decision"]["planDigest"])


def test_it_offers_two_tools_without_free_text(execute: Endpoint) -> None:
    tools = {tool.name: tool.input_schema["properties"] for tool in execute.tools()}
    assert set(tools) == {"execute_plan", "propose_plan"}
    assert set(tools["execute_plan"]) == {"plan", "namespace", "digest"}
    assert all("pattern" in schema for schema in tools["execute_plan"].values())


def test_an_approved_plan_is_looked_at_and_nothing_else_changes(execute: Endpoint) -> None:
    error, found = execute.call("execute_plan", plan=PLAN, namespace=NS, digest=digest(execute))
    assert not error, found
    assert execute.api.writes == [("patch", "actionplans", f"{NS}/{PLAN}")]
    annotations = execute.api.objects["actionplans", NS, PLAN]["metadata"]["annotations"]
    assert [annotations[key] for key in ANNOTATIONS] == [digest(execute), "alice"]
    assert execute.events.reasons == ["ExecuteRequested"]
    assert ("alice", "execute", "actionplans", NS, PLAN) in execute.api.asked
    execute.call("execute_plan", plan=PLAN, namespace=NS, digest=digest(execute))
    assert len(execute.api.writes) == 1


@pytest.mark.parametrize("state", [s for s in ApprovalState if s not in (ApprovalState.APPROVED, ApprovalState.USED)])
def test_what_is_not_approved_is_not_asked_for(execute: Endpoint, state: ApprovalState) -> None:
    set_approval(execute.api, state)
    error, text = execute.call("execute_plan", plan=PLAN, namespace=NS, digest=digest(execute))
    assert error
    assert f"is not approved: {state.value}" in text
    assert not execute.api.writes


def forget(api: Api) -> None:
    del api.objects["approvals", NS, PLAN]


def undecide(api: Api) -> None:
    api.objects["actionplans", NS, PLAN]["status"] = {}


def replace(api: Api) -> None:
    api.objects["actionplans", NS, PLAN]["metadata"]["uid"] = "another"


@pytest.mark.parametrize(
    ("change", "said"),
    [(forget, "nobody was asked to approve"), (undecide, "policy has not decided"), (replace, "nobody was asked")],
)
def test_a_plan_without_its_own_approval(execute: Endpoint, change: Any, said: str) -> None:
    asked = digest(execute)
    change(execute.api)
    error, text = execute.call("execute_plan", plan=PLAN, namespace=NS, digest=asked)
    assert error
    assert said in text
    assert not execute.api.writes


@pytest.mark.parametrize("wrong", ["sha256:" + "0" * 64, "latest", ""])
def test_another_digest(execute: Endpoint, wrong: str) -> None:
    assert execute.call("execute_plan", plan=PLAN, namespace=NS, digest=wrong)[0]
    assert not execute.api.writes


def test_a_proposal_is_the_callers_and_goes_through_policy(execute: Endpoint) -> None:
    error, found = execute.call("propose_plan", token="bot-token", **PROPOSAL)
    assert not error, found
    made = ActionPlan.from_wire(execute.api.objects["actionplans", NS, f"{INCIDENT}-2"])
    assert made.spec.requested_by == f"system:serviceaccount:{PLATFORM}:iirp-mcp-execute"
    assert made.spec.on_behalf_of == "system:serviceaccount:agents:bot"
    assert (made.spec.confidence_percent, made.spec.cause_kind) == (0, "Unknown")
    assert made.spec.summary == "Restart deploy/payments"
    assert made.metadata.labels == {"iirp.io/incident": INCIDENT}
    assert [owner["kind"] for owner in made.metadata.owner_references] == ["Incident"]
    assert ("system:serviceaccount:agents:bot", "create", "actionplans", NS, "") in execute.api.asked
    assert made.status.decision is None


def test_a_cause_is_one_of_the_present_episodes_report(execute: Endpoint) -> None:
    about = execute.api.get(Incident, NS, INCIDENT)
    for name in (INCIDENT, f"{INCIDENT}-r1"):
        made = report(of=about, name=name)
        execute.api.add(RCAReport, NS, name, made.spec, made.status)
    ref = execute.api.get(RCAReport, NS, f"{INCIDENT}-r1").ref()
    execute.api.objects["incidents", NS, INCIDENT]["status"] = {"reportRef": ref.to_wire(), "reopened": 1}
    error, found = execute.call("propose_plan", **PROPOSAL, cause_id="c1")
    assert not error, found
    proposed = execute.api.get(ActionPlan, NS, found["plan"]["name"])
    assert proposed.spec.report_ref == ref
    assert (proposed.spec.cause_kind, proposed.spec.confidence_percent) == ("MemoryLeak", 84)


def test_a_proposal_may_supersede_what_has_not_begun(execute: Endpoint) -> None:
    _, found = execute.call("propose_plan", **PROPOSAL, supersedes=PLAN)
    made = ActionPlan.from_wire(execute.api.objects["actionplans", NS, found["plan"]["name"]])
    assert made.spec.supersedes is not None
    assert made.spec.supersedes.name == PLAN
    at = START.isoformat()
    execute.api.objects["actionplans", NS, PLAN]["status"]["execution"] = {
        "phase": "Succeeded", "reason": "X", "startedAt": at,
    }  # fmt: skip
    assert "has begun already" in execute.call("propose_plan", **PROPOSAL, supersedes=PLAN)[1]


def test_trying_creates_nothing(execute: Endpoint) -> None:
    error, found = execute.call("propose_plan", **PROPOSAL, dry_run=True)
    assert (error, found["message"]) == (False, "would be created")
    assert not execute.api.writes


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"incident": "nope"}, "there is no Incident nope"),
        ({"actions": []}, "actions"),
        ({"actions": [RESTART] * 5}, "actions"),
        ({"actions": [RESTART | {"type": "Exec"}]}, "type"),
        ({"actions": ["kubectl delete ns shop"]}, "actions"),
        ({"cause_id": "rc-9"}, "no standing root cause of that id"),
        ({"supersedes": "nope"}, "no plan of that name"),
    ],
)
def test_proposals_that_are_none(execute: Endpoint, change: dict[str, Any], said: str) -> None:
    error, text = execute.call("propose_plan", **(PROPOSAL | change))
    assert error
    assert said in text
    assert not execute.api.writes


def test_an_ended_incident_takes_no_proposal(execute: Endpoint) -> None:
    execute.api.objects["incidents", NS, INCIDENT]["status"] = {"state": "Resolved"}
    assert "has ended (Resolved)" in execute.call("propose_plan", **PROPOSAL)[1]


def test_proposals_do_not_pile_up(execute: Endpoint) -> None:
    answers = [execute.call("propose_plan", **PROPOSAL) for _ in range(6)]
    assert [error for error, _ in answers] == [False] * 5 + [True]
    assert "5 proposals" in answers[-1][1]


@pytest.mark.parametrize("tool", ["execute_plan", "propose_plan"])
def test_who_may_not_ask(execute: Endpoint, tool: str) -> None:
    arguments = PROPOSAL if tool == "propose_plan" else {"plan": PLAN, "namespace": NS, "digest": digest(execute)}
    error, text = execute.call(tool, token="eve-token", **arguments)
    assert error
    assert "eve may not: needs the verb" in text
    assert not execute.api.writes


def test_asking_for_changes_counts_tenfold() -> None:
    api = Api()
    with endpoint("mcp-execute", api, mcp_calls_per_minute=20) as found:
        said = [found.call("propose_plan", **PROPOSAL)[1] for _ in range(3)]
    assert "there is no Incident" in said[1]
    assert "too many calls; again in" in said[2]
