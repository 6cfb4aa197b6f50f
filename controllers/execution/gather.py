"""Reads everything that one step of an execution rests on, each from etcd, never from a cache."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from controllers.arbitration.decide import arbitrate, blocking
from controllers.arbitration.gather import look
from controllers.execution.decide import Observed
from controllers.execution.record import RUNNING
from controllers.execution.target import Live, read, read_job, read_pod
from controllers.kube.api import Kube
from controllers.kube.resources import JOBS, NAMESPACES, PODS, REPLICASETS, REVISIONS
from controllers.kube.targets import find, read_owner, read_target
from controllers.runtime.controller import Context
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actions import Action, Effect
from crds.v1alpha1.approval import Approval
from crds.v1alpha1.digest import action_id, plan_digest
from crds.v1alpha1.execution import ActionPhase
from crds.v1alpha1.grants import job_name

EMERGENCY_STOP_ANNOTATION = "iirp.io/emergency-stop"


def observe(context: Context, plan: ActionPlan) -> Observed:
    """The world as a step sees it. The emergency stop and the approval are read last: nearest to the write."""
    kube, namespace, platform = context.kube, plan.metadata.namespace, context.settings.namespace
    bodies = {action.id: read_target(kube, namespace, action, platform) for action in plan.spec.actions}
    live = {action.id: _live(kube, plan, action, bodies[action.id]) for action in plan.spec.actions}
    others = [o for o in kube.list_all(ActionPlan, namespace) if o.metadata.uid != plan.metadata.uid]
    return Observed(
        plan=plan,
        live=live,
        live_digest=plan_digest(plan, bodies),
        platform_namespace=context.settings.namespace,
        rollout_timeout=timedelta(seconds=context.settings.rollout_timeout),
        superseded_by=next((o.metadata.name for o in others if o.supersedes(plan)), ""),
        blocked_by=next((o.metadata.name for o in others if _goes_first(o, plan)), ""),
        undone=_undone(context, plan, bodies),
        approval=_approval(kube, plan),
        emergency_stop=_emergency_stop(context),
    )


def may_concern_us(plan: ActionPlan) -> bool:
    """Cheap look before the dear one: running, or not started and perhaps approved."""
    if plan.metadata.deletion_timestamp is not None or plan.status.decision is None:
        return False
    execution = plan.status.execution
    return execution is None or execution.phase in RUNNING


def _live(kube: Kube, plan: ActionPlan, action: Action, body: dict[str, Any] | None) -> Live | None:
    begun = _phase(plan, action)
    if action.effect is Effect.DELETE_POD:
        # Before it has begun, a pod that is gone is a target that is gone; afterwards, that is what was wanted.
        return (
            None
            if body is None and begun is None
            else read_pod(action, body, read_owner(kube, plan.metadata.namespace, action))
        )
    if body is None:
        return None
    identity = action_id(plan.metadata.uid, action)
    if action.effect is Effect.RUN_JOB:
        job = find(kube, JOBS, plan.metadata.namespace, job_name(identity))
        return read_job(action, identity, body, job, _pods_of(kube, job) if job is not None else ())
    if action.rollback is not None and begun is None:
        return read(action, identity, body, kube.list_raw(REPLICASETS, plan.metadata.namespace))
    live = read(action, identity, body)
    if live.applied or action.effect is not Effect.RESTART or begun is not ActionPhase.INTENT:
        return live
    # The template's annotation may have been replaced since (a roll back, another restart); the revision that our
    # write made still tells.
    kept = REPLICASETS if action.shape.kind == "Deployment" else REVISIONS
    return read(action, identity, body, kube.list_raw(kept, plan.metadata.namespace))


def _pods_of(kube: Kube, job: dict[str, Any]) -> list[dict[str, Any]]:
    """Pods that a Job made, by the label that its controller gives them; their owner is looked at later."""
    name = job["metadata"]["name"]
    return kube.list_raw(PODS, job["metadata"]["namespace"], labels=f"batch.kubernetes.io/job-name={name}", limit=2)


def _undone(context: Context, plan: ActionPlan, bodies: dict[str, dict[str, Any] | None]) -> dict[str, str]:
    """Asked again just before the first write: what policy saw may be minutes old."""
    execution = plan.status.execution
    if execution is not None and execution.phase is not ActionPhase.INTENT:
        return {}
    found = {}
    for action in plan.spec.actions:
        body = bodies[action.id]
        if body is not None and not (execution is not None and _phase(plan, action) is not ActionPhase.INTENT):
            subject = look(context.kube, action, body, context.settings.argocd_namespace, writers_only=True)
            if (writer := blocking(arbitrate(subject))) is not None:
                found[action.id] = writer.message
    return found


def _phase(plan: ActionPlan, action: Action) -> ActionPhase | None:
    """How far this action has come by our own record; None when it has not begun."""
    results = plan.status.execution.actions if plan.status.execution is not None else ()
    return next((result.phase for result in results if result.id == action.id), None)


def _approval(kube: Kube, plan: ActionPlan) -> Approval | None:
    decision = plan.status.decision
    if decision is None or decision.approval_ref is None:
        return None
    approval = kube.find(Approval, plan.metadata.namespace, decision.approval_ref.name)
    return approval if approval is not None and approval.metadata.uid == decision.approval_ref.uid else None


def _goes_first(other: ActionPlan, plan: ActionPlan) -> bool:
    """``other`` is being carried out on one of our targets and began before us (or we have not begun). Where policy
    wants one workload at a time, the whole namespace is our target."""
    theirs, ours = other.status.execution, plan.status.execution
    alone = plan.status.decision is not None and plan.status.decision.one_at_a_time
    if theirs is None or theirs.phase not in RUNNING or not (alone or _share_target(other, plan)):
        return False
    if ours is None:
        return True
    # Both recorded an intent at once: the older one goes first, the UID decides a tie.
    return (theirs.started_at, other.metadata.uid) < (ours.started_at, plan.metadata.uid)


def _share_target(one: ActionPlan, two: ActionPlan) -> bool:
    names = {(a.target.kind, a.target.name) for a in one.spec.actions}
    return any((a.target.kind, a.target.name) in names for a in two.spec.actions)


def _emergency_stop(context: Context) -> str:
    body = context.kube.get_raw(NAMESPACES, "", context.settings.namespace)
    annotations = body["metadata"].get("annotations") or {}
    if EMERGENCY_STOP_ANNOTATION not in annotations:
        return ""
    return annotations[EMERGENCY_STOP_ANNOTATION] or "no reason given"
