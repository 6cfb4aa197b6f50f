"""State and conditions of an ActionPlan: one pure function of what policy, people, executor and feedback said."""

from __future__ import annotations

from dataclasses import dataclass

from crds.v1alpha1.actionplan import ActionPlan, PlanState, PolicyDecision
from crds.v1alpha1.actionpolicy import Tier
from crds.v1alpha1.approval import Approval, ApprovalState
from crds.v1alpha1.conditions import Wanted
from crds.v1alpha1.execution import ActionPhase, ExecutionStatus
from crds.v1alpha1.verification import Verdict, VerificationStatus

_VERDICTS = {
    Verdict.EFFECTIVE: PlanState.VERIFIED,
    Verdict.INEFFECTIVE: PlanState.INEFFECTIVE,
    # The siblings recovered as well: nothing can be said about the action.
    Verdict.RECOVERED_ANYWAY: PlanState.INCONCLUSIVE,
    Verdict.INCONCLUSIVE: PlanState.INCONCLUSIVE,
}
_APPROVALS = {
    None: PlanState.AWAITING_APPROVAL,
    ApprovalState.PENDING: PlanState.AWAITING_APPROVAL,
    ApprovalState.APPROVED: PlanState.APPROVED,
    ApprovalState.REJECTED: PlanState.DENIED,
    ApprovalState.EXPIRED: PlanState.EXPIRED,
    # What was approved is no longer there to be done; a new plan has to ask anew.
    ApprovalState.VOID: PlanState.EXPIRED,
    ApprovalState.USED: PlanState.EXECUTING,
}
_REFUSALS = {
    # Nothing was changed because the approval no longer held when the executor came to it.
    "ApprovalExpired": PlanState.EXPIRED,
    "TargetChanged": PlanState.EXPIRED,
    "PlanChanged": PlanState.EXPIRED,
    "ApprovalVoid": PlanState.EXPIRED,
    "Superseded": PlanState.SUPERSEDED,
    "Rejected": PlanState.DENIED,
    "PolicyChanged": PlanState.DENIED,
    "WouldBeReverted": PlanState.DENIED,
}


@dataclass(frozen=True)
class PlanView:
    """State and conditions of a plan as they should be now."""

    state: PlanState
    conditions: tuple[Wanted, ...]


def plan_view(
    plan: ActionPlan, decision: PolicyDecision | None, approval: Approval | None, superseded_by: str = ""
) -> PlanView:
    """What a plan's ``status.state`` and conditions are.

    Args:
        plan: with its ``status.execution`` and ``status.verification``.
        decision: the decision to show; given apart because it is written together with the state.
        approval: None while there is none, or when somebody deleted it.
        superseded_by: name of the plan that takes this one's place; empty if there is none.
    """
    execution, verification = plan.status.execution, plan.status.verification
    superseded = superseded_by if execution is None else ""
    state = _state(decision, approval, execution, verification, bool(superseded))
    conditions = [_decided(decision), _approved(decision, approval), _executed(execution), _verified(verification)]
    if superseded:
        conditions.append(Wanted("Superseded", True, "NewerPlan", f"superseded by {superseded}"))
    return PlanView(state, tuple(conditions))


def _state(
    decision: PolicyDecision | None,
    approval: Approval | None,
    execution: ExecutionStatus | None,
    verification: VerificationStatus | None,
    superseded: bool,
) -> PlanState:
    if verification is not None and verification.verdict is not None:
        return _VERDICTS[verification.verdict]
    if execution is not None:
        return _execution_state(execution)
    if superseded:
        return PlanState.SUPERSEDED
    if decision is None:
        return PlanState.PROPOSED
    if decision.tier is Tier.FORBIDDEN:
        return PlanState.DENIED
    if approval is None and decision.approval_ref is not None:
        return PlanState.EXPIRED
    return _APPROVALS[approval.status.state if approval is not None else None]


def _execution_state(execution: ExecutionStatus) -> PlanState:
    match execution.phase:
        case ActionPhase.INTENT | ActionPhase.WRITTEN:
            return PlanState.EXECUTING
        case ActionPhase.SUCCEEDED:
            return PlanState.EXECUTED
        case ActionPhase.REFUSED:
            return _REFUSALS.get(execution.reason, PlanState.FAILED)
        case ActionPhase.FAILED:
            return PlanState.FAILED


def _decided(decision: PolicyDecision | None) -> Wanted:
    if decision is None:
        return Wanted("Decided", None, "Pending", "policy has not decided yet")
    return Wanted("Decided", True, decision.reason, decision.message)


def _approved(decision: PolicyDecision | None, approval: Approval | None) -> Wanted:
    if decision is not None and decision.tier is Tier.FORBIDDEN:
        return Wanted("Approved", False, decision.reason, "policy forbids it; nobody was asked")
    if approval is None:
        if decision is not None and decision.approval_ref is not None:
            return Wanted("Approved", False, "ApprovalDeleted", f"approval {decision.approval_ref.name} was deleted")
        return Wanted("Approved", None, "Pending", "nobody has been asked yet")
    status = approval.status
    reason = status.reason or "Pending"
    match status.state:
        case ApprovalState.APPROVED | ApprovalState.USED:
            return Wanted("Approved", True, reason, status.message)
        case None | ApprovalState.PENDING:
            return Wanted("Approved", None, reason, status.message or "waits for people")
        case _:
            return Wanted("Approved", False, reason, status.message)


def _executed(execution: ExecutionStatus | None) -> Wanted:
    if execution is None:
        return Wanted("Executed", None, "Pending", "not started")
    done = {ActionPhase.SUCCEEDED: True, ActionPhase.FAILED: False, ActionPhase.REFUSED: False}.get(execution.phase)
    return Wanted("Executed", done, execution.reason, execution.message)


def _verified(verification: VerificationStatus | None) -> Wanted:
    if verification is None:
        return Wanted("Verified", None, "Pending", "nothing to measure yet")
    if verification.verdict is None:
        return Wanted("Verified", None, verification.reason, verification.message)
    # Unknown, not False, where nothing can be said about the action (S11).
    helped = {Verdict.EFFECTIVE: True, Verdict.INEFFECTIVE: False}.get(verification.verdict)
    return Wanted("Verified", helped, verification.reason, verification.message)
