"""Incident: one fault, whatever number of signals it raised."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from crds.v1alpha1.base import (
    ApiModel,
    Column,
    Condition,
    Definition,
    Line,
    LocalRef,
    Measure,
    Name,
    Percent,
    Query,
    Resource,
    Scope,
    Severity,
    TargetRef,
    Text,
    Time,
    Word,
)


class IncidentState(StrEnum):
    """Short word for people and field selectors, computed from the conditions."""

    DETECTED = "Detected"
    DIAGNOSING = "Diagnosing"
    DIAGNOSED = "Diagnosed"
    PLANNED = "Planned"
    AWAITING_APPROVAL = "AwaitingApproval"
    REMEDIATING = "Remediating"
    VERIFYING = "Verifying"
    RESOLVED = "Resolved"
    ESCALATED = "Escalated"
    RECOVERED = "Recovered"
    CLOSED = "Closed"


class Verdict(StrEnum):
    """What became of an action. ``RecoveredAnyway``: untouched siblings recovered just as well."""

    EFFECTIVE = "Effective"
    INEFFECTIVE = "Ineffective"
    RECOVERED_ANYWAY = "RecoveredAnyway"
    INCONCLUSIVE = "Inconclusive"


class DetectedBy(ApiModel):
    """The rule or model that opened the incident."""

    rule: Annotated[str, StringConstraints(max_length=128)]
    version: Annotated[str, StringConstraints(max_length=64)] = ""
    confidence_percent: Percent


class Override(ApiModel):
    """What a person may change after the fact."""

    severity: Severity | None = None
    acknowledged: bool = False
    closed: bool = False
    """True ends the incident as ``Closed``; no further action is planned."""
    note: Text = ""


class IncidentSpec(ApiModel):
    """What was detected. Written once by detection; only ``override`` may change, and only by people."""

    fingerprint: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    """Hash of type, scope and target: signals of the same fault share it."""
    type: Word
    """Kind of fault, for example MemoryLeak, MemorySpike, OOMKilled, CrashLoop."""
    scope: Scope
    target: TargetRef
    started_at: Time
    """Onset: when the fault began by the data, not when it was noticed."""
    detected_at: Time
    detected_by: DetectedBy
    severity: Severity
    predicted: bool = False
    """True when the harm (an OOM kill, a full disk) has not happened yet."""
    summary: Line = ""
    override: Override | None = None

    cel_rules: ClassVar[tuple[tuple[str, str], ...]] = tuple(
        (f"self.{name} == oldSelf.{name}", f"spec.{name} is immutable; people change spec.override only")
        for name in ("fingerprint", "type", "scope", "target", "startedAt", "detectedAt", "detectedBy", "severity")
    )


class MetricEvidence(ApiModel):
    """The numbers that fired, with the query that shows them."""

    query: Query
    summary: Line
    value: Measure
    unit: Annotated[str, StringConstraints(max_length=32)] = ""


class Signal(ApiModel):
    """One observation that belongs to this incident; repeats are counted."""

    type: Word
    rule: Annotated[str, StringConstraints(max_length=128)]
    target: TargetRef
    first_seen_at: Time
    last_seen_at: Time
    count: int = Field(default=1, ge=1)
    confidence_percent: Percent = 0
    metrics: Annotated[list[MetricEvidence], Field(max_length=8)] = []
    events: Annotated[list[Line], Field(max_length=8)] = []


class Prediction(ApiModel):
    """When the harm is expected, with an interval."""

    resource: Annotated[str, StringConstraints(max_length=64)]
    limit: Measure
    unit: Annotated[str, StringConstraints(max_length=32)]
    expected_at: Time
    earliest_at: Time
    latest_at: Time


class DetectionStatus(ApiModel):
    """Written by the detection controller while the fault is seen."""

    active: bool
    """False once the signals have been absent for the rule's hold time."""
    last_seen_at: Time
    severity: Severity
    signals: Annotated[list[Signal], Field(max_length=16)] = []
    prediction: Prediction | None = None
    affected: Annotated[list[TargetRef], Field(max_length=16)] = []


class TimelineSource(StrEnum):
    """What a timeline entry was read from."""

    CHANGE = "change"
    METRIC = "metric"
    PREDICT = "predict"
    EVENT = "event"
    LOG = "log"
    INCIDENT = "incident"
    RCA = "rca"
    PLAN = "plan"
    POLICY = "policy"
    APPROVAL = "approval"
    ACTION = "action"
    VERIFY = "verify"


class TimelineEntry(ApiModel):
    """One line of the story, oldest first."""

    at: Time
    source: TimelineSource
    actor: Annotated[str, StringConstraints(max_length=128)] = ""
    """Who or what did it: a username, a controller, a rule."""
    message: Line
    reference: Query = ""
    """Query, object or revision that shows it."""


class IncidentStatus(ApiModel):
    """``detection`` is written by the detection controller, everything else by the incident controller."""

    state: IncidentState | None = None
    severity: Severity | None = None
    """The person's override, else the worst that detection has seen."""
    observed_generation: int | None = None
    conditions: Annotated[list[Condition], Field(max_length=16)] = []
    detection: DetectionStatus | None = None
    timeline: Annotated[list[TimelineEntry], Field(max_length=64)] = []
    """What happened, oldest first: signals, changes, logs, diagnosis, decisions, actions, verification."""
    report_ref: LocalRef | None = None
    plan_ref: LocalRef | None = None
    """The newest plan; older ones are superseded."""
    approval_ref: LocalRef | None = None
    cause: Line = ""
    action: Line = ""
    verdict: Verdict | None = None
    resolved_at: Time | None = None
    reopened: int = Field(default=0, ge=0)


class Incident(Resource):
    """One fault of one workload, node or volume: what was seen, why, what was done, and what came of it."""

    definition: ClassVar[Definition] = Definition(
        kind="Incident",
        plural="incidents",
        short="inc",
        columns=(
            Column(name="State", path=".status.state"),
            Column(name="Sev", path=".status.severity"),
            Column(name="Type", path=".spec.type"),
            Column(name="Target", path=".spec.target.name"),
            Column(name="Verdict", path=".status.verdict", wide=True),
            Column(name="Cause", path=".status.cause", wide=True),
            Column(name="Action", path=".status.action", wide=True),
            Column(name="Started", path=".spec.startedAt", type="date", wide=True),
            Column(name="Age", path=".metadata.creationTimestamp", type="date"),
        ),
        selectable=(".status.state", ".status.severity", ".spec.type"),
    )
    spec: IncidentSpec
    status: IncidentStatus = IncidentStatus()


IncidentName = Name
