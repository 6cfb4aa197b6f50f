"""RCAReport: ranked root causes of one incident, each with evidence that anyone can re-run."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from crds.v1alpha1.actions import Action
from crds.v1alpha1.base import (
    ApiModel,
    Column,
    Condition,
    Definition,
    Digest,
    Line,
    LocalRef,
    Percent,
    Query,
    Resource,
    TargetRef,
    Text,
    Time,
    Window,
    Word,
)

ShortId = Annotated[str, StringConstraints(max_length=32, pattern=r"^[a-z0-9-]+$")]


class ReportState(StrEnum):
    """``Degraded``: complete, but the model could not be used; ``Unresolved``: no hypothesis stood."""

    PENDING = "Pending"
    COMPLETE = "Complete"
    DEGRADED = "Degraded"
    UNRESOLVED = "Unresolved"
    FAILED = "Failed"


class EvidenceKind(StrEnum):
    """Where evidence comes from."""

    METRIC = "Metric"
    LOG = "Log"
    CHANGE = "Change"
    EVENT = "Event"
    STATUS = "Status"


class Evidence(ApiModel):
    """One observation for or against a hypothesis."""

    id: ShortId
    kind: EvidenceKind
    summary: Line
    at: Time | None = None
    """When it happened, where that is one moment; it then stands in the incident's timeline."""
    query: Query = ""
    """PromQL, LogQL or API path that shows it."""
    window: Window | None = None
    result_digest: Digest | None = None
    """SHA-256 of the canonical result when it was run."""


class Refuter(ApiModel):
    """A query that would have refuted the hypothesis, and what it said."""

    summary: Line
    query: Query = ""
    refuted: bool
    result: Line = ""


class RootCause(ApiModel):
    """One hypothesis. ``confidencePercent`` is set by code, never by a model."""

    id: ShortId
    kind: Word
    """Cause kind from the catalogue, for example MemoryLeak, BadRollout."""
    summary: Line
    explanation: Text = ""
    target: TargetRef
    confidence_percent: Percent
    refuted: bool = False
    source: Annotated[str, StringConstraints(pattern=r"^(Deterministic|Model)$")] = "Deterministic"
    evidence: Annotated[list[Evidence], Field(max_length=12)] = []
    refuters: Annotated[list[Refuter], Field(max_length=6)] = []


class RecommendedAction(ApiModel):
    """A typed action that would address a cause."""

    cause_id: ShortId
    action: Action
    why: Line
    confidence_percent: Percent


class RCAReportSpec(ApiModel):
    """What is asked: explain this incident over this window. Immutable."""

    incident_ref: LocalRef
    window: Window

    cel_rules: ClassVar[tuple[tuple[str, str], ...]] = (("self == oldSelf", "spec is immutable; create a new RCAReport"),)


class RCAReportStatus(ApiModel):
    """Written by the rca controller."""

    state: ReportState | None = None
    observed_generation: int | None = None
    conditions: Annotated[list[Condition], Field(max_length=8)] = []
    cause: Line = ""
    """Summary of the first cause that is not refuted."""
    confidence_percent: Percent | None = None
    root_causes: Annotated[list[RootCause], Field(max_length=8)] = []
    recommended_actions: Annotated[list[RecommendedAction], Field(max_length=4)] = []
    method: Annotated[str, StringConstraints(max_length=64)] = ""
    """``deterministic`` or ``deterministic+model``."""
    model: Annotated[str, StringConstraints(max_length=128)] = ""
    degraded_reason: Line = ""
    missing_data: Annotated[list[Line], Field(max_length=8)] = []
    """Sources that could not be read; each lowers the confidence."""
    evidence_digest: Digest | None = None
    completed_at: Time | None = None


class RCAReport(Resource):
    """Why an incident happened: ranked hypotheses with evidence, refuters and recommended actions."""

    definition: ClassVar[Definition] = Definition(
        kind="RCAReport",
        plural="rcareports",
        short="rcar",
        columns=(
            Column(name="State", path=".status.state"),
            Column(name="Cause", path=".status.cause"),
            Column(name="Conf", path=".status.confidencePercent", type="integer"),
            Column(name="Method", path=".status.method", wide=True),
            Column(name="Model", path=".status.model", wide=True),
            Column(name="Age", path=".metadata.creationTimestamp", type="date"),
        ),
        selectable=(".status.state",),
    )
    spec: RCAReportSpec
    status: RCAReportStatus = RCAReportStatus()
