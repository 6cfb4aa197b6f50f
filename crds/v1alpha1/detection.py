"""What is seen of a fault, and what is expected of it: `status.detection` of an Incident."""

# ruff: noqa: RUF012  pydantic copies defaults, and the models are frozen

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from crds.v1alpha1.base import ApiModel, Line, Measure, Percent, Query, Severity, TargetRef, Time, Unit, Word


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
