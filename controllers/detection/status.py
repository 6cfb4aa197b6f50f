"""The content of ``status.detection``: signals merged over time, severity that only rises, newest prediction. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from analysis.contract import NEVER_ALONE, Candidate
from controllers.runtime.limits import first, fit
from crds.v1alpha1.base import Severity, TargetRef
from crds.v1alpha1.detection import DetectionStatus, Member, MetricEvidence, Signal
from crds.v1alpha1.incident import Incident

SEVERITIES = tuple(Severity)
Identity = tuple[str, str, str]


def refreshed(before: DetectionStatus | None, candidates: Sequence[Candidate]) -> DetectionStatus:
    """``status.detection`` now that ``candidates`` (at least one) are on; ``before`` is None for a new Incident."""
    parts = [part for candidate in candidates for part in parts_of(candidate)]
    severities = [part.severity for part in (*candidates, *parts)]
    if before is not None and before.active:
        severities.append(before.severity)
    predictions = [part.prediction for part in parts if part.prediction is not None]
    origins = [candidate.origin for candidate in candidates if candidate.origin is not None]
    main = {_identity(target) for target in (candidates[0].target, *origins)}
    return DetectionStatus(
        active=True,
        last_seen_at=max([part.last_seen for part in parts] + ([before.last_seen_at] if before else [])),
        severity=max(severities, key=SEVERITIES.index),
        impact=fit(DetectionStatus, "impact", candidates[0].impact) or (before.impact if before else ""),
        signals=_merge(before.signals if before else [], parts, main),
        members=_members(before.members if before else [], parts),
        merged=len({(part.type, part.rule, _identity(part.target)) for part in parts}),
        origin=origins[0] if origins else (before.origin if before else None),
        # what was predicted stays, so that it can be judged when the harm has come, or has not
        prediction=predictions[0] if predictions else (before.prediction if before else None),
        affected=first(DetectionStatus, "affected", _affected(parts)),
    )


def parts_of(candidate: Candidate) -> tuple[Candidate, ...]:
    """What was really seen: the candidate itself, unless it only stands for its signals, and those."""
    return (candidate, *candidate.signals) if candidate.observed else candidate.signals


def ended_at(incident: Incident) -> datetime:
    """When an Incident that is over was last on: resolved, else last seen, else created."""
    status = incident.status
    if status.resolved_at is not None:
        return status.resolved_at
    return status.detection.last_seen_at if status.detection is not None else incident.spec.detected_at


def _merge(before: Iterable[Signal], parts: Iterable[Candidate], main: set[Identity]) -> list[Signal]:
    """By type, rule and target: of ``main`` targets first, what is evidence only last, then the earliest first."""
    signals = {_key(item): item for item in before}
    for part in parts:
        new = _signal(part)
        old = signals.get(_key(new))
        if old is not None:
            new = new.model_copy(
                update={"first_seen_at": min(old.first_seen_at, new.first_seen_at), "count": max(old.count, new.count)}
            )
        signals[_key(new)] = new
    ordered = sorted(signals.values(), key=lambda item: _telling(item, main))
    return first(DetectionStatus, "signals", ordered)


def _telling(signal: Signal, main: set[Identity]) -> tuple[bool, bool, datetime]:
    return _identity(signal.target) not in main, signal.type in NEVER_ALONE, signal.first_seen_at


def _members(before: Iterable[Member], parts: Iterable[Candidate]) -> list[Member]:
    """Those that came first keep their place: what is listed never opens an Incident of its own."""
    members = {item.fingerprint: item for item in before}
    for part in parts:
        old = members.get(part.fingerprint)
        members[part.fingerprint] = Member(
            fingerprint=part.fingerprint,
            type=part.type,
            target=fit(Member, "target", part.target.short()),
            since=min(part.onset, old.since) if old else part.onset,
            count=max(part.count, old.count) if old else part.count,
        )
    return first(DetectionStatus, "members", list(members.values()))


def _key(signal: Signal) -> tuple[str, str, Identity]:
    return signal.type, signal.rule, _identity(signal.target)


def _identity(target: TargetRef) -> Identity:
    return target.kind, target.namespace, target.name


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
