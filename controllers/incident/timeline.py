"""The story of an incident, oldest first, each line with the source that shows it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import datetime

from controllers.incident.chain import Chain, diagnosed
from controllers.runtime.limits import ends, fit
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.approval import Approval, ApprovalState
from crds.v1alpha1.base import Condition, ConditionStatus
from crds.v1alpha1.detection import Prediction
from crds.v1alpha1.execution import ActionPhase, ExecutionStatus
from crds.v1alpha1.incident import Incident, IncidentStatus, TimelineEntry, TimelineSource
from crds.v1alpha1.predictions import Outcome, told
from crds.v1alpha1.rcareport import Evidence, EvidenceKind, RCAReport

KINDS = {
    EvidenceKind.METRIC: TimelineSource.METRIC,
    EvidenceKind.LOG: TimelineSource.LOG,
    EvidenceKind.CHANGE: TimelineSource.CHANGE,
    EvidenceKind.EVENT: TimelineSource.EVENT,
    EvidenceKind.STATUS: TimelineSource.EVENT,
}
ORDER = tuple(TimelineSource)
OURSELVES = "iirp-incident"
HEAD = 12
"""Entries from the beginning that are kept when there are too many."""
FIRST_WORD = frozenset({TimelineSource.METRIC, TimelineSource.PREDICT})
"""Sources whose numbers move on while the fault lasts: the story keeps what was said first."""


def timeline(
    chain: Chain,
    conditions: Iterable[Condition],
    reopened_at: datetime | None = None,
    judged: TimelineEntry | None = None,
) -> list[TimelineEntry]:
    """All entries that the chain and our own conditions give, in the order of their times.

    ``reopened_at``: the incident comes back now; what was said of its earlier end stays in the story.
    ``judged``: what became of its prediction.
    """
    before = chain.incident.status.timeline
    first_words = {_said_by(item): item for item in before if item.source in FIRST_WORD}
    entries = {_moment(item): item for item in before if item.actor == OURSELVES}
    for entry in _entries(chain, conditions):
        kept = first_words.get(_said_by(entry), entry)
        entries[_moment(kept)] = kept
    if reopened_at is not None:
        entry = _entry(reopened_at, TimelineSource.INCIDENT, OURSELVES, "reopened: the fault is seen again")
        entries[_moment(entry)] = entry
    if judged is not None:
        entries[_moment(judged)] = judged
    ordered = sorted(entries.values(), key=_place)
    return ends(IncidentStatus, "timeline", ordered, HEAD)


def _said_by(entry: TimelineEntry) -> tuple[TimelineSource, str, str]:
    """Who said it of what: a rule speaks of several targets, each named before the colon where it is not ours."""
    subject = entry.message.partition(": ")[0]
    return entry.source, entry.actor, subject if "/" in subject and " " not in subject else ""


def _moment(entry: TimelineEntry) -> tuple[datetime, TimelineSource, str]:
    """What makes two entries one: for our own lines the word before the colon, else the whole message."""
    said = entry.message.partition(":")[0] if entry.actor == OURSELVES else entry.message
    return entry.at.replace(microsecond=0), entry.source, said


def _place(entry: TimelineEntry) -> tuple[datetime, int]:
    """By second, as the API keeps times; within one, causes before effects, and our own conclusions last."""
    rank = len(ORDER) if entry.actor == OURSELVES else ORDER.index(entry.source)
    return entry.at.replace(microsecond=0), rank


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
            text = f"{condition.type.lower()}: {condition.reason}. {condition.message}"
            yield _entry(condition.last_transition_time, TimelineSource.INCIDENT, OURSELVES, text)


def _detected(incident: Incident) -> Iterator[TimelineEntry]:
    spec, detection = incident.spec, incident.status.detection
    felt = f" ({detection.impact})" if detection is not None and detection.impact else ""
    opened = f"opened: {spec.type}, severity {spec.severity.value}: {spec.summary}{felt}"
    yield _entry(spec.detected_at, TimelineSource.INCIDENT, "iirp-detection", opened, spec.detected_by.rule)
    for signal in detection.signals if detection is not None else ():
        own = (signal.target.kind, signal.target.name) == (spec.target.kind, spec.target.name)
        of = "" if own else f"{signal.target.short()}: "
        if signal.metrics:
            evidence = signal.metrics[0]
            said = f"{of}{evidence.summary}"
            yield _entry(signal.first_seen_at, TimelineSource.METRIC, signal.rule, said, evidence.query)
        else:
            said = signal.events[0] if signal.events else "seen"
            yield _entry(signal.first_seen_at, TimelineSource.EVENT, signal.rule, f"{of}{signal.type}: {said}")
    if detection is not None and detection.origin is not None:
        where = f"{detection.origin.short()}, which the target needs, fails as well"
        yield _entry(spec.detected_at, TimelineSource.INCIDENT, "iirp-detection", f"points deeper: {where}")
    if detection is not None and detection.prediction is not None:
        yield _entry(spec.detected_at, TimelineSource.PREDICT, spec.detected_by.rule, _prediction(detection.prediction))


def forecast(incident: Incident, now: datetime) -> tuple[str, TimelineEntry | None]:
    """What became of the prediction, and the line that tells it once the fault is over or the harm has come."""
    found = told(incident, now)
    detection = incident.status.detection
    if found is None or detection is None:
        return "", None
    match found.outcome:
        case Outcome.CAME_TRUE if found.at is not None:
            seconds = (found.at - found.expected_at).total_seconds()
            when = f"{abs(seconds):.0f} s {'after' if seconds > 0 else 'before'} the expected time"
            said, at = f"prediction came true: the harm came {when}", found.at
        case Outcome.NOT_TRUE if not detection.active:
            said, at = "prediction did not come true: the fault went away without harm", detection.last_seen_at
        case _:
            return found.outcome.value, None
    return found.outcome.value, _entry(at, TimelineSource.INCIDENT, OURSELVES, said)


def _prediction(prediction: Prediction) -> str:
    times = [f"{moment:%H:%M:%S}" for moment in (prediction.expected_at, prediction.earliest_at, prediction.latest_at)]
    limit = humane(prediction.limit, prediction.unit)
    return f"{prediction.resource} limit {limit} expected at {times[0]} ({times[1]} to {times[2]})"


def humane(value: str, unit: str) -> str:
    """``268435456 bytes`` as ``256 MiB``; anything else as it is."""
    try:
        number = float(value)
    except ValueError:
        return f"{value} {unit}".strip()
    if not math.isfinite(number):
        return f"{value} {unit}".strip()
    if unit not in ("bytes", "B", "byte"):
        return f"{number:g} {unit}".strip()
    for prefix in ("", "Ki", "Mi", "Gi", "Ti"):
        if number < 1024 or prefix == "Ti":
            return f"{number:.4g} {prefix}B"
        number /= 1024
    return ""


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
            yield _entry(
                execution.finished_at, TimelineSource.ACTION, "iirp-execution", _outcome(plan, execution), reference
            )
    if verification is not None and verification.verdict is not None and verification.completed_at is not None:
        text = f"{verification.verdict.value}: {verification.message}"
        yield _entry(verification.completed_at, TimelineSource.VERIFY, "iirp-feedback", text, reference)


def _outcome(plan: ActionPlan, execution: ExecutionStatus) -> str:
    seconds = ((execution.finished_at or execution.started_at) - execution.started_at).total_seconds()
    said = execution.message.removeprefix("done: ")
    if execution.phase is ActionPhase.SUCCEEDED:
        return f"{plan.spec.summary}: finished in {seconds:.0f} s, {said}"
    return f"{plan.spec.summary}: {execution.phase.value.lower()} ({execution.reason}) after {seconds:.0f} s, {said}"


def _approval(approval: Approval) -> Iterator[TimelineEntry]:
    status = approval.status
    if status.decided_at is None or status.state is None:
        return
    words = "; ".join(f'{item.by} {item.verdict.value} "{item.reason}"' for item in approval.spec.decisions)
    state = ApprovalState.APPROVED if status.state is ApprovalState.USED else status.state
    text = f"{state.value.lower()} {status.approvals}: {words or status.message}"
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
