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
    Percent,
    Resource,
    Scope,
    Severity,
    TargetRef,
    Text,
    Time,
    Word,
)
from crds.v1alpha1.detection import DetectionStatus
from crds.v1alpha1.verification import Verdict

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
