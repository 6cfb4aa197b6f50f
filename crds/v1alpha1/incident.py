"""Incident: one fault, whatever number of signals it raised."""

# ruff: noqa: RUF012  pydantic copies defaults, and the models are frozen

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
    Percent,
    Query,
    Resource,
    Scope,
    Severity,
    TargetRef,
    Text,
    Time,
    Unit,
    Word,
)

_IMMUTABLE = "spec.{} is immutable; people change spec.override only"


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
    """Name of the rule or model."""
    version: Annotated[str, StringConstraints(max_length=64)] = ""
    """Its version, so that the detection can be repeated."""
    confidence_percent: Percent
    """How sure it was, 0..100."""


class Override(ApiModel):
    """What a person may change after the fact."""

    severity: Severity | None = None
    """Replaces what detection said."""
    acknowledged: bool = False
    """Somebody has seen it and is on it."""
    closed: bool = False
    """True ends the incident as ``Closed``; no further action is planned."""
    note: Text = ""
    """Free text of the person; part of the record."""


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
    """When it was noticed."""
    detected_by: DetectedBy
    severity: Severity
    """As detection first judged it; ``override.severity`` replaces it."""
    predicted: bool = False
    """True when the harm (an OOM kill, a full disk) has not happened yet."""
    summary: Line = ""
    """The fault in one line."""
    override: Override | None = None

    cel_rules: ClassVar[tuple[tuple[str, str], ...]] = (
        *(
            (f"self.{name} == oldSelf.{name}", _IMMUTABLE.format(name))
            for name in ("fingerprint", "type", "scope", "target", "startedAt", "detectedAt", "detectedBy", "severity")
        ),
        *(
            (
                f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})",
                _IMMUTABLE.format(name),
            )
            for name in ("predicted", "summary")
        ),
    )


class MetricEvidence(ApiModel):
    """The numbers that fired, with the query that shows them."""

    query: Query
    """PromQL to run again."""
    summary: Line
    """What the numbers say, in words."""
    value: Measure
    """The number that fired, as a decimal string."""
    unit: Unit = ""
    """Unit of the value."""


class Signal(ApiModel):
    """One observation that belongs to this incident; repeats are counted."""

    type: Word
    """Kind of fault, as in ``spec.type``."""
    rule: Annotated[str, StringConstraints(max_length=128)]
    """Rule or model that raised it."""
    target: TargetRef
    first_seen_at: Time
    """Onset by the data."""
    last_seen_at: Time
    """Last time it was seen."""
    count: int = Field(default=1, ge=1)
    """How many observations were merged into this one."""
    confidence_percent: Percent = 0
    """How sure the rule was, 0..100."""
    metrics: Annotated[list[MetricEvidence], Field(max_length=2)] = []
    """The numbers behind it."""
    events: Annotated[list[Line], Field(max_length=4)] = []
    """Kubernetes events and pod states behind it."""


class Member(ApiModel):
    """A signal that was merged into this incident, in short."""

    fingerprint: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    """Hash of its type, scope and target."""
    type: Word
    """Kind of fault, as in ``spec.type``."""
    target: Annotated[str, StringConstraints(max_length=120)]
    """What shows it, for example deploy/checkout."""
    since: Time
    """Onset by the data."""
    count: int = Field(default=1, ge=1)
    """How many observations."""


class Prediction(ApiModel):
    """When the harm is expected, with an interval."""

    resource: Annotated[str, StringConstraints(max_length=64)]
    """What runs out, for example memory."""
    limit: Measure
    """The limit that is reached then."""
    unit: Unit
    """Unit of the limit."""
    expected_at: Time
    """Best estimate."""
    earliest_at: Time
    """Lower end of the interval."""
    latest_at: Time
    """Upper end of the interval."""


class DetectionStatus(ApiModel):
    """Written by the detection controller while the fault is seen."""

    active: bool
    """False once the signals have been absent for the rule's hold time."""
    last_seen_at: Time
    """Last time that any of its signals was seen."""
    severity: Severity
    """The worst so far."""
    impact: Line = ""
    """What users feel of it: why it is that severe."""
    signals: Annotated[list[Signal], Field(max_length=6)] = []
    """What was observed, merged by type, rule and target: the most telling, with their evidence."""
    members: Annotated[list[Member], Field(max_length=24)] = []
    """Everything that was merged into this incident, in short: it opens no incident of its own."""
    merged: int = Field(default=1, ge=0)
    """How many signals of different type, rule or target are seen now, also those that have no room here."""
    origin: TargetRef | None = None
    """What the signals together point at, where that is not the target: the deepest of what failed."""
    prediction: Prediction | None = None
    affected: Annotated[list[TargetRef], Field(max_length=8)] = []
    """Pods and workloads that show the fault."""


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
    """When it happened, by the data where the data say so."""
    source: TimelineSource
    actor: Annotated[str, StringConstraints(max_length=128)] = ""
    """Who or what did it: a username, a controller, a rule."""
    message: Line
    """What happened, in one line."""
    reference: Line = ""
    """Object, revision, metric or query that shows it."""


class IncidentStatus(ApiModel):
    """``detection`` is written by the detection controller, everything else by the incident controller."""

    state: IncidentState | None = None
    """Where the incident stands; ``conditions`` say why."""
    severity: Severity | None = None
    """The person's override, else the worst that detection has seen."""
    observed_generation: int | None = None
    """Generation of the spec that this status speaks of."""
    conditions: Annotated[list[Condition], Field(max_length=12)] = []
    """Detected, Diagnosed, Planned, Approved, Remediated, Verified, Resolved, Escalated."""
    detection: DetectionStatus | None = None
    timeline: Annotated[list[TimelineEntry], Field(max_length=48)] = []
    """What happened, oldest first: signals, changes, logs, diagnosis, decisions, actions, verification."""
    report_ref: LocalRef | None = None
    """The RCAReport."""
    plan_ref: LocalRef | None = None
    """The newest plan; older ones are superseded."""
    approval_ref: LocalRef | None = None
    """The newest plan's Approval."""
    cause: Line = ""
    """Most likely cause, in one line."""
    action: Line = ""
    """What was proposed or done, in one line."""
    verdict: Verdict | None = None
    """What became of the action."""
    forecast: Annotated[str, StringConstraints(max_length=16)] = ""
    """What became of a prediction: Open, CameTrue, Prevented or NotTrue; empty where none was made."""
    resolved_at: Time | None = None
    """When it ended."""
    reopened: int = Field(default=0, ge=0)
    """How often it came back within its reopen window."""


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
            Column(
                name="Started",
                path=".spec.startedAt",
                wide=True,
                description="RFC 3339, as a reader of tables sorts it.",
            ),
            Column(
                name="Where", path=".metadata.namespace", wide=True, description="Namespace, for readers of tables."
            ),
            Column(name="Age", path=".metadata.creationTimestamp", type="date"),
        ),
        selectable=(".status.state", ".status.severity", ".spec.type"),
    )
    spec: IncidentSpec
    status: IncidentStatus = IncidentStatus()
