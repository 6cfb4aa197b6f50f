"""Requests and responses between the controllers and the analysis server.

This is all that controllers import of the analysis side, and it holds no behaviour beyond validation. Times are UTC;
measured values are floats here (this is not the Kubernetes API) with the unit named beside them.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actions import Action
from crds.v1alpha1.approval import Approval
from crds.v1alpha1.base import Scope, Severity, TargetRef, Window
from crds.v1alpha1.incident import Incident, MetricEvidence, Prediction, Verdict
from crds.v1alpha1.rcareport import LogExcerpt, RCAReport, RecommendedAction, RootCause, SimilarIncident

AUDIENCE = "iirp-external"
"""Audience of the ServiceAccount tokens that the external side accepts."""


class Message(BaseModel):
    """Base: immutable, unknown fields refused so that a version skew is seen at once."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class PodFact(Message):
    """What detection knows of one pod from the API server."""

    namespace: str
    name: str
    uid: str
    workload: TargetRef
    """The owning Deployment, StatefulSet, DaemonSet or Job; the pod itself if it has no owner."""
    node: str = ""
    containers: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    """Names of the PersistentVolumeClaims that it mounts."""


class ServiceFact(Message):
    """A Service and the workloads whose pods its selector picks."""

    namespace: str
    name: str
    uid: str
    workloads: tuple[TargetRef, ...] = ()


class NodeFact(Message):
    """One node of the cluster."""

    name: str
    uid: str


class Topology(Message):
    """All pods of the watched namespaces. Sent once per change; afterwards only its digest is."""

    digest: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
    pods: tuple[PodFact, ...]
    services: tuple[ServiceFact, ...] = ()
    nodes: tuple[NodeFact, ...] = ()
    """Empty when the controller may not see nodes."""


class TopologyChange(Message):
    """What became different since the topology with the digest ``base``: at 150,000 pods the whole is 40 MB."""

    base: str
    digest: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
    pods: tuple[PodFact, ...] = ()
    """New ones, and old ones that changed."""
    gone: tuple[str, ...] = ()
    """UIDs of pods."""
    services: tuple[ServiceFact, ...] | None = None
    """All of them; absent when none changed."""
    nodes: tuple[NodeFact, ...] | None = None
    """All of them; absent when none changed."""


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


Fingerprint = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


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


class ChangeKind(StrEnum):
    """What changed."""

    ROLLOUT = "Rollout"
    SCALE = "Scale"
    CONFIG = "Config"
    SERVICE = "Service"
    NODE = "Node"
    QUOTA = "Quota"
    NETWORK_POLICY = "NetworkPolicy"


class Change(Message):
    """One change of a workload or what it depends on, from the API server's own record."""

    kind: ChangeKind
    at: datetime
    target: TargetRef
    revision: str = ""
    actor: str = ""
    """Field manager that made it."""
    summary: str
    """For example ``image v1.8 -> v1.9, env CACHE_SIZE added``. Never values of Secrets."""
    reference: str = ""
    """API path of the object that records it."""
    previous_revision: str = ""
    """Of a rollout: the revision before it."""
    previous_reference: str = ""
    """API path of the object that records that one."""


class EventFact(Message):
    """One Kubernetes event, counted."""

    at: datetime
    type: str
    reason: str
    message: Annotated[str, StringConstraints(max_length=1024)]
    object: str
    count: int = 1
    reference: str = ""


class PodState(Message):
    """State of one pod of the affected workload at request time."""

    name: str
    uid: str
    node: str
    phase: str
    ready: bool
    restarts: int
    started_at: datetime | None = None
    last_termination_reason: str = ""
    last_termination_at: datetime | None = None
    exit_code: int | None = None
    """Of the last termination."""
    waiting_reason: str = ""
    """Of the first container that cannot start: ImagePullBackOff, CrashLoopBackOff, CreateContainerConfigError…"""
    waiting_message: Annotated[str, StringConstraints(max_length=512)] = ""
    image: str = ""
    """Of that container, else of the first one."""
    unschedulable: Annotated[str, StringConstraints(max_length=512)] = ""
    """Why no node fits, while none does."""
    revision: str = ""
    """Name of the ReplicaSet that it belongs to, if any."""
    memory_limit_bytes: int | None = None
    cpu_limit_cores: float | None = None


class WorkloadState(Message):
    """A workload of the incident's namespace at request time."""

    target: TargetRef
    replicas: int | None = None
    """Wanted; None for a DaemonSet."""
    ready: int = 0
    paused: bool = False
    claims: tuple[str, ...] = ()
    """Names of the PersistentVolumeClaims that its pods mount."""


