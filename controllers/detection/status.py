"""The content of ``status.detection``: signals merged over time, severity that only rises, newest prediction. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from analysis.contract import Candidate
from controllers.runtime.limits import first, fit
from crds.v1alpha1.base import Severity, TargetRef
from crds.v1alpha1.incident import DetectionStatus, Incident, MetricEvidence, Signal

SEVERITIES = tuple(Severity)


def refreshed(before: DetectionStatus | None, candidates: Sequence[Candidate]) -> DetectionStatus:
    """``status.detection`` now that ``candidates`` (at least one) are on; ``before`` is None for a new Incident."""
    severities = [candidate.severity for candidate in candidates]
    if before is not None and before.active:
        severities.append(before.severity)
    predictions = [candidate.prediction for candidate in candidates if candidate.prediction is not None]
    return DetectionStatus(
        active=True,
        last_seen_at=max([candidate.last_seen for candidate in candidates] + ([before.last_seen_at] if before else [])),
        severity=max(severities, key=SEVERITIES.index),
        signals=_merge(before.signals if before else [], candidates),
        prediction=predictions[0] if predictions else None,
        affected=first(DetectionStatus, "affected", _affected(candidates)),
    )


def ended_at(incident: Incident) -> datetime:
    """When an Incident that is over was last on: resolved, else last seen, else created."""
    status = incident.status
    if status.resolved_at is not None:
        return status.resolved_at
    return status.detection.last_seen_at if status.detection is not None else incident.spec.detected_at


def _merge(before: Iterable[Signal], candidates: Iterable[Candidate]) -> list[Signal]:
    signals = {(item.type, item.rule): item for item in before}
    for candidate in candidates:
        new = _signal(candidate)
        old = signals.get((new.type, new.rule))
        if old is not None:
            new = new.model_copy(
                update={"first_seen_at": min(old.first_seen_at, new.first_seen_at), "count": max(old.count, new.count)}
            )
        signals[(new.type, new.rule)] = new
    return first(DetectionStatus, "signals", sorted(signals.values(), key=lambda item: item.first_seen_at))


def _signal(candidate: Candidate) -> Signal:
    return Signal(
        type=candidate.type,
        rule=fit(Signal, "rule", candidate.rule),
        target=candidate.target,
        first_seen_at=candidate.onset,
        last_seen_at=candidate.last_seen,
        count=candidate.count,
        confidence_percent=candidate.confidence_percent,
        metrics=first(Signal, "metrics", [_evidence(item) for item in candidate.metrics]),
        events=first(Signal, "events", [fit(MetricEvidence, "summary", event) for event in candidate.events]),
    )


def _evidence(item: MetricEvidence) -> MetricEvidence:
    return item.model_copy(update={"summary": fit(MetricEvidence, "summary", item.summary)})


def _affected(candidates: Iterable[Candidate]) -> list[TargetRef]:
    found: dict[tuple[str, str], TargetRef] = {}
    for candidate in candidates:
        for pod in candidate.pods:
            namespace = candidate.target.namespace
            found[(namespace, pod)] = TargetRef(api_version="v1", kind="Pod", namespace=namespace, name=pod)
    return list(found.values())
