"""Decide once, ask once, keep the state true."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.kube.errors import KubeError, Unavailable
from controllers.kube.resources import DEPLOYMENTS, HPAS
from controllers.policy.handlers import build
from controllers.runtime.errors import Waiting
from controllers.runtime.outcome import Key
from crds.v1alpha1.actionplan import ActionPlan, PlanState
from crds.v1alpha1.actionpolicy import Tier
from crds.v1alpha1.actions import Action
from crds.v1alpha1.approval import Approval, ApprovalState
from crds.v1alpha1.base import ConditionStatus, Severity
from crds.v1alpha1.execution import ActionPhase
from crds.v1alpha1.incident import IncidentState
from crds.v1alpha1.verification import Verdict
from tests.fakes.chain import (
    INCIDENT,
    NS,
    PLAN,
    Clock,
    add_incident,
    add_plan,
    add_policy,
    context,
    deployment,
    restart,
    rule,
    scale,
    set_approval,
)
from tests.fakes.kube import START, FakeKube

KEY = Key(NS, PLAN)


class Room:
    """The policy controller in a small world."""

    def __init__(self, *actions: Action, rules: list[dict[str, Any]] | None = None, replicas: int = 2) -> None:
        self.clock = Clock()
        self.kube = FakeKube(self.clock)
        self.kube.add_raw(DEPLOYMENTS, deployment(replicas=replicas))
        add_incident(self.kube)
        add_plan(self.kube, *actions)
        add_policy(self.kube, *(rules or [rule()]))
        self.context = context(self.kube, self.clock)
        self.controller = build(self.context)

    def run(self) -> None:
        self.controller.reconcile(KEY)

    @property
    def plan(self) -> ActionPlan:
        return self.kube.get(ActionPlan, NS, PLAN)

    @property
    def approval(self) -> Approval | None:
        return self.kube.find(Approval, NS, PLAN)

    def condition(self, name: str) -> tuple[ConditionStatus, str]:
        found = next(c for c in self.plan.status.conditions if c.type == name)
        return found.status, found.reason

    def raw(self, plural: str, name: str) -> dict[str, Any]:
        return self.kube.objects[plural, NS, name]


def test_decides_and_asks() -> None:
    room = Room()
    room.run()
    status, approval = room.plan.status, room.approval
    assert status.state is PlanState.AWAITING_APPROVAL
    assert status.tier is Tier.HUMAN_APPROVAL
    assert status.decision is not None
    assert approval is not None
    assert approval.spec.plan_digest == status.decision.plan_digest
    assert status.decision.approval_ref == approval.ref()
    assert approval.spec.required_approvals == 1
    assert (approval.spec.expires_at - START).total_seconds() == 1800
    assert approval.metadata.labels == {"iirp.io/incident": INCIDENT}
    assert approval.metadata.owner_references[0]["kind"] == "Incident"
    assert room.condition("Decided") == (ConditionStatus.TRUE, "ApprovalRequired")


def test_a_second_run_writes_nothing() -> None:
    room = Room()
    room.run()
    writes = list(room.kube.writes)
    room.clock.forward(30)
    room.run()
    assert room.kube.writes == writes


def test_auto_asks_nobody_but_can_be_stopped() -> None:
    room = Room(rules=[rule("AutoLowRisk")])
    room.run()
    assert room.approval is not None
    assert (room.approval.spec.required_approvals, room.approval.spec.tier) == (0, Tier.AUTO_LOW_RISK)


def test_forbidden_asks_nobody() -> None:
    room = Room(rules=[rule("Forbidden")])
    room.run()
    assert room.approval is None
    assert room.plan.status.state is PlanState.DENIED
    assert room.condition("Approved") == (ConditionStatus.FALSE, "ForbiddenByPolicy")


def test_an_autoscaled_workload_is_not_scaled() -> None:
    room = Room(scale(3))
    target = {"kind": "Deployment", "name": "payments"}
    room.kube.add_raw(HPAS, {"metadata": {"name": "hpa", "namespace": NS}, "spec": {"scaleTargetRef": target}})
    room.run()
    assert room.condition("Decided") == (ConditionStatus.TRUE, "ManagedByAutoscaler")


@pytest.mark.parametrize(
    "broken", [("apply_status", "actionplans", 1), ("create", "approvals", 1), ("apply_status", "actionplans", 2)]
)
def test_a_failure_at_any_write_is_made_good(broken: tuple[str, str, int]) -> None:
    room = Room()
    left = {"n": broken[2]}

    def fail(verb: str, plural: str, *_: str) -> KubeError | None:
        if (verb, plural) == broken[:2]:
            left["n"] -= 1
            if left["n"] == 0:
                return Unavailable("ApiServerUnavailable", "gone")
        return None

    room.kube.fail = fail
    with pytest.raises(Unavailable):
        room.run()
    room.clock.forward(5)
    room.run()
    decision, approval = room.plan.status.decision, room.approval
    assert decision is not None
    assert approval is not None
    assert decision.approval_ref == approval.ref()
    assert (approval.spec.plan_digest, approval.spec.expires_at) == (decision.plan_digest, decision.expires_at)
    assert sum(1 for verb, plural, _ in room.kube.writes if (verb, plural) == ("create", "approvals")) == 1


def test_a_deleted_approval_is_not_asked_again() -> None:
    room = Room()
    room.run()
    del room.kube.objects["approvals", NS, PLAN]
    room.run()
    assert room.approval is None
    assert room.plan.status.state is PlanState.EXPIRED
    assert room.condition("Approved") == (ConditionStatus.FALSE, "ApprovalDeleted")


def test_an_approval_of_another_plan_is_not_taken_over() -> None:
    room = Room()
    room.run()
    room.raw("actionplans", PLAN)["metadata"]["uid"] = "made-anew"
    room.raw("actionplans", PLAN)["status"] = {}
    with pytest.raises(Waiting, match="ApprovalNameTaken"):
        room.run()


def test_s10_a_stricter_policy_ends_what_has_not_started() -> None:
    room = Room()
    room.run()
    add_policy(room.kube, rule("Forbidden", "freeze"), name="freeze")
    room.run()
    assert room.plan.status.decision is not None
    assert (room.plan.status.tier, room.plan.status.decision.reason) == (Tier.FORBIDDEN, "PolicyTightened")
    assert room.plan.status.state is PlanState.DENIED


@pytest.mark.parametrize(
    "stricter", [{"requiredApprovals": 2}, {"approvers": ["carol", "dave"]}, {"approvers": ["group:oncall"]}]
)
def test_s10_a_policy_that_asks_for_more_people_ends_what_was_asked_before(stricter: dict[str, Any]) -> None:
    room = Room()
    room.run()
    add_policy(room.kube, rule("HumanApproval", "more", **stricter), name="more")
    room.run()
    decision = room.plan.status.decision
    assert decision is not None
    assert (decision.tier, decision.reason) == (Tier.HUMAN_APPROVAL, "PolicyTightened")
    asked = {"requiredApprovals": decision.required_approvals, "approvers": decision.approvers}
    assert asked == {"requiredApprovals": 1, "approvers": [], **stricter}
    writes = len(room.kube.writes)
    room.run()
    assert len(room.kube.writes) == writes


def test_s10_what_waits_goes_alone_once_policy_wants_that() -> None:
    room = Room()
    room.run()
    add_policy(room.kube, rule("HumanApproval", "alone", limits={"oneWorkloadAtATime": True}), name="alone")
    room.run()
    decision = room.plan.status.decision
    assert decision is not None
    assert (decision.one_at_a_time, decision.reason, decision.tier) == (True, "PolicyTightened", Tier.HUMAN_APPROVAL)
    assert room.plan.status.state is PlanState.AWAITING_APPROVAL, "people are asked for no more than before"
    writes = len(room.kube.writes)
    room.run()
    assert len(room.kube.writes) == writes


def test_a_looser_policy_changes_nothing_that_was_decided() -> None:
    room = Room()
    room.run()
    room.kube.objects["actionpolicies", "", "shop"]["spec"]["rules"] = [rule("AutoLowRisk")]
    room.run()
    assert room.plan.status.tier is Tier.HUMAN_APPROVAL


def test_a_worse_severity_can_make_it_stricter() -> None:
    room = Room(rules=[rule("AutoLowRisk", "a"), rule("Forbidden", "b", match={"severities": ["critical"]})])
    room.run()
    assert room.plan.status.decision is not None
    assert room.plan.status.decision.tier is Tier.AUTO_LOW_RISK
    room.raw("incidents", INCIDENT)["status"] = {"severity": Severity.CRITICAL.value}
    room.run()
    assert room.plan.status.tier is Tier.FORBIDDEN


def test_superseded_before_and_after_the_decision() -> None:
    room = Room()
    room.run()
    add_plan(room.kube, name="newer", supersedes=room.plan)
    room.run()
    assert room.plan.status.state is PlanState.SUPERSEDED
    assert room.condition("Superseded") == (ConditionStatus.TRUE, "NewerPlan")
    undecided = add_plan(room.kube, name="older")
    add_plan(room.kube, name="newest", supersedes=undecided)
    room.controller.reconcile(Key(NS, "older"))
    assert room.kube.get(ActionPlan, NS, "older").status.state is PlanState.SUPERSEDED
    assert room.kube.find(Approval, NS, "older") is None


@pytest.mark.parametrize("state", [IncidentState.RESOLVED, IncidentState.RECOVERED, IncidentState.CLOSED])
def test_no_plan_for_an_ended_incident(state: IncidentState) -> None:
    room = Room()
    room.raw("incidents", INCIDENT)["status"] = {"state": state.value}
    room.run()
    assert room.condition("Decided") == (ConditionStatus.TRUE, "IncidentEnded")


@pytest.mark.parametrize(
    ("approval", "state"),
    [
        (ApprovalState.PENDING, PlanState.AWAITING_APPROVAL),
        (ApprovalState.APPROVED, PlanState.APPROVED),
        (ApprovalState.REJECTED, PlanState.DENIED),
        (ApprovalState.EXPIRED, PlanState.EXPIRED),
        (ApprovalState.VOID, PlanState.EXPIRED),
        (ApprovalState.USED, PlanState.EXECUTING),
    ],
)
def test_the_state_follows_the_approval(approval: ApprovalState, state: PlanState) -> None:
    room = Room()
    room.run()
    set_approval(room.kube, approval)
    room.run()
    assert room.plan.status.state is state


@pytest.mark.parametrize(
    ("phase", "reason", "verdict", "state"),
    [
        (ActionPhase.INTENT, "Started", None, PlanState.EXECUTING),
        (ActionPhase.WRITTEN, "RollingOut", None, PlanState.EXECUTING),
        (ActionPhase.SUCCEEDED, "RolledOut", None, PlanState.EXECUTED),
        (ActionPhase.SUCCEEDED, "RolledOut", Verdict.EFFECTIVE, PlanState.VERIFIED),
        (ActionPhase.SUCCEEDED, "RolledOut", Verdict.INEFFECTIVE, PlanState.INEFFECTIVE),
        (ActionPhase.SUCCEEDED, "RolledOut", Verdict.RECOVERED_ANYWAY, PlanState.INCONCLUSIVE),
        (ActionPhase.SUCCEEDED, "RolledOut", Verdict.INCONCLUSIVE, PlanState.INCONCLUSIVE),
        (ActionPhase.FAILED, "RolloutTimeout", None, PlanState.FAILED),
        (ActionPhase.REFUSED, "DryRunRejected", None, PlanState.FAILED),
        (ActionPhase.REFUSED, "TargetChanged", None, PlanState.EXPIRED),
        (ActionPhase.REFUSED, "Rejected", None, PlanState.DENIED),
    ],
)
def test_the_state_follows_the_execution(
    phase: ActionPhase, reason: str, verdict: Verdict | None, state: PlanState
) -> None:
    room = Room()
    room.run()
    status = room.raw("actionplans", PLAN)["status"]
    status["execution"] = {"phase": phase.value, "reason": reason, "startedAt": "2026-01-02T03:05:00Z"}
    if verdict:
        window = {"start": "2026-01-02T03:05:00Z", "end": "2026-01-02T03:06:00Z"}
        status["verification"] = {"verdict": verdict.value, "reason": "Measured", "window": window}
    room.run()
    assert room.plan.status.state is state


def test_transition_times_move_only_with_the_status() -> None:
    room = Room()
    room.run()
    first = {c.type: c.last_transition_time for c in room.plan.status.conditions}
    room.clock.forward(60)
    set_approval(room.kube, ApprovalState.APPROVED)
    room.run()
    after = {c.type: c.last_transition_time for c in room.plan.status.conditions}
    assert after["Decided"] == first["Decided"]
    assert after["Approved"] > first["Approved"]


@pytest.mark.parametrize(("tier", "valid"), [("HumanApproval", True), ("Nonsense", False)])
def test_a_policy_is_told_whether_it_is_valid(tier: str, valid: bool) -> None:
    room = Room(restart(), rules=[rule(tier)])
    room.controller.reconcile(Key("", "shop"))
    status = room.kube.objects["actionpolicies", "", "shop"]["status"]
    assert status["valid"] is valid
    assert status["conditions"][0]["reason"] == ("Valid" if valid else "Invalid")
    if not valid:
        assert "rules.0.tier" in status["conditions"][0]["message"]


def test_the_resync_lists_policies_and_plans() -> None:
    assert set(Room().controller.resync()) == {Key("", "shop"), KEY}