class ServiceState(Message):
    """A Service of the incident's namespace at request time."""

    name: str
    selector: Annotated[str, StringConstraints(max_length=512)] = ""
    """``app=payments,tier=api``; empty for a Service whose endpoints somebody else writes."""
    ready: int = 0
    """Ready endpoints."""
    not_ready: int = 0
    matches: tuple[TargetRef, ...] = ()
    """Workloads whose pod template the selector matches."""
    unserved: Annotated[str, StringConstraints(max_length=300)] = ""
    """Its first port that leads to none that these pods declare, in words."""
    changed_at: datetime | None = None
    """When selector or ports were last written, by managedFields."""
    changed_by: str = ""
    reference: str = ""


class NodeState(Message):
    """A node that pods of the incident run on."""

    name: str
    ready: bool
    problems: tuple[str, ...] = ()
    """``MemoryPressure since 14:02:11: …``, at most eight."""
    since: datetime | None = None
    """When the first of them began."""


class IncidentFacts(Message):
    """What the analysis server needs to know of an incident."""

    name: str
    namespace: str
    uid: str
    type: str
    scope: Scope
    target: TargetRef
    severity: Severity
    started_at: datetime
    detected_at: datetime
    prediction: Prediction | None = None
    fingerprint: Annotated[str, StringConstraints(max_length=16)] = ""
    signals: tuple[str, ...] = ()
    """Types of all signals that were merged into it; ``type`` is the leading one."""
    origin: TargetRef | None = None
    """What its signals together point at, where that is not ``target``: the deepest of what failed."""


class RcaRequest(Message):
    """Explain this incident. The API-side context comes along; metrics and logs are read by the server itself."""

    cluster: str = ""

    incident: IncidentFacts
    window: Window
    changes: tuple[Change, ...] = ()
    events: tuple[EventFact, ...] = ()
    """Of the target, its pods and ReplicaSets."""
    neighbour_events: tuple[EventFact, ...] = ()
    """Warnings and scalings of the namespace's other objects."""
    pods: tuple[PodState, ...] = ()
    replicas: int | None = None
    workloads: tuple[WorkloadState, ...] = ()
    """All of the namespace, so that a cause can be named that lies in another one."""
    services: tuple[ServiceState, ...] = ()
    nodes: tuple[NodeState, ...] = ()


class RcaResponse(Message):
    """Ranked causes, best first, refuted ones last; byte-identical for identical inputs and data."""

    root_causes: tuple[RootCause, ...]
    recommended_actions: tuple[RecommendedAction, ...] = ()
    method: str
    model: str = ""
    degraded_reason: str = ""
    """Set when a model is configured and could not be used."""
    logs: tuple[LogExcerpt, ...] = ()
    """What the logs say since the onset, most telling first."""
    similar: tuple[SimilarIncident, ...] = ()
    """Of the same namespace, from the history, most alike first."""
    missing_data: tuple[str, ...] = ()
    window: Window | None = None
    """Over which the queries of the causes were run."""
    evidence_digest: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


class HistoryRecord(Message):
    """An incident's chain as it is now, for the history. Sending it again changes nothing."""

    cluster: str
    incident: Incident
    reports: tuple[RCAReport, ...] = ()
    plans: tuple[ActionPlan, ...] = ()
    approvals: tuple[Approval, ...] = ()


class HistoryAnswer(Message):
    """Whether the history keeps it; False where none is configured, and then nobody need send more."""

    kept: bool


class VerifyRequest(Message):
    """Did these actions help? Asked repeatedly until ``verdict`` is set or the window is over."""

    incident: IncidentFacts
    actions: tuple[Action, ...]
    executed_at: datetime
    """When the last action had finished (rollout complete)."""
    window: Window
    """From ``executed_at`` to the end of the verification."""
    final: bool = False
    """True at the end of the window: answer ``Inconclusive`` rather than nothing."""


class MeasuredChange(Message):
    """A quantity before and after, beside its control."""

    name: str
    query: str
    unit: str
    before: float
    after: float
    control_before: float | None = None
    control_after: float | None = None


class VerifyResponse(Message):
    """``verdict`` is None while the data do not suffice yet and the window still runs."""

    verdict: Verdict | None
    reason: str
    message: str
    measurements: tuple[MeasuredChange, ...] = ()


class Problem(Message):
    """RFC 9457 problem details: what every error answer of the analysis server looks like."""

    title: str
    status: int
    detail: str = ""
    extra: dict[str, Any] = Field(default_factory=dict)
