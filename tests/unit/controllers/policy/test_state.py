"""What a plan says of itself: its state, and a condition with a reason and words for each part of its way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from controllers.policy.state import plan_view
from crds.v1alpha1.actionplan import PlanState, PolicyDecision
from crds.v1alpha1.approval import Approval, ApprovalStatus
from crds.v1alpha1.conditions import Wanted
from tests.unit.controllers.policy.world import HEX, plan

AT = "2026-01-02T03:00:00Z"
UNDECIDED = Wanted("Decided", None, "Pending", "policy has not decided yet")
DECIDED = Wanted("Decided", True, "ApprovalRequired", "needs 1 approval")
UNASKED = Wanted("Approved", None, "Pending", "nobody has been asked yet")
APPROVED = Wanted("Approved", True, "QuorumReached", "approved by alice")
NOT_STARTED = Wanted("Executed", None, "Pending", "not started")
DONE = Wanted("Executed", True, "RolledOut", "2/2 ready")
UNMEASURED = Wanted("Verified", None, "Pending", "nothing to measure yet")


def decision(tier: str = "HumanApproval", *, asked: bool = True, **changes: Any) -> PolicyDecision:
    wire = {
        "tier": tier, "reason": "ApprovalRequired", "message": "needs 1 approval", "planDigest": HEX,
        "requiredApprovals": 1, "decidedAt": AT, "expiresAt": AT,
    }  # fmt: skip
    if asked:
        wire["approvalRef"] = {"name": "p-1", "uid": "u"}
    return PolicyDecision.model_validate(wire | changes)


def approval(state: str | None, reason: str = "", message: str = "") -> Approval:
    status = {"reason": reason or None, "message": message} | ({"state": state} if state else {})
    return Approval.model_construct(status=ApprovalStatus.model_validate(status))


def execution(phase: str, reason: str = "RolledOut", message: str = "2/2 ready") -> dict[str, Any]:
    return {"phase": phase, "reason": reason, "message": message, "startedAt": AT, "actions": []}


def measured(verdict: str | None, reason: str = "Measured", message: str = "growth 0") -> dict[str, Any]:
    return {"reason": reason, "message": message, "window": {"start": AT, "end": AT}} | (
        {"verdict": verdict} if verdict else {}
    )


@dataclass
class Case:
    state: str
    conditions: tuple[Wanted, ...]
    decision: PolicyDecision | None = None
    approval: Approval | None = None
    status: dict[str, Any] | None = None
    newer: str = ""


def asked(state: PlanState, said: Wanted, of: Approval | None) -> Case:
    return Case(state, (DECIDED, said, NOT_STARTED, UNMEASURED), decision(), of)


def begun(state: PlanState, told: Wanted, **status: Any) -> Case:
    conditions = (DECIDED, APPROVED, told, UNMEASURED)
    return Case(state, conditions, decision(), approval("Used", "QuorumReached", "approved by alice"), status)


def judged(state: PlanState, verdict: str | None, helped: bool | None) -> Case:
    told = Wanted("Verified", helped, "Measured", "growth 0")
    found = {"execution": execution("Succeeded"), "verification": measured(verdict)}
    who = approval("Used", "QuorumReached", "approved by alice")
    return Case(state, (DECIDED, APPROVED, DONE, told), decision(), who, found)


FORBIDDEN = decision("Forbidden", asked=False, reason="NotAllowed", message="no rule allows it")
CASES = {
    "new": Case(PlanState.PROPOSED, (UNDECIDED, UNASKED, NOT_STARTED, UNMEASURED)),
    "forbidden": Case(
        PlanState.DENIED,
        (
            Wanted("Decided", True, "NotAllowed", "no rule allows it"),
            Wanted("Approved", False, "NotAllowed", "policy forbids it; nobody was asked"),
            NOT_STARTED,
            UNMEASURED,
        ),
        FORBIDDEN,
    ),
    "decided, approval not written yet": Case(
        PlanState.AWAITING_APPROVAL, (DECIDED, UNASKED, NOT_STARTED, UNMEASURED), decision(asked=False)
    ),
    "asked": asked(
        PlanState.AWAITING_APPROVAL, Wanted("Approved", None, "Pending", "waits for people"), approval(None)
    ),
    "one of two": asked(
        PlanState.AWAITING_APPROVAL,
        Wanted("Approved", None, "QuorumMissing", "1 of 2"),
        approval("Pending", "QuorumMissing", "1 of 2"),
    ),
    "approved": asked(PlanState.APPROVED, APPROVED, approval("Approved", "QuorumReached", "approved by alice")),
    "rejected": asked(
        PlanState.DENIED,
        Wanted("Approved", False, "Rejected", "bob: not now"),
        approval("Rejected", "Rejected", "bob: not now"),
    ),
    "expired": asked(
        PlanState.EXPIRED,
        Wanted("Approved", False, "Expired", "nobody came"),
        approval("Expired", "Expired", "nobody came"),
    ),
    "void": asked(
        PlanState.EXPIRED,
        Wanted("Approved", False, "TargetChanged", "another template"),
        approval("Void", "TargetChanged", "another template"),
    ),
    "approval deleted": asked(
        PlanState.EXPIRED, Wanted("Approved", False, "ApprovalDeleted", "approval p-1 was deleted"), None
    ),
    "intent": begun(
        PlanState.EXECUTING,
        Wanted("Executed", None, "Started", "about"),
        execution=execution("Intent", "Started", "about"),
    ),
    "written": begun(
        PlanState.EXECUTING,
        Wanted("Executed", None, "RollingOut", "1/2"),
        execution=execution("Written", "RollingOut", "1/2"),
    ),
    "done": begun(PlanState.EXECUTED, DONE, execution=execution("Succeeded")),
    "failed": begun(
        PlanState.FAILED,
        Wanted("Executed", False, "RolloutTimeout", "0/2"),
        execution=execution("Failed", "RolloutTimeout", "0/2"),
    ),
    "measuring": judged(PlanState.EXECUTED, None, None),
    "effective": judged(PlanState.VERIFIED, "Effective", True),
    "ineffective": judged(PlanState.INEFFECTIVE, "Ineffective", False),
    "recovered anyway": judged(PlanState.INCONCLUSIVE, "RecoveredAnyway", None),
    "inconclusive": judged(PlanState.INCONCLUSIVE, "Inconclusive", None),
    "superseded": Case(
        PlanState.SUPERSEDED,
        (
            DECIDED,
            Wanted("Approved", None, "Pending", "waits for people"),
            NOT_STARTED,
            UNMEASURED,
            Wanted("Superseded", True, "NewerPlan", "superseded by p-2"),
        ),
        decision(),
        approval(None),
        newer="p-2",
    ),
    "superseded too late": Case(
        PlanState.EXECUTING,
        (DECIDED, APPROVED, Wanted("Executed", None, "Started", "about"), UNMEASURED),
        decision(),
        approval("Used", "QuorumReached", "approved by alice"),
        {"execution": execution("Intent", "Started", "about")},
        newer="p-2",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_state_and_conditions(name: str) -> None:
    case = CASES[name]
    of = plan(**(case.status or {}))
    view = plan_view(of, case.decision, case.approval, case.newer) if case.newer else plan_view(
        of, case.decision, case.approval
    )  # fmt: skip
    assert (view.state, view.conditions) == (case.state, case.conditions)


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        ("ApprovalExpired", PlanState.EXPIRED),
        ("TargetChanged", PlanState.EXPIRED),
        ("PlanChanged", PlanState.EXPIRED),
        ("ApprovalVoid", PlanState.EXPIRED),
        ("Superseded", PlanState.SUPERSEDED),
        ("Rejected", PlanState.DENIED),
        ("PolicyChanged", PlanState.DENIED),
        ("WouldBeReverted", PlanState.DENIED),
        ("WriteRejected", PlanState.FAILED),
    ],
)
def test_why_the_executor_refused_says_where_the_plan_ends(reason: str, state: PlanState) -> None:
    of = plan(execution=execution("Refused", reason, "words"))
    view = plan_view(of, decision(), approval("Approved", "QuorumReached", "approved by alice"))
    assert view.state is state
    assert Wanted("Executed", False, reason, "words") in view.conditions
