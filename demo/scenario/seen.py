"""What the platform said in one namespace: its incidents with their chains, as the objects have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from crds.v1alpha1 import Incident
from crds.v1alpha1.approval import ApprovalState
from crds.v1alpha1.predictions import told
from crds.v1alpha1.rcareport import RCAReportStatus, ReportState, RootCause
from demo.driver.chain import Chain, chain_of, printable

__all__ = ["Ranked", "Seen", "Verified", "merged", "seen_of"]

_SECOND = timedelta(seconds=1)
NO_ACTION = "none"


@dataclass(frozen=True, slots=True)
class Ranked:
    """One hypothesis of a report, in its order."""

    kind: str
    target: str
    confidence: int
    refuted: bool
    deviation: float
    """Of what its queries returned, the widest range relative to its largest value; 0 where they returned nothing."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What came of running a report's queries again."""

    same: int = 0
    different: tuple[str, ...] = ()
    """In words."""
    unchecked: int = 0
    """What is gone by now, or could not be asked."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One incident at one look."""

    uid: str
    namespace: str
    name: str
    type: str
    target: str
    """`Deployment/payments`."""
    severity: str
    predicted: bool
    seen_at: datetime
    """When it could be read: at most one look after it was written."""
    started_at: datetime
    summary: str = ""
    state: str = ""
    signals: tuple[str, ...] = ()
    """`type target ×count` of each merged signal."""
    expected_at: datetime | None = None
    """Of the predicted harm, by the newest prediction."""
    outcome: str = ""
    """What became of the prediction."""
    harmed_at: datetime | None = None
    cause: str = ""
    cause_target: str = ""
    confidence: int = 0
    action: str = NO_ACTION
    plan: str = ""
    """State of the newest plan."""
    verdict: str = ""
    pending: str = ""
    """Name of an Approval that waits for a person."""
    reopened: int = 0
    timeline: tuple[str, ...] = field(default=(), compare=False)
    causes: tuple[Ranked, ...] = field(default=(), compare=False)
    """All that the report holds, best first, refuted ones last."""
    verified: Verified | None = field(default=None, compare=False)

    def changes(self, before: Seen | None) -> list[str]:
        """What to tell of it, in words."""
        told = []
        if before is None:
            told.append(f"incident {self.type} {self.target} ({self.severity}): {self.summary}")
        if self.cause and self.cause != (before.cause if before else ""):
            told.append(
                f"{self.name}: cause {self.cause} ({self.confidence} %)"
                if self.confidence
                else f"{self.name}: {self.cause}"
            )
        if self.action != (before.action if before else NO_ACTION):
            told.append(f"{self.name}: {self.action} proposed")
        if self.verdict and self.verdict != (before.verdict if before else ""):
            told.append(f"{self.name}: {self.verdict}")
        return told


def seen_of(listing: Mapping[str, Iterable[Mapping[str, Any]]], now: datetime) -> list[Seen]:
    """All incidents of one namespace's listing, oldest first."""
    incidents = [Incident.from_wire(item) for item in listing.get("incidents", ())]
    lists = {kind: list(items) for kind, items in listing.items()}
    found = [_seen(chain_of(incident, lists), now) for incident in incidents]
    return sorted(found, key=lambda item: (item.seen_at, item.name))


def merged(before: Mapping[str, Seen], now: Sequence[Seen]) -> dict[str, Seen]:
    """By UID. What is gone stays as it was last seen; the time of the first look stays."""
    found = dict(before)
    for item in now:
        known = before.get(item.uid)
        found[item.uid] = replace(item, seen_at=known.seen_at) if known else item
    return found


def _seen(chain: Chain, now: datetime) -> Seen:
    incident = chain.incident
    spec, status = incident.spec, incident.status
    report = chain.report.status if chain.report else RCAReportStatus()
    cause, unresolved = report.first_cause(), report.state == ReportState.UNRESOLVED
    detection = status.detection
    created = incident.metadata.creation_timestamp
    approval = chain.approval
    prediction = told(incident, now)
    return Seen(
        uid=incident.metadata.uid,
        namespace=incident.metadata.namespace,
        name=incident.metadata.name,
        type=spec.type,
        target=f"{spec.target.kind}/{spec.target.name}",
        severity=str(status.severity or spec.severity),
        predicted=spec.predicted,
        # A look that came late is no delay of the platform; creation times have whole seconds.
        seen_at=min(now, created + _SECOND) if created else now,
        started_at=spec.started_at,
        summary=printable(spec.summary),
        state=str(status.state or ""),
        signals=tuple(_signal(item) for item in (detection.signals if detection else [])),
        expected_at=prediction.expected_at if prediction else None,
        outcome=prediction.outcome.value if prediction else "",
        harmed_at=prediction.at if prediction else None,
        cause=cause.kind if cause else ReportState.UNRESOLVED if unresolved else "",
        cause_target=f"{cause.target.kind}/{cause.target.name}" if cause else "",
        confidence=cause.confidence_percent if cause else 0,
        action=str(chain.plan.spec.actions[0].type) if chain.plan and chain.plan.spec.actions else NO_ACTION,
        plan=str(chain.plan.status.state or "") if chain.plan else "",
        verdict=str(status.verdict or ""),
        pending=approval.metadata.name if approval and approval.status.state == ApprovalState.PENDING else "",
        reopened=status.reopened,
        timeline=tuple(
            printable(f"{entry.at:%H:%M:%S} {entry.source.value} {entry.message}") for entry in status.timeline
        ),
        causes=tuple(map(_ranked, report.root_causes)),
    )


def _ranked(cause: RootCause) -> Ranked:
    answers = [*(one.ran for one in cause.evidence), *(one.ran for one in cause.refuters)]
    ran = [one for one in answers if one is not None and one.series]
    return Ranked(
        kind=cause.kind,
        target=f"{cause.target.kind}/{cause.target.name}",
        confidence=cause.confidence_percent,
        refuted=cause.refuted,
        deviation=max((_deviation(float(one.lowest), float(one.highest)) for one in ran), default=0.0),
    )


def _deviation(lowest: float, highest: float) -> float:
    largest = max(abs(lowest), abs(highest))
    return round((highest - lowest) / largest, 4) if largest > 0 else 0.0


def _signal(signal: Any) -> str:
    return f"{signal.type} {signal.target.kind}/{signal.target.name} ×{signal.count}"
