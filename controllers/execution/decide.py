"""The next step of a plan's execution. Pure: (observed, now) -> Step.

The order of writes makes every crash recoverable by looking (S5): intent in our status, then the target, then the
result in our status. ``Intent`` therefore means "perhaps written": the id on the target says whether. A write is asked
for only from ``Intent``, with the target's identity unchanged, and with a precondition on the version looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controllers.execution.record import RUNNING, closed, failed, never_begun, refused, status, succeeded, written
from controllers.execution.target import Live
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actionpolicy import Tier
from crds.v1alpha1.actions import Action, Effect
from crds.v1alpha1.approval import Approval, ApprovalState
from crds.v1alpha1.clip import clip
from crds.v1alpha1.digest import action_id
from crds.v1alpha1.execution import ActionPhase, ActionResult, ExecutionStatus
from crds.v1alpha1.quorum import asks_more, count

OBSERVE_DELAY = 1.0
BUSY_DELAY = 2.0
STOP_DELAY = 5.0


@dataclass(frozen=True)
class Observed:
    """What a step rests on; ``live`` by the plan's action id, None where there is no such object."""

    plan: ActionPlan
    approval: Approval | None
    live: Mapping[str, Live | None]
    live_digest: str
    platform_namespace: str
    rollout_timeout: timedelta
    emergency_stop: str = ""
    """Value of the annotation on the platform's namespace, or a word for an empty one; empty: not stopped."""
    superseded_by: str = ""
    blocked_by: str = ""
    """Name of a plan that began on one of the targets before this one and has not ended."""
    undone: Mapping[str, str] = field(default_factory=dict)
    """By the plan's action id: why somebody else would undo it at once, as far as that is known."""


@dataclass(frozen=True)
class Nothing:
    """Not ours to do, or done."""


@dataclass(frozen=True)
class Wait:
    """Look again later."""

    reason: str
    delay: float
    message: str = ""


@dataclass(frozen=True)
class Record:
    """Write this status, then look again."""

    status: ExecutionStatus


@dataclass(frozen=True)
class Begin:
    """Try all writes as a dry run; if they pass, record this intent."""

    status: ExecutionStatus


@dataclass(frozen=True)
class Write:
    """Send the one write of this action, for exactly the version of the target that was looked at."""

    action: Action
    result: ActionResult
    live: Live


_DONE = {Effect.DELETE_POD: "Replaced", Effect.PAUSE: "Paused", Effect.RUN_JOB: "Ran"}
_STALLED = {Effect.RUN_JOB: "JobFailed"}

Step = Nothing | Wait | Record | Begin | Write


def decide(observed: Observed, now: datetime) -> Step:
    """One step; the caller does it and asks again."""
    execution = observed.plan.status.execution
    if execution is None:
        return _begin(observed, now)
    if execution.phase not in RUNNING:
        return Nothing()
    for action, result in zip(observed.plan.spec.actions, execution.actions, strict=True):
        if result.phase is ActionPhase.INTENT:
            return _write(observed, execution, action, result, now)
        if result.phase is ActionPhase.WRITTEN:
            return _observe(observed, execution, result, now)
    return Record(closed(execution, now))


def _begin(observed: Observed, now: datetime) -> Step:
    approval = observed.approval
    if approval is None or approval.status.state is not ApprovalState.APPROVED:
        return Nothing()
    refusal = _refusal(observed, approval, now) or _superseded(observed) or _changed(observed, approval)
    undone = (_undone(observed, action) for action in observed.plan.spec.actions)
    if refusal := refusal or next((found for found in undone if found), None):
        return Record(never_begun(*refusal, now))
    if waiting := _hold(observed):
        return waiting
    results = [_intent(observed, action, now) for action in observed.plan.spec.actions]
    message = f"approved; about to change {', '.join(a.target.short() for a in observed.plan.spec.actions)}"
    return Begin(status(ActionPhase.INTENT, "Started", message, results, now))


def _intent(observed: Observed, action: Action, now: datetime) -> ActionResult:
    live = observed.live[action.id]
    if live is None:
        raise ValueError(f"action {action.id}: no live target")  # _changed has refused this
    return ActionResult(
        id=action.id,
        action_id=action_id(observed.plan.metadata.uid, action),
        phase=ActionPhase.INTENT,
        reason="Started",
        started_at=now,
        target_digest=live.digest,
        before=clip(ActionResult, "before", live.summary),
        undo=live.undo,
    )


