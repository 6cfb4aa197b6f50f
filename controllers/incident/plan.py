"""The first ActionPlan of an episode, from the report's best recommendation. Pure."""

from __future__ import annotations

from controllers.runtime.limits import fit
from crds.v1alpha1.actionplan import ActionPlan, ActionPlanSpec
from crds.v1alpha1.actions import Action, Effect
from crds.v1alpha1.execution import ActionPhase
from crds.v1alpha1.incident import Incident
from crds.v1alpha1.rcareport import RCAReport, RecommendedAction, ReportState, RootCause

UNKNOWN_CAUSE = "Unknown"


def recommendation(report: RCAReport) -> RecommendedAction | None:
    """The best action whose cause still stands; a refuted cause, or a report without a cause, proposes nothing."""
    if report.status.state not in (ReportState.COMPLETE, ReportState.DEGRADED):
        return None
    refuted = {cause.id for cause in report.status.root_causes if cause.refuted}
    return next((item for item in report.status.recommended_actions if item.cause_id not in refuted), None)


def plan_spec(
    incident: Incident, report: RCAReport, recommended: RecommendedAction, requested_by: str
) -> ActionPlanSpec:
    """A plan of one action. Policy, people and the executor judge it; here it is only proposed."""
    action = recommended.action
    cause = _cause(report, recommended)
    return ActionPlanSpec(
        incident_ref=incident.ref(),
        report_ref=report.ref(),
        requested_by=requested_by,
        cause_kind=cause.kind if cause is not None else UNKNOWN_CAUSE,
        cause=fit(ActionPlanSpec, "cause", cause.summary if cause is not None else report.status.cause),
        confidence_percent=recommended.confidence_percent,
        actions=[action],
        summary=fit(ActionPlanSpec, "summary", action.describe()),
        expected_impact=fit(ActionPlanSpec, "expected_impact", f"{recommended.why}; {_impact(action)}"),
        rollback=fit(ActionPlanSpec, "rollback", _rollback(action)),
    )


STALLED = frozenset({"RolloutStalled", "RolloutTimeout"})


def undo_spec(plan: ActionPlan, requested_by: str) -> ActionPlanSpec | None:
    """A plan that takes back what a stalled rollout left behind; None where nothing can, or where that stalled too.

    It is a plan like any other: policy and people decide about it anew.
    """
    execution = plan.status.execution
    if execution is None or execution.phase is not ActionPhase.FAILED or plan.spec.undoes is not None:
        return None
    stalled = {done.id: done.undo for done in execution.actions if done.reason in STALLED and done.undo is not None}
    actions = [
        one.model_copy(update={"id": "undo", "scale": undo.scale, "rollback": undo.rollback})
        for one in plan.spec.actions
        if (undo := stalled.get(one.id)) is not None
    ]
    if not actions:
        return None
    (action,) = actions
    why = f"{plan.metadata.name} ended with {execution.reason}: what it changed is taken back"
    update = {
        "supersedes": None,
        "undoes": plan.ref(),
        "requested_by": requested_by,
        "on_behalf_of": "",
        "actions": actions,
        "summary": fit(ActionPlanSpec, "summary", f"Undo: {action.describe()}"),
        "expected_impact": fit(ActionPlanSpec, "expected_impact", f"{why}; {_impact(action)}"),
        "rollback": fit(ActionPlanSpec, "rollback", _rollback(action)),
    }
    return plan.spec.model_copy(update=update)


def _cause(report: RCAReport, recommended: RecommendedAction) -> RootCause | None:
    return next((cause for cause in report.status.root_causes if cause.id == recommended.cause_id), None)


_IMPACT = {
    Effect.RESTART: "pods are replaced one after the other by the workload's own strategy, without a change of version",
    Effect.ROLLBACK: "pods are replaced one after the other by the Deployment's own strategy; the version changes",
    Effect.DELETE_POD: "one pod ends within its grace period and its controller makes another",
    Effect.RUN_JOB: "nothing changes: a Job reads one volume and reports what it saw; a person decides what follows",
    Effect.PAUSE: "nothing changes now; the rollout goes no further until a person resumes it",
}
_UNDO = {
    Effect.RESTART: "nothing to undo: only two annotations of the pod template change",
    Effect.SCALE: "scale back to the number of replicas recorded as 'before' in the plan's status",
    Effect.ROLLBACK: "roll back again, to the revision recorded as 'before' in the plan's status",
    Effect.DELETE_POD: "nothing to undo: the new pod has the same specification",
    Effect.PAUSE: "kubectl rollout resume",
    Effect.RUN_JOB: "nothing to undo: the volume is mounted read-only",
}


def _impact(action: Action) -> str:
    if action.scale is not None:
        return f"{action.target.name} runs {action.scale.replicas} replicas afterwards"
    return _IMPACT[action.effect]


def _rollback(action: Action) -> str:
    return _UNDO[action.effect]
