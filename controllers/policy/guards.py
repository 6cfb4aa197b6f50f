"""Guards over what earlier plans did: loop breaker, oscillation guard, circuit breaker. Pure; they count objects."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from controllers.policy.history import Outcome, Result
from controllers.policy.target import Target
from controllers.policy.validity import parse_duration
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actionpolicy import PolicyLimits
from crds.v1alpha1.actions import Action, ActionType

OSCILLATION_WINDOW = timedelta(hours=1)
MAX_REVERSALS = 1
"""Up and down again is a correction; up, down and up again is an oscillation."""


def guard_refusal(
    plan: ActionPlan, action: Action, target: Target, past: Sequence[Outcome], limits: PolicyLimits, now: datetime
) -> tuple[str, str] | None:
    """(reason, message) when this action on this target would repeat what did not help, or swing; None otherwise.

    What takes a failed action back is neither: it is tried once, and leaves the target as it was found.
    """
    if plan.spec.undoes is not None:
        return None
    here = (plan.metadata.namespace, action.target.kind, action.target.name)
    own = [outcome for outcome in past if outcome.target == here]
    return _loop(plan, action, own, limits, now) or _oscillation(action, target, own, now)


def breaker_open(kind: ActionType, past: Sequence[Outcome], limits: PolicyLimits, now: datetime) -> str:
    """Why nothing of this type should run by itself now; empty while the breaker is closed.

    The newest outcomes decide; one that says nothing neither opens nor closes it.
    """
    since = now - parse_duration(limits.breaker_window)
    told = [o for o in past if o.pair.action is kind and o.at > since and o.result is not Result.NOTHING]
    newest = told[-limits.breaker_failures :]
    if len(newest) < limits.breaker_failures or any(o.result is Result.SUCCESS for o in newest):
        return ""
    return f"the last {len(newest)} {kind.value} failed, most lately {newest[-1].plan}; a person decides"


def _loop(
    plan: ActionPlan, action: Action, own: Sequence[Outcome], limits: PolicyLimits, now: datetime
) -> tuple[str, str] | None:
    since = now - parse_duration(limits.retry_ineffective_after)
    same = [o for o in own if o.pair.action is action.type and o.pair.cause == plan.spec.cause_kind and o.at > since]
    if action.scale is not None:
        # Another number of replicas is another remedy.
        same = [o for o in same if o.replicas == action.scale.replicas]
    told = [o for o in same if o.result is not Result.NOTHING]
    if not told or told[-1].result is not Result.FAILURE:
        return None
    last = told[-1]
    until = f"{last.at + parse_duration(limits.retry_ineffective_after):%Y-%m-%d %H:%M}Z"
    what = f"{action.describe()} did not help against {plan.spec.cause_kind} ({last.plan})"
    return "AlreadyIneffective", f"{what}; not again before {until}"


def _oscillation(action: Action, target: Target, own: Sequence[Outcome], now: datetime) -> tuple[str, str] | None:
    if action.scale is None:
        return None
    since = now - OSCILLATION_WINDOW
    scales = [o for o in own if o.replicas is not None and o.at > since]
    levels = [level for o in scales for level in (o.replicas_before, o.replicas) if level is not None]
    levels = [level for level, _ in groupby([*levels, target.replicas, action.scale.replicas])]
    rises = [after > before for before, after in pairwise(levels)]
    if sum(one is not two for one, two in pairwise(rises)) <= MAX_REVERSALS:
        return None
    told = ", ".join(map(str, levels))
    return "Oscillating", f"{action.target.short()} would swing ({told} replicas within the hour)"
