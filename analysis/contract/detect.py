"""``/detect``: which faults are on now."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from analysis.contract.message import Message
from analysis.contract.topology import Topology, TopologyChange
from crds.v1alpha1.base import Scope, Severity, TargetRef
from crds.v1alpha1.detection import MetricEvidence, Prediction

Fingerprint = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
NEVER_ALONE = frozenset({"LevelShift", "LogBurst"})
"""Types of candidates that are evidence beside others: they open nothing, and group nothing, by themselves."""


class ApiSignal(Message):
    """A fault that the API server itself reports: an OOM kill, a failed pull, a Service without endpoints.

    Only what is not as it should be is sent, so a healthy cluster costs nothing, however large.
    """

    type: str
    reason: str = ""
    """Kind within the type: the reason of a Warning event, the pressure of a node."""
    target: TargetRef
    pod: str = ""
    container: str = ""
    at: datetime
    """When it happened; now for a state that holds."""
    since: datetime | None = None
    """When a state began, as far as it is known."""
    count: int = Field(default=1, ge=1)
    message: Annotated[str, StringConstraints(max_length=1024)] = ""


class OpenIncident(Message):
    """An Incident that is on, or ended so recently that it may reopen: what grouping must not tear apart."""

    uid: str
    fingerprint: Fingerprint
    type: str
    scope: Scope
    target: TargetRef
    severity: Severity
    started_at: datetime
    active: bool
    """False once detection has seen it end."""
    members: tuple[Fingerprint, ...] = ()
    """Signals that it holds already."""
    origin: TargetRef | None = None
    """What its signals pointed at before, where that is not ``target``."""


class SharedChange(Message):
    """A change of late that touched several workloads at once: what they show afterwards may be one fault."""

    what: Annotated[str, StringConstraints(max_length=300)]
    """In words: ``ConfigMap app-config written``."""
    at: datetime
    targets: Annotated[tuple[TargetRef, ...], Field(max_length=200)]


class DetectRequest(Message):
    """Asked every few seconds by the detection controller."""

    cluster: str
    topology_digest: str
    topology: Topology | None = None
    """Absent when unchanged. A server that does not know the digest answers 409 and is sent the whole."""
    change: TopologyChange | None = None
    """Instead of the whole, when the server is known to have had ``change.base``."""
    signals: tuple[ApiSignal, ...] = ()
    """API-side observations of the last 15 minutes."""
    incidents: tuple[OpenIncident, ...] = ()
    """The objects are the truth: a restarted server groups as the one before it did."""
    changes: tuple[SharedChange, ...] = ()
    """Of the last half hour, the newest."""


class Candidate(Message):
    """A fault that is on now, with everything that follows from it."""

    type: str
    scope: Scope
    target: TargetRef
    fingerprint: Fingerprint
    severity: Severity
    confidence_percent: int = Field(ge=0, le=100)
    rule: str
    rule_version: str = ""
    summary: str
    onset: datetime
    """When the fault began by the data."""
    last_seen: datetime
    predicted: bool = False
    prediction: Prediction | None = None
    metrics: tuple[MetricEvidence, ...] = ()
    events: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()
    count: int = Field(default=1, ge=1)
    observed: bool = True
    """False when it shows nothing itself (now): it is blamed for its ``signals``, or its Incident goes on with them."""
    impact: str = ""
    """What users feel of it, in words: the reason of the severity."""
    provisional: bool = False
    """All that is seen is what callers show for somebody else's fault, so who is at fault may change in a moment."""
    origin: TargetRef | None = None
    """What the signals together point at, where that is not ``target``."""
    signals: tuple[Candidate, ...] = ()
    """What else belongs to the fault, the most telling first. They have no signals of their own."""


class SourceHealth(Message):
    """Whether a source answers; shown as a condition and a metric, never hidden."""

    name: str
    address: str
    ok: bool
    message: str = ""
    newest_sample_age_seconds: float | None = None
    blinds: bool = True
    """Whether faults may go unseen while it is not ok, so that none counts as over."""


class DetectResponse(Message):
    """All candidates that are on now. A fault that is not listed is over, unless a source it needs is not ok."""

    evaluated_at: datetime
    candidates: tuple[Candidate, ...] = ()
    sources: tuple[SourceHealth, ...] = ()
