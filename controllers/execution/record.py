"""What the executor writes down at each turn: people and the incident read it, and replay compares it. Pure."""

from __future__ import annotations

from datetime import datetime

from controllers.execution.target import Live
from crds.v1alpha1.clip import clip
from crds.v1alpha1.execution import ActionPhase, ActionResult, ExecutionStatus

RUNNING = frozenset({ActionPhase.INTENT, ActionPhase.WRITTEN})


def written(execution: ExecutionStatus, result: ActionResult, now: datetime) -> ExecutionStatus:
    """The write took effect; now the rollout is watched."""
    update = {"phase": ActionPhase.WRITTEN, "reason": "Written", "message": "", "written_at": now}
    done = result.model_copy(update=update)
    return _replace(execution, done, ActionPhase.WRITTEN, "RollingOut", "written; waiting for the rollout")


def refused(
    execution: ExecutionStatus, result: ActionResult, reason: str, message: str, now: datetime
) -> ExecutionStatus:
    """This action was not written. The plan is Refused if nothing was, Failed if an earlier action was."""
    message = clip(ActionResult, "message", message)
    update = {"phase": ActionPhase.REFUSED, "reason": reason, "message": message, "finished_at": now}
    done = result.model_copy(update=update)
    nothing_done = all(r.phase is ActionPhase.INTENT or r.id == result.id for r in execution.actions)
    phase = ActionPhase.REFUSED if nothing_done else ActionPhase.FAILED
    return _replace(execution, done, phase, reason, message, now)


def failed(
    execution: ExecutionStatus, result: ActionResult, reason: str, message: str, now: datetime
) -> ExecutionStatus:
    """This action was written and did not do what it should; the plan ends here."""
    message = clip(ActionResult, "message", message)
    update = {"phase": ActionPhase.FAILED, "reason": reason, "message": message, "finished_at": now}
    return _replace(execution, result.model_copy(update=update), ActionPhase.FAILED, reason, message, now)


def succeeded(
    execution: ExecutionStatus, result: ActionResult, live: Live, reason: str, now: datetime
) -> ExecutionStatus:
    """This action is done; the plan too, unless another one is left."""
    said = {"message": live.summary, "after": live.summary, "output": live.output}
    clipped = {name: clip(ActionResult, name, text) for name, text in said.items()}
    update = {"phase": ActionPhase.SUCCEEDED, "reason": reason, "finished_at": now, **clipped}
    done = result.model_copy(update=update)
    left = [r for r in execution.actions if r.id != result.id and r.phase in RUNNING]
    if left:
        return _replace(execution, done, ActionPhase.INTENT, "Started", f"{len(left)} more to do")
    return _replace(execution, done, ActionPhase.SUCCEEDED, reason, f"done: {live.summary}", now)


def never_begun(reason: str, message: str, now: datetime) -> ExecutionStatus:
    """Refused before any intent: no action has a result."""
    return status(ActionPhase.REFUSED, reason, message, [], now, now)


def closed(execution: ExecutionStatus, now: datetime) -> ExecutionStatus:
    """No action is left; cannot come of our own writes, but a plan that ran for ever would hold its target.

    It is done only where each action says so: whatever else there may be (S5) is not called a success.
    """
    ended = (ActionPhase.SUCCEEDED, "Succeeded", "all actions are done")
    if odd := [result for result in execution.actions if result.phase is not ActionPhase.SUCCEEDED]:
        what = ", ".join(f"{result.id} is {result.phase}" for result in odd)
        ended = (ActionPhase.FAILED, "RecordUnclear", f"the plan was under way, but {what}: look at the targets")
    return status(*ended, execution.actions, execution.started_at, now)


def _replace(
    execution: ExecutionStatus,
    result: ActionResult,
    phase: ActionPhase,
    reason: str,
    message: str,
    finished_at: datetime | None = None,
) -> ExecutionStatus:
    results = [result if known.id == result.id else known for known in execution.actions]
    return status(phase, reason, message, results, execution.started_at, finished_at)


def status(
    phase: ActionPhase,
    reason: str,
    message: str,
    results: list[ActionResult],
    started_at: datetime,
    finished_at: datetime | None = None,
) -> ExecutionStatus:
    """Of the plan as a whole, with its message cut to fit."""
    return ExecutionStatus(
        phase=phase,
        reason=reason,
        message=clip(ExecutionStatus, "message", message),
        actions=results,
        started_at=started_at,
        finished_at=finished_at,
    )
