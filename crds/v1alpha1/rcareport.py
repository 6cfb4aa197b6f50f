"""RCAReport: ranked root causes of one incident, each with evidence that anyone can re-run."""

# ruff: noqa: RUF012  pydantic copies defaults, and the models are frozen

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
    Measure,
    Name,
    Percent,
    Resource,
    TargetRef,
    Text,
    Time,
    Window,
    Word,
)

MAX_QUERY_CHARS = 640
"""Of a query in a report; a longer one is left out, so that the object stays small."""
UNRESOLVED_BELOW = 15
"""Percent. A guess that is less likely than this is no diagnosis; it stays in the report, for people to look at."""
ReportQuery = Annotated[str, StringConstraints(max_length=MAX_QUERY_CHARS)]
"""PromQL, LogQL or an API path, complete enough to be run again."""
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


class QueryResult(ApiModel):
    """What a query returned when it was run for the report, so that a later run can be held against it."""

    series: int = Field(ge=0)
    """Series of a metric query."""
    samples: int = Field(ge=0)
    """Values of a metric query; lines that a log query found."""
    lowest: Measure = "NaN"
    """Lowest value."""
    highest: Measure = "NaN"
    """Highest value."""
    last: Measure = "NaN"
    """Sum over all series of each one's last value."""
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    """First 16 hex digits of the SHA-256 of the canonical result."""


class Evidence(ApiModel):
    """One observation for or against a hypothesis."""

    id: ShortId
    """Unique within the report; the explanation cites it."""
    kind: EvidenceKind
    summary: Line
    """What was observed, in one line."""
    at: Time | None = None
    """When it happened, where that is one moment; it then stands in the incident's timeline."""
    query: ReportQuery = ""
    """PromQL, LogQL or API path that shows it."""
    window: Window | None = None
    """Over which the query was run."""
    result_digest: Digest | None = None
    """SHA-256 of what the platform concluded from."""
    ran: QueryResult | None = None
    """What the query itself returned; ``iirp rca verify`` runs it again."""


class Refuter(ApiModel):
    """A query that would have refuted the hypothesis, and what it said."""

    summary: Line
    """What would have refuted it, in words."""
    query: ReportQuery = ""
    """PromQL, LogQL or API path to run again."""
    refuted: bool
    """True if it did."""
    result: Line = ""
    """What the query said."""
    ran: QueryResult | None = None
    """What the query itself returned; ``iirp rca verify`` runs it again."""


class RootCause(ApiModel):
    """One hypothesis. ``confidencePercent`` is set by code, never by a model."""

    id: ShortId
    """Unique within the report."""
    kind: Word
    """Cause kind from the catalogue, for example MemoryLeak, BadRollout."""
    summary: Line
    """The cause in one line."""
    explanation: Text = ""
    """How the evidence hangs together; cites evidence by id."""
    target: TargetRef
    confidence_percent: Percent
    """0..100, computed from the evidence by code."""
    refuted: bool = False
    """A refuted hypothesis is kept, marked, and ranked below."""
    source: Annotated[str, StringConstraints(pattern=r"^(Deterministic|Model)$")] = "Deterministic"
    """Who proposed it: Deterministic (rules) or Model."""
    evidence: Annotated[list[Evidence], Field(max_length=4)] = []
    """What speaks for it."""
    refuters: Annotated[list[Refuter], Field(max_length=4)] = []
    """What would have spoken against it, and whether it did."""


class RecommendedAction(ApiModel):
    """A typed action that would address a cause."""

    cause_id: ShortId
    """The root cause that it addresses."""
    action: Action
    why: Line
    """Why it should help."""
    confidence_percent: Percent
    """0..100, computed by code."""


class SimilarIncident(ApiModel):
    """An earlier incident that was alike, and what became of it."""

    name: Name
    """Name of the Incident, which may be gone; the history still has it."""
    started_at: Time
    """Its onset."""
    why: Line
    """In what they are alike."""
    cause: Line = ""
    """What its cause was said to be."""
    outcome: Line = ""
    """What was done, and the verdict."""


class LogMark(StrEnum):
    """How often a kind of log record comes since the onset, against the hours before it."""

    NEW = "New"
    BURSTING = "Bursting"
    VANISHED = "Vanished"
    USUAL = "Usual"


