"""The story of an incident, oldest first, each line with the source that shows it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from controllers.incident.chain import Chain, diagnosed
from controllers.runtime.limits import ends, fit
from crds.v1alpha1.actionplan import ActionPhase, ActionPlan
from crds.v1alpha1.approval import Approval
from crds.v1alpha1.base import Condition, ConditionStatus
from crds.v1alpha1.incident import Incident, IncidentStatus, Prediction, TimelineEntry, TimelineSource
from crds.v1alpha1.rcareport import Evidence, EvidenceKind, RCAReport

KINDS = {
    EvidenceKind.METRIC: TimelineSource.METRIC,
    EvidenceKind.LOG: TimelineSource.LOG,
    EvidenceKind.CHANGE: TimelineSource.CHANGE,
    EvidenceKind.EVENT: TimelineSource.EVENT,
    EvidenceKind.STATUS: TimelineSource.EVENT,
}
ORDER = tuple(TimelineSource)
HEAD = 12
"""Entries from the beginning that are kept when there are too many."""
FIRST_WORD = frozenset({TimelineSource.METRIC, TimelineSource.PREDICT})
"""Sources whose numbers move on while the fault lasts: the story keeps what was said first."""


def timeline(chain: Chain, conditions: Iterable[Condition]) -> list[TimelineEntry]:
    """All entries that the chain and our own conditions give, in the order of their times."""
    told = {(item.source, item.actor): item for item in chain.incident.status.timeline if item.source in FIRST_WORD}
    entries: dict[tuple[datetime, TimelineSource, str], TimelineEntry] = {}
    for entry in _entries(chain, conditions):
        kept = told.get((entry.source, entry.actor), entry)
        entries.setdefault((kept.at.replace(microsecond=0), kept.source, kept.message), kept)
    ordered = sorted(entries.values(), key=lambda item: (item.at.replace(microsecond=0), ORDER.index(item.source)))
    return ends(IncidentStatus, "timeline", ordered, HEAD)


def _entries(chain: Chain, conditions: Iterable[Condition]) -> Iterator[TimelineEntry]:
    yield from _detected(chain.incident)
    for report in chain.reports:
        yield from _report(report)
    for plan in chain.plans:
        yield from _plan(plan)
        approval = chain.approval(plan)
        if approval is not None:
            yield from _approval(approval)
    for condition in conditions:
        if condition.type in ("Resolved", "Escalated") and condition.status is ConditionStatus.TRUE:
            text = (
                f"{condition.type.lower()}: {condition.reason}" if condition.type == "Escalated" else condition.reason
            )
            yield _entry(
                condition.last_transition_time, TimelineSource.INCIDENT, "iirp-incident", f"{text}. {condition.message}"
            )


def _detected(incident: Incident) -> Iterator[TimelineEntry]:
    spec, detection = incident.spec, incident.status.detection
    opened = f"opened: {spec.type}, severity {spec.severity.value}: {spec.summary}"
    yield _entry(spec.detected_at, TimelineSource.INCIDENT, "iirp-detection", opened, spec.detected_by.rule)
    for signal in detection.signals if detection is not None else ():
        if signal.metrics:
            evidence = signal.metrics[0]
            yield _entry(signal.first_seen_at, TimelineSource.METRIC, signal.rule, evidence.summary, evidence.query)
        else:
            said = signal.events[0] if signal.events else "seen"
            yield _entry(signal.first_seen_at, TimelineSource.EVENT, signal.rule, f"{signal.type}: {said}")
    if detection is not None and detection.prediction is not None:
        yield _entry(spec.detected_at, TimelineSource.PREDICT, spec.detected_by.rule, _prediction(detection.prediction))


def _prediction(prediction: Prediction) -> str:
    times = [f"{moment:%H:%M:%S}" for moment in (prediction.expected_at, prediction.earliest_at, prediction.latest_at)]
    limit = f"{prediction.limit} {prediction.unit}".strip()
    return f"{prediction.resource} limit {limit} expected at {times[0]} ({times[1]} to {times[2]})"


def _report(report: RCAReport) -> Iterator[TimelineEntry]:
    status = report.status
    reference = f"rcareport/{report.metadata.name}"
    told: set[tuple[str, str]] = set()
    for cause in status.root_causes:
        for evidence in cause.evidence:
            if not cause.refuted and evidence.at is not None and (evidence.kind, evidence.summary) not in told:
                told.add((evidence.kind, evidence.summary))
                yield _evidence(evidence, evidence.at)
    if diagnosed(report) and status.completed_at is not None:
        confidence = f" ({status.confidence_percent} %)" if status.confidence_percent is not None else ""
        found = f"{status.cause}{confidence}" if status.cause else "no hypothesis stood"
        refuted = "; ".join(cause.summary for cause in status.root_causes if cause.refuted)
        text = f"{found}; refuted: {refuted}" if refuted else found
        yield _entry(
            status.completed_at, TimelineSource.RCA, status.model or status.method or "iirp-rca", text, reference
        )


def _evidence(evidence: Evidence, at: datetime) -> TimelineEntry:
    return _entry(at, KINDS[evidence.kind], evidence.id, evidence.summary, evidence.query)


def _plan(plan: ActionPlan) -> Iterator[TimelineEntry]:
    reference = f"actionplan/{plan.metadata.name}"
    if plan.metadata.creation_timestamp is not None:
        text = f"proposed: {plan.spec.summary} ({plan.spec.confidence_percent} %)"
        yield _entry(plan.metadata.creation_timestamp, TimelineSource.PLAN, plan.spec.requested_by, text, reference)
    decision, execution, verification = plan.status.decision, plan.status.execution, plan.status.verification
    if decision is not None:
        text = f"{decision.tier.value} ({decision.reason}): {decision.message}"
        yield _entry(decision.decided_at, TimelineSource.POLICY, "iirp-policy", text, reference)
    if execution is not None:
        yield _entry(
            execution.started_at, TimelineSource.ACTION, "iirp-execution", f"started: {plan.spec.summary}", reference
        )
        if execution.finished_at is not None and execution.phase not in (ActionPhase.INTENT, ActionPhase.WRITTEN):
            text = f"{execution.phase.value.lower()} ({execution.reason}): {execution.message}"
            yield _entry(execution.finished_at, TimelineSource.ACTION, "iirp-execution", text, reference)
    if verification is not None and verification.verdict is not None and verification.completed_at is not None:
        text = f"{verification.verdict.value}: {verification.message}"
        yield _entry(verification.completed_at, TimelineSource.VERIFY, "iirp-feedback", text, reference)


def _approval(approval: Approval) -> Iterator[TimelineEntry]:
    status = approval.status
    if status.decided_at is None or status.state is None:
        return
    words = "; ".join(f'{item.by} {item.verdict.value} "{item.reason}"' for item in approval.spec.decisions)
    text = f"{status.state.value.lower()} {status.approvals}: {words or status.message}"
    actor = status.decided_by or "iirp-approval"
    yield _entry(status.decided_at, TimelineSource.APPROVAL, actor, text, f"approval/{approval.metadata.name}")


def _entry(at: datetime, source: TimelineSource, actor: str, message: str, reference: str = "") -> TimelineEntry:
    return TimelineEntry(
        at=at,
        source=source,
        actor=fit(TimelineEntry, "actor", actor),
        message=fit(TimelineEntry, "message", message.strip()),
        reference=fit(TimelineEntry, "reference", reference),
    )
