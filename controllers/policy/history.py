"""What became of earlier plans: outcomes by action, cause and class of workload. Pure; it counts objects (S9)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actions import Action, ActionType
from crds.v1alpha1.execution import ActionPhase, ActionResult
from crds.v1alpha1.verification import Verdict

DRILL_LABEL = "iirp.io/drill"


class Result(StrEnum):
    """What one executed action teaches. ``Nothing``: the verdict says neither that it helped nor that it did not."""

    SUCCESS = "Success"
    FAILURE = "Failure"
    NOTHING = "Nothing"


_BY_VERDICT = {
    Verdict.EFFECTIVE: Result.SUCCESS,
    Verdict.INEFFECTIVE: Result.FAILURE,
    Verdict.RECOVERED_ANYWAY: Result.NOTHING,
    Verdict.INCONCLUSIVE: Result.NOTHING,
}


BLAMED = frozenset({"RolloutStalled", "RolloutTimeout"})
"""Failures of the action itself. That somebody overwrote it, or deleted the target, says nothing about the remedy."""


@dataclass(frozen=True, order=True)
class Pair:
    """What outcomes are learned for. ``workload_class`` is empty for workloads without the label."""

    action: ActionType
    cause: str
    workload_class: str = ""


@dataclass(frozen=True)
class Outcome:
    """One executed action of one plan."""

    pair: Pair
    at: datetime
    """When it ended."""
    result: Result
    plan: str
    """``namespace/name``."""
    target: tuple[str, str, str]
    """Namespace, kind, name."""
    replicas: int | None = None
    """What a scale set."""
    replicas_before: int | None = None
    """What it found; None where that was not recorded."""
    drill: bool = False


def outcomes(plans: Iterable[ActionPlan]) -> list[Outcome]:
    """All that ended, oldest first; ties by name, so the order is the same at every look."""
    found = [outcome for plan in plans for outcome in _of(plan)]
    return sorted(found, key=lambda outcome: (outcome.at, outcome.plan))


def _of(plan: ActionPlan) -> list[Outcome]:
    execution = plan.status.execution
    if execution is None or execution.finished_at is None:
        return []
    result = _result(plan, execution.phase)
    if result is None:
        return []
    results = {r.id: r for r in execution.actions if r.phase in (ActionPhase.SUCCEEDED, ActionPhase.FAILED)}
    return [
        _outcome(plan, action, results[action.id], execution.finished_at, _result_of(results[action.id], result))
        for action in plan.spec.actions
        if action.id in results
    ]


def _result_of(done: ActionResult, whole: Result) -> Result:
    if done.phase is not ActionPhase.FAILED:
        return whole
    return Result.FAILURE if done.reason in BLAMED else Result.NOTHING


def _result(plan: ActionPlan, phase: ActionPhase) -> Result | None:
    """None while there is nothing to learn yet, or never was (refused before any change)."""
    if phase is ActionPhase.FAILED:
        # Actions before the failed one did their part; whether that helped, nobody measured.
        return Result.NOTHING
    verification = plan.status.verification
    if phase is not ActionPhase.SUCCEEDED or verification is None or verification.verdict is None:
        return None
    return _BY_VERDICT[verification.verdict]


def _outcome(plan: ActionPlan, action: Action, done: ActionResult, at: datetime, result: Result) -> Outcome:
    decision = plan.status.decision
    workload_class = decision.workload_class if decision is not None else ""
    return Outcome(
        pair=Pair(action.type, plan.spec.cause_kind, workload_class),
        at=at,
        result=result,
        plan=f"{plan.metadata.namespace}/{plan.metadata.name}",
        target=(plan.metadata.namespace, action.target.kind, action.target.name),
        replicas=action.scale.replicas if action.scale is not None else None,
        replicas_before=done.undo.scale.replicas if done.undo is not None and done.undo.scale is not None else None,
        drill=plan.metadata.labels.get(DRILL_LABEL) == "true",
    )
