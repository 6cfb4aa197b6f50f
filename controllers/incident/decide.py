"""From an incident's chain to its status, the next object to create, and the events to tell. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from controllers.incident.chain import Chain, diagnosed, next_plan_name, report_name
from controllers.incident.plan import plan_spec, recommendation, undo_spec
from controllers.incident.progress import ENDED, Progress, View, progress
from controllers.incident.timeline import forecast, timeline
from controllers.runtime.limits import fit
from crds.v1alpha1.actionplan import ActionPlan, ActionPlanSpec
from crds.v1alpha1.base import Condition, ConditionStatus, LocalRef, Severity, Window
from crds.v1alpha1.conditions import merge
from crds.v1alpha1.incident import Incident, IncidentState, IncidentStatus
from crds.v1alpha1.rcareport import RCAReport, RCAReportSpec

LOOK_BACK = timedelta(minutes=30)
"""How far before the onset the diagnosis looks for changes."""
SEVERITIES = tuple(Severity)
QUIET = frozenset({"Detected"})
"""Conditions whose transitions other controllers tell."""


@dataclass(frozen=True)
class NewReport:
    """An RCAReport that is missing."""

    name: str
    spec: RCAReportSpec


@dataclass(frozen=True)
class NewPlan:
    """An ActionPlan that is missing."""

    name: str
    spec: ActionPlanSpec


@dataclass(frozen=True)
class Note:
    """A Kubernetes Event. ``once`` makes it one, however often it is emitted."""

    warning: bool
    reason: str
    text: str
    once: str


@dataclass(frozen=True)
class Decision:
    """``status`` is all that this controller owns, in wire form; ``changed``: it differs from what is stored."""

    status: dict[str, Any]
    changed: bool
    state: IncidentState
    create: NewReport | NewPlan | None
    notes: tuple[Note, ...]
    look_again: timedelta | None


def decide(chain: Chain, now: datetime, requested_by: str) -> Decision:
    """``requested_by``: username that proposes plans; it never counts as an approver."""
    incident = chain.incident
    before = incident.status
    back = reopens(incident)
    episode = before.reopened + (1 if back else 0)
    report = chain.report(episode)
    plan = chain.plan(report, episode)
    approval = chain.approval(plan)
    where = progress(View(incident, report, plan, now))
    conditions = merge(before.conditions, where.conditions, now, incident.metadata.generation)
    outcome, judged = forecast(incident, now)
    status = IncidentStatus(
        state=where.state,
        severity=_severity(incident),
        observed_generation=incident.metadata.generation,
        conditions=conditions,
        timeline=timeline(chain, conditions, now if back else None, judged),
        report_ref=report.ref() if report is not None else None,
        plan_ref=plan.ref() if plan is not None else None,
        approval_ref=LocalRef(name=approval.metadata.name, uid=approval.metadata.uid) if approval is not None else None,
        cause=fit(IncidentStatus, "cause", report.status.cause) if report is not None else "",
        action=_action(plan),
        verdict=plan.status.verification.verdict if plan is not None and plan.status.verification is not None else None,
        forecast=outcome,
        resolved_at=_resolved_at(where, conditions),
        reopened=episode,
    ).to_wire()
    return Decision(
        status=status,
        changed=status != before.model_copy(update={"detection": None}).to_wire(),
        state=where.state,
        create=_missing(chain, report, plan, where, requested_by, episode),
        notes=_notes(incident, conditions, episode),
        look_again=where.look_again,
    )


def reopens(incident: Incident) -> bool:
    """It had ended, and detection sees the fault again; detection says so within the reopen window only."""
    if incident.status.state not in (IncidentState.RESOLVED, IncidentState.RECOVERED):
        return False
    detection = incident.status.detection
    return detection is not None and detection.active


def _missing(
    chain: Chain, report: RCAReport | None, plan: ActionPlan | None, where: Progress, requested_by: str, episode: int
) -> NewReport | NewPlan | None:
    incident = chain.incident
    if where.state in ENDED:
        return None
    if report is None:
        start = min(incident.spec.started_at, incident.spec.detected_at) - LOOK_BACK
        end = incident.spec.detected_at
        if episode and incident.status.detection is not None:
            end = max(end, incident.status.detection.last_seen_at)
        return NewReport(
            report_name(incident, episode),
            RCAReportSpec(incident_ref=incident.ref(), window=Window(start=start, end=end)),
        )
    if plan is not None and (undo := undo_spec(plan, requested_by)) is not None:
        return NewPlan(next_plan_name(incident, chain.plans), undo)
    if plan is None and diagnosed(report):
        recommended = recommendation(report)
        if recommended is not None:
            name = next_plan_name(incident, chain.plans)
            return NewPlan(name, plan_spec(incident, report, recommended, requested_by))
    return None


def _severity(incident: Incident) -> Severity:
    override, detection = incident.spec.override, incident.status.detection
    if override is not None and override.severity is not None:
        return override.severity
    seen = [incident.spec.severity] + ([detection.severity] if detection is not None else [])
    return max(seen, key=SEVERITIES.index)


def _action(plan: ActionPlan | None) -> str:
    if plan is None:
        return ""
    execution = plan.status.execution
    outcome = f" ({execution.phase.value.lower()})" if execution is not None else ""
    return fit(IncidentStatus, "action", f"{plan.spec.summary}{outcome}")


def _resolved_at(where: Progress, conditions: list[Condition]) -> datetime | None:
    if where.state not in ENDED:
        return None
    return next(item.last_transition_time for item in conditions if item.type == "Resolved")


def _notes(incident: Incident, conditions: list[Condition], episode: int) -> tuple[Note, ...]:
    """One event for each condition that came to say something new: True, or False for a reason."""
    notes = []
    if episode > incident.status.reopened:
        notes.append(Note(True, "Reopened", "the fault is back within the reopen window", f"{episode}"))
    old = {item.type: item for item in incident.status.conditions}
    for item in conditions:
        was = old.get(item.type)
        if item.type in QUIET or item.status is ConditionStatus.UNKNOWN:
            continue
        same = was is not None and was.status is item.status
        if same and was is not None and (item.status is ConditionStatus.TRUE or was.reason == item.reason):
            continue
        if item.status is ConditionStatus.FALSE and item.type in ("Resolved", "Escalated"):
            continue  # the normal course; the other conditions say where it stands
        notes.append(_note(item, episode))
    resolved = next(item for item in conditions if item.type == "Resolved")
    waits = IncidentState.AWAITING_APPROVAL
    if resolved.reason == waits.value and incident.status.state is not waits:
        notes.append(Note(False, waits.value, resolved.message, f"{episode}/awaiting"))
    return tuple(notes)


def _note(item: Condition, episode: int) -> Note:
    true = item.status is ConditionStatus.TRUE
    text = item.message if item.reason in (item.type, item.message) else f"{item.reason}: {item.message}"
    warning = item.type == "Escalated" if true else item.type != "Approved"
    return Note(
        warning,
        item.type if true else item.reason,
        text,
        f"{episode}/{item.type}/{item.last_transition_time.isoformat()}",
    )
