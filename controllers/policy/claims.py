"""Which other plans use up a rate limit. Pure; it counts objects, so limits hold across restarts and replicas (S9)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from crds.v1alpha1.actionplan import ActionPlan, PlanState
from crds.v1alpha1.actionpolicy import Tier
from crds.v1alpha1.execution import ActionPhase

RATE_WINDOW = timedelta(hours=1)
NEVER_RAN = frozenset({PlanState.DENIED, PlanState.EXPIRED, PlanState.SUPERSEDED})


@dataclass(frozen=True)
class Claim:
    """A plan that ran within the window, or may still run: as much of it as a limit counts, since every decision
    records all of them."""

    namespace: str
    name: str
    targets: tuple[tuple[str, str], ...]
    """Kind and name."""


def claims(plan: ActionPlan, others: Iterable[ActionPlan], now: datetime) -> tuple[Claim, ...]:
    """What counts against the limits of ``plan``.

    Plans that may still run count too: otherwise ten plans decided at once would all be within a limit of one.
    """
    return tuple(
        Claim(
            namespace=other.metadata.namespace,
            name=other.metadata.name,
            targets=tuple((action.target.kind, action.target.name) for action in other.spec.actions),
        )
        for other in others
        if _counts(plan, other, now)
    )


def _counts(plan: ActionPlan, other: ActionPlan, now: datetime) -> bool:
    if other.metadata.uid == plan.metadata.uid or (plan.supersedes(other) and other.status.execution is None):
        return False
    execution, decision = other.status.execution, other.status.decision
    if execution is not None:
        return execution.phase is not ActionPhase.REFUSED and execution.started_at > now - RATE_WINDOW
    return decision is not None and decision.tier is not Tier.FORBIDDEN and other.status.state not in NEVER_RAN