def _write(observed: Observed, execution: ExecutionStatus, action: Action, result: ActionResult, now: datetime) -> Step:
    live = observed.live.get(action.id)
    if live is not None and live.uid == action.target.uid and live.applied:
        # A crash or a lost answer came between the write and this record.
        return Record(written(execution, result, now))
    refusal = _write_refusal(observed, action, result, live, now)
    if refusal:
        return Record(refused(execution, result, *refusal, now))
    if waiting := _hold(observed):
        return waiting
    if live is None:
        raise ValueError(f"action {action.id}: no live target")  # _write_refusal has refused this
    return Write(action, result, live)


def _write_refusal(
    observed: Observed, action: Action, result: ActionResult, live: Live | None, now: datetime
) -> tuple[str, str] | None:
    approval = observed.approval
    if approval is None or approval.status.state not in (ApprovalState.APPROVED, ApprovalState.USED):
        state = "deleted" if approval is None else str(approval.status.state)
        return "ApprovalVoid", f"the approval is {state}"
    if refusal := _refusal(observed, approval, now):
        return refusal
    if live is None:
        return "TargetGone", f"{action.target.short()} is gone"
    if live.uid != action.target.uid or live.digest != result.target_digest:
        return "TargetChanged", f"{action.target.short()} is not what was approved any more"
    return _undone(observed, action)


def _observe(observed: Observed, execution: ExecutionStatus, result: ActionResult, now: datetime) -> Step:
    live = observed.live.get(result.id)
    if live is None:
        return Record(failed(execution, result, "TargetGone", "the target was deleted during the rollout", now))
    if not live.in_force:
        message = f"somebody changed what this action had set; now {live.summary}"
        return Record(failed(execution, result, "Overwritten", message, now))
    effect = next(action.effect for action in observed.plan.spec.actions if action.id == result.id)
    if live.complete:
        return Record(succeeded(execution, result, live, _DONE.get(effect, "RolledOut"), now))
    if live.stalled:
        return Record(failed(execution, result, _STALLED.get(effect, "RolloutStalled"), live.stalled, now))
    # Not from the intent: another action's rollout, an emergency stop or a busy target may have come between.
    if now - (result.written_at or result.started_at) > observed.rollout_timeout:
        message = f"no complete rollout within {observed.rollout_timeout.total_seconds():.0f} s: {live.summary}"
        return Record(failed(execution, result, "RolloutTimeout", message, now))
    return Wait("RollingOut", OBSERVE_DELAY, live.summary)


def _refusal(observed: Observed, approval: Approval, now: datetime) -> tuple[str, str] | None:
    """What must hold at each write, whatever the approval controller said a moment ago (S3, S4)."""
    plan, spec = observed.plan, approval.spec
    decision = plan.status.decision
    quorum = count(spec, observed.platform_namespace)
    if spec.plan_ref.uid != plan.metadata.uid or decision is None or decision.plan_digest != spec.plan_digest:
        return "PlanChanged", "the approval is about another plan or digest"
    if decision.tier is not spec.tier or decision.tier not in (Tier.AUTO_LOW_RISK, Tier.HUMAN_APPROVAL):
        return "PolicyChanged", f"policy says {decision.tier.value} now"
    if asks_more(decision, spec):
        return "PolicyChanged", "policy asks for more people, or for others, than this approval did"
    if quorum.rejected:
        return "Rejected", f"rejected by {', '.join(quorum.rejecters)} before anything was written"
    if not quorum.reached:
        return "ApprovalVoid", f"{quorum.counted()} approvals count"
    if now >= spec.expires_at:
        return "ApprovalExpired", f"expired at {spec.expires_at:%H:%M:%SZ} before anything was written"
    return None


def _superseded(observed: Observed) -> tuple[str, str] | None:
    return ("Superseded", f"plan {observed.superseded_by} took this one's place") if observed.superseded_by else None


def _changed(observed: Observed, approval: Approval) -> tuple[str, str] | None:
    gone = [a.target.short() for a in observed.plan.spec.actions if observed.live.get(a.id) is None]
    if gone:
        return "TargetGone", f"{', '.join(gone)} does not exist"
    if observed.live_digest != approval.spec.plan_digest:
        return "TargetChanged", "the live target differs from what was approved; a new plan must ask anew"
    return None


def _undone(observed: Observed, action: Action) -> tuple[str, str] | None:
    """Writers change: an autoscaler or a GitOps tool may have come since policy decided."""
    message = observed.undone.get(action.id)
    return ("WouldBeReverted", message) if message else None


def _hold(observed: Observed) -> Wait | None:
    if observed.emergency_stop:
        return Wait("EmergencyStop", STOP_DELAY, f"all actions are stopped: {observed.emergency_stop}")
    if observed.blocked_by:
        return Wait("TargetBusy", BUSY_DELAY, f"plan {observed.blocked_by} is being carried out on the same target")
    return None
