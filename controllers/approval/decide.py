"""What an Approval's state is, and which grants the executor should hold because of it. Pure.

The caller reads the live target *before* the plan. The executor records its intent in the plan before it writes to the
target, so a plan without intent, read after the target, proves that a changed target is not the executor's own work.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actionpolicy import Tier
from crds.v1alpha1.approval import Approval, ApprovalState
from crds.v1alpha1.digest import action_id
from crds.v1alpha1.execution import ActionPhase, ExecutionStatus
from crds.v1alpha1.quorum import Quorum, asks_more, count

FINAL = frozenset({ApprovalState.REJECTED, ApprovalState.EXPIRED, ApprovalState.VOID})
RUNNING = frozenset({ActionPhase.INTENT, ActionPhase.WRITTEN})


@dataclass(frozen=True)
class Observed:
    """What a decision rests on."""

    approval: Approval
    plan: ActionPlan | None
    """The plan of that name, whatever its UID; None: there is none."""
    live_digest: str | None
    """Recomputed from the live targets; None when we may not read them."""
    platform_namespace: str
    superseded_by: str = ""
    incident_ended: bool = False


@dataclass(frozen=True)
class Ruling:
    """The state, why, and the ids of the actions that the executor may perform now."""

    state: ApprovalState
    reason: str
    message: str
    quorum: Quorum
    granted: tuple[str, ...] = ()
    """Ids within the plan (``Action.id``)."""


def decide(observed: Observed, now: datetime) -> Ruling:
    """Rules in order; the first that applies wins. Final states stay whatever happens afterwards."""
    approval, plan = observed.approval, observed.plan
    quorum = count(approval.spec, observed.platform_namespace)
    known = approval.status
    if known.state in FINAL:
        return Ruling(known.state, known.reason or known.state.value, known.message, quorum)
    if plan is None or plan.metadata.uid != approval.spec.plan_ref.uid:
        return Ruling(ApprovalState.VOID, "PlanGone", "the plan that this is about was deleted", quorum)
    execution = plan.status.execution
    if execution is not None and execution.phase is not ActionPhase.REFUSED:
        return _used(approval, plan, execution, quorum, now)
    if quorum.rejected:
        who = ", ".join(quorum.rejecters)
        return Ruling(ApprovalState.REJECTED, "Rejected", f"rejected by {who}{_reason_of(approval, who)}", quorum)
    void = _void(observed, plan)
    if void is not None:
        return Ruling(ApprovalState.VOID, void[0], void[1], quorum)
    if now >= approval.spec.expires_at:
        return Ruling(ApprovalState.EXPIRED, "ApprovalExpired", _expired_message(quorum, approval), quorum)
    if execution is not None:
        message = f"the executor refused before any change: {execution.message or execution.reason}"
        return Ruling(ApprovalState.VOID, execution.reason, message, quorum)
    if not quorum.reached:
        missing = quorum.required - len(quorum.approvers)
        message = f"waits for {missing} of {quorum.required} approvals until {approval.spec.expires_at:%H:%M:%SZ}"
        return Ruling(ApprovalState.PENDING, "AwaitingApproval", message, quorum)
    if observed.live_digest is None:
        # Enough people approved, but whether the target is still what they saw cannot be told now.
        return Ruling(ApprovalState.PENDING, "TargetUnreadable", "approved; the live target cannot be read yet", quorum)
    granted = tuple(action.id for action in plan.spec.actions)
    return Ruling(ApprovalState.APPROVED, *_approved_words(quorum, approval), quorum, granted)


def _used(approval: Approval, plan: ActionPlan, execution: ExecutionStatus, quorum: Quorum, now: datetime) -> Ruling:
    """The executor has taken it up. A grant lasts until its action is written, and never past the expiry."""
    written = {result.id for result in execution.actions if result.phase is not ActionPhase.INTENT}
    open_actions = tuple(action.id for action in plan.spec.actions if action.id not in written)
    live = execution.phase in RUNNING and now < approval.spec.expires_at
    message = f"{_approved_words(quorum, approval)[1]}; taken up by the executor"
    return Ruling(ApprovalState.USED, "Used", message, quorum, open_actions if live else ())


def _void(observed: Observed, plan: ActionPlan) -> tuple[str, str] | None:
    spec, decision = observed.approval.spec, plan.status.decision
    if observed.incident_ended:
        return "IncidentEnded", "the incident ended before the plan was carried out"
    if observed.superseded_by:
        return "PlanSuperseded", f"plan {observed.superseded_by} took this one's place; it needs approvals of its own"
    if decision is None or decision.plan_digest != spec.plan_digest:
        return "PlanChanged", "the plan's digest is not the one that was asked about"
    if decision.tier is not spec.tier or decision.tier is Tier.FORBIDDEN or asks_more(decision, spec):
        return "PolicyChanged", f"policy has become stricter: {decision.message}"
    if observed.live_digest is not None and observed.live_digest != spec.plan_digest:
        return "TargetChanged", "the target is no longer what the digest was computed from; a new plan must ask anew"
    return None


def _approved_words(quorum: Quorum, approval: Approval) -> tuple[str, str]:
    if quorum.required == 0:
        return "AllowedByPolicy", "policy lets this run without a person; a reject still stops it before it starts"
    who = ", ".join(quorum.approvers)
    if not who:
        return "Approved", "approved"
    return "Approved", f"approved by {who}{_reason_of(approval, quorum.approvers[-1])}"


def _expired_message(quorum: Quorum, approval: Approval) -> str:
    until = f"{approval.spec.expires_at:%H:%M:%SZ}"
    if quorum.reached:
        return f"approved, but not started before it expired at {until}"
    return f"expired at {until} with {quorum.counted()} approvals"


def _reason_of(approval: Approval, who: str) -> str:
    """The last reason that this person gave, quoted; it is their text, so only ever shown."""
    reasons = [decision.reason for decision in approval.spec.decisions if decision.by == who and decision.reason]
    return f': "{reasons[-1]}"' if reasons else ""


def grant_ids(plan: ActionPlan, ruling: Ruling) -> dict[str, str]:
    """Action id within the plan -> global action id, for the granted actions."""
    return {a.id: action_id(plan.metadata.uid, a) for a in plan.spec.actions if a.id in ruling.granted}
