"""What other policies would have said about the plans of the past, and how those ended. Pure.

Judged is the policies' word alone, at the moment of the decision, with the record as it was then: the live targets of
that time are gone, so limits on replicas, rates and labels of the target cannot be judged (labels count as absent; the
class of the workload is in the decision). Plans that a check refused then are listed as such and not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from controllers.policy.decide import Observed, tier_now
from controllers.policy.history import Outcome, outcomes
from controllers.policy.match import Documents
from controllers.policy.target import CLASS_LABEL, Target
from controllers.policy.validity import PolicyEntry
from controllers.policy.words import STRICTNESS
from crds.v1alpha1.actionplan import ActionPlan, PolicyDecision
from crds.v1alpha1.actionpolicy import Tier
from crds.v1alpha1.base import Severity
from crds.v1alpha1.incident import Incident

SPOKEN = frozenset(
    {
        "NoPolicy",
        "NoMatchingRule",
        "ForbiddenByPolicy",
        "TooFewApprovers",
        "AllowedByPolicy",
        "ApprovalRequired",
        "PolicyTightened",
    }
)
"""Reasons of decisions that policies made; all others come from checks that no policy can waive."""


@dataclass(frozen=True)
class Comparison:
    """One plan then and now."""

    plan: str
    at: datetime
    action: str
    was: Tier
    now: Tier | None
    """None: a check refused it then, whatever the policies said."""
    why: str
    ended: str
    """State, and the verdict where there is one."""

    @property
    def change(self) -> str:
        """``stricter``, ``looser``, ``same`` or ``not judged``."""
        if self.now is None:
            return "not judged"
        step = STRICTNESS[self.now] - STRICTNESS[self.was]
        return "stricter" if step > 0 else "looser" if step < 0 else "same"


def backtest(
    plans: Iterable[ActionPlan],
    incidents: Mapping[str, Incident],
    namespaces: Mapping[str, Mapping[str, str]],
    policies: tuple[PolicyEntry, ...],
    since: datetime,
) -> list[Comparison]:
    """Compare every plan decided since then, oldest first.

    Args:
        plans: all plans of the export, undecided ones too; they are each other's record.
        incidents: by UID.
        namespaces: labels by namespace name.
        policies: the changed ones.
        since: decisions before it are part of the record and not compared.
    """
    everything = tuple(plans)
    past = tuple(outcomes(everything))
    decided = [(plan.status.decision.decided_at, plan) for plan in everything if plan.status.decision is not None]
    found = []
    for at, plan in sorted(decided, key=lambda pair: (pair[0], pair[1].metadata.namespace, pair[1].metadata.name)):
        decision = plan.status.decision
        if decision is not None and at >= since:
            observed = _observed(plan, decision, past, incidents, namespaces, policies)
            found.append(_compare(plan, decision, observed))
    return found


def summary(found: Iterable[Comparison]) -> str:
    """``12 plans: 2 stricter (1 of them had been effective), 1 looser (...), 9 the same``."""
    rows = list(found)
    parts = []
    for change in ("stricter", "looser", "same", "not judged"):
        some = [row for row in rows if row.change == change]
        good = sum(1 for row in some if row.ended.endswith("(Effective)"))
        bad = sum(1 for row in some if row.ended.endswith("(Ineffective)") or row.ended == "Failed")
        told = f" ({good} had been effective, {bad} not)" if some and change in ("stricter", "looser") else ""
        parts.append(f"{len(some)} {change}{told}")
    return f"{len(rows)} plans: {', '.join(parts)}"


def _observed(
    plan: ActionPlan,
    decision: PolicyDecision,
    past: tuple[Outcome, ...],
    incidents: Mapping[str, Incident],
    namespaces: Mapping[str, Mapping[str, str]],
    policies: tuple[PolicyEntry, ...],
) -> Observed:
    incident = incidents.get(plan.spec.incident_ref.uid)
    namespace = plan.metadata.namespace
    labels = {CLASS_LABEL: decision.workload_class} if decision.workload_class else {}
    return Observed(
        plan=plan,
        severity=(incident.status.severity or incident.spec.severity) if incident is not None else Severity.CRITICAL,
        policies=policies,
        targets={a.id: Target(uid=a.target.uid, replicas=0, labels=labels) for a in plan.spec.actions},
        past=tuple(outcome for outcome in past if outcome.plan != f"{namespace}/{plan.metadata.name}"),
        documents=Documents(
            incident={"spec": incident.spec.to_wire(), "status": incident.status.to_wire()} if incident else {},
            namespace={"metadata": {"name": namespace, "labels": dict(namespaces.get(namespace, {}))}},
        ),
    )


def _compare(plan: ActionPlan, decision: PolicyDecision, observed: Observed) -> Comparison:
    verification = plan.status.verification
    verdict = f" ({verification.verdict.value})" if verification is not None and verification.verdict else ""
    state = plan.status.state.value if plan.status.state is not None else "Proposed"
    spoken = decision.reason in SPOKEN
    ruling = tier_now(observed, decision.decided_at) if spoken else None
    return Comparison(
        plan=f"{plan.metadata.namespace}/{plan.metadata.name}",
        at=decision.decided_at,
        action=plan.spec.summary,
        was=decision.tier,
        now=ruling.tier if ruling is not None else None,
        why=ruling.message if ruling is not None else f"{decision.reason}: {decision.message}",
        ended=f"{state}{verdict}",
    )
