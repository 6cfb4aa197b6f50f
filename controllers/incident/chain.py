"""The objects of one incident, and which of them count now. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from crds.v1alpha1.actionplan import ActionPlan, PlanState
from crds.v1alpha1.approval import Approval
from crds.v1alpha1.execution import ActionPhase
from crds.v1alpha1.incident import Incident
from crds.v1alpha1.rcareport import RCAReport, ReportState

DIAGNOSED = frozenset({ReportState.COMPLETE, ReportState.DEGRADED, ReportState.UNRESOLVED, ReportState.FAILED})


@dataclass(frozen=True)
class Chain:
    """All objects that point at this very Incident (by UID), in whatever episode."""

    incident: Incident
    reports: tuple[RCAReport, ...]
    plans: tuple[ActionPlan, ...]
    approvals: tuple[Approval, ...]

    def report(self, episode: int) -> RCAReport | None:
        """The diagnosis of an episode: 0 is the first, each reopening begins another."""
        name = report_name(self.incident, episode)
        return next((item for item in self.reports if item.metadata.name == name), None)

    def plan(self, report: RCAReport | None, episode: int) -> ActionPlan | None:
        """The newest plan of the episode, which ``report`` opened, not counting superseded ones."""
        if report is None and episode > 0:
            return None  # all plans there are belong to earlier episodes
        plans = [item for item in self.plans if _of_episode(item, report) and not _superseded(item, self.plans)]
        return max(plans, key=_age, default=None)

    def approval(self, plan: ActionPlan | None) -> Approval | None:
        """The newest Approval that asks for this plan."""
        if plan is None:
            return None
        asked = [item for item in self.approvals if item.spec.plan_ref.uid == plan.metadata.uid]
        return max(asked, key=_age, default=None)


def chain_of(
    incident: Incident, reports: Iterable[RCAReport], plans: Iterable[ActionPlan], approvals: Iterable[Approval]
) -> Chain:
    """Keep what belongs to this incident; names and labels prove nothing, UIDs do."""
    uid = incident.metadata.uid
    own_plans = tuple(item for item in plans if item.spec.incident_ref.uid == uid)
    plan_uids = {item.metadata.uid for item in own_plans}
    return Chain(
        incident,
        tuple(item for item in reports if item.spec.incident_ref.uid == uid),
        own_plans,
        tuple(item for item in approvals if item.spec.plan_ref.uid in plan_uids),
    )


def report_name(incident: Incident, episode: int) -> str:
    """The incident's own name, with ``-r<n>`` after the n-th reopening."""
    return incident.metadata.name if episode == 0 else f"{incident.metadata.name}-r{episode}"


def next_plan_name(incident: Incident, plans: Sequence[ActionPlan]) -> str:
    """``<incident>-<n>``, one above the highest that exists."""
    pattern = re.compile(re.escape(incident.metadata.name) + r"-([0-9]{1,6})")
    numbers = [int(match[1]) for item in plans if (match := pattern.fullmatch(item.metadata.name))]
    return f"{incident.metadata.name}-{max(numbers, default=0) + 1}"


def diagnosed(report: RCAReport | None) -> bool:
    """The rca controller has come to an end, whatever it found."""
    return report is not None and report.status.state in DIAGNOSED


def acted(plan: ActionPlan | None) -> bool:
    """The executor has, or may have, changed something."""
    execution = plan.status.execution if plan is not None else None
    if execution is None or execution.phase is ActionPhase.REFUSED:
        return False
    if execution.phase is ActionPhase.FAILED:
        # What was never written ends as Refused.
        return any(item.phase is not ActionPhase.REFUSED for item in execution.actions)
    return True


def in_flight(plan: ActionPlan | None) -> bool:
    """Approved, being executed, or executed and not judged yet: the incident waits for how it ends."""
    return plan is not None and plan.status.state in (PlanState.APPROVED, PlanState.EXECUTING, PlanState.EXECUTED)


def _of_episode(plan: ActionPlan, report: RCAReport | None) -> bool:
    if plan.spec.report_ref is not None:
        return report is not None and plan.spec.report_ref.uid == report.metadata.uid
    if report is None or report.metadata.creation_timestamp is None or plan.metadata.creation_timestamp is None:
        return report is None
    return plan.metadata.creation_timestamp >= report.metadata.creation_timestamp  # a person's plan


def _superseded(plan: ActionPlan, plans: Iterable[ActionPlan]) -> bool:
    if plan.status.execution is not None:
        return False
    return plan.status.state is PlanState.SUPERSEDED or any(item.supersedes(plan) for item in plans)


def _age(item: ActionPlan | Approval) -> tuple[float, int, str]:
    created = item.metadata.creation_timestamp
    name = item.metadata.name
    return created.timestamp() if created is not None else 0.0, len(name), name