class LogExcerpt(ApiModel):
    """A kind of log record that tells something, with one example."""

    id: ShortId
    """Of the example's line: ``iirp rca line`` finds it again in Loki."""
    mark: LogMark
    """Against the hours before the onset."""
    template: Annotated[str, StringConstraints(max_length=160)]
    """The kind: what varies is ``<*>``."""
    count: int = Field(ge=0)
    """Records since the onset; an estimate where not all were read."""
    before: int = Field(ge=0)
    """Records in the hours before it."""
    first_at: Time
    """First one since the onset; of what vanished, before it."""
    last_at: Time
    """Last one."""
    example: Annotated[str, StringConstraints(max_length=700)]
    """The record, stack traces with it; secrets are removed, and of a long one the middle."""
    pod: Annotated[str, StringConstraints(max_length=253)] = ""
    """Pod that wrote the example."""
    pods: int = Field(default=0, ge=0)
    """Pods that wrote such records."""
    query: ReportQuery = ""
    """LogQL that finds them all."""


class RCAReportSpec(ApiModel):
    """What is asked: explain this incident over this window. Immutable."""

    incident_ref: LocalRef
    """The incident to explain."""
    window: Window
    """The time to look at."""

    cel_rules: ClassVar[tuple[tuple[str, str], ...]] = (
        ("self == oldSelf", "spec is immutable; create a new RCAReport"),
    )


class RCAReportStatus(ApiModel):
    """Written by the rca controller."""

    state: ReportState | None = None
    """Where the diagnosis stands."""
    observed_generation: int | None = None
    """Generation of the spec that this status speaks of."""
    conditions: Annotated[list[Condition], Field(max_length=4)] = []
    """Complete, Degraded, and what is being waited for."""
    cause: Line = ""
    """Summary of the first cause that is not refuted."""
    cause_kind: Word | None = None
    """Kind of that cause; absent when the report is ``Unresolved``."""
    confidence_percent: Percent | None = None
    """Confidence of that cause, 0..100."""
    root_causes: Annotated[list[RootCause], Field(max_length=5)] = []
    """Hypotheses, best first, refuted ones last."""
    recommended_actions: Annotated[list[RecommendedAction], Field(max_length=4)] = []
    """What would help, best first."""
    logs: Annotated[list[LogExcerpt], Field(max_length=4)] = []
    """What the logs say since the onset, most telling first."""
    similar: Annotated[list[SimilarIncident], Field(max_length=3)] = []
    """Earlier incidents of this namespace that were alike, from the history."""
    method: Annotated[str, StringConstraints(max_length=64)] = ""
    """``deterministic`` or ``deterministic+model``."""
    model: Annotated[str, StringConstraints(max_length=128)] = ""
    """Name and version of the model, if one took part."""
    degraded_reason: Line = ""
    """Why the model could not be used."""
    missing_data: Annotated[list[Line], Field(max_length=6)] = []
    """Sources that could not be read; each lowers the confidence."""
    window: Window | None = None
    """What was looked at: the queries of evidence and refuters were run over it."""
    evidence_digest: Digest | None = None
    """SHA-256 over all evidence."""
    completed_at: Time | None = None
    """When the diagnosis was done."""

    def first_cause(self) -> RootCause | None:
        """The cause that the report stands for; None while there is none and when it is ``Unresolved``."""
        if self.state == ReportState.UNRESOLVED:
            return None
        return next((one for one in self.root_causes if not one.refuted), None)


class RCAReport(Resource):
    """Why an incident happened: ranked hypotheses with evidence, refuters and recommended actions."""

    definition: ClassVar[Definition] = Definition(
        kind="RCAReport",
        plural="rcareports",
        short="rcar",
        columns=(
            Column(name="State", path=".status.state"),
            Column(name="Cause", path=".status.causeKind"),
            Column(name="Conf", path=".status.confidencePercent", type="integer"),
            Column(name="Summary", path=".status.cause", wide=True),
            Column(name="Method", path=".status.method", wide=True),
            Column(name="Model", path=".status.model", wide=True),
            Column(name="Age", path=".metadata.creationTimestamp", type="date"),
        ),
        selectable=(".status.state",),
    )
    spec: RCAReportSpec
    status: RCAReportStatus = RCAReportStatus()
