"""An incident and its surroundings as the API server shows them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import StringConstraints

from analysis.contract.message import Message
from crds.v1alpha1.base import Scope, Severity, TargetRef
from crds.v1alpha1.detection import Prediction


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
    """Name of the ReplicaSet or ControllerRevision that it was made from, if any."""
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
    rules: tuple[str, ...] = ()
    """Names of the rules that raised the signals of this type at the target."""
    origin: TargetRef | None = None
    """What its signals together point at, where that is not ``target``: the deepest of what failed."""
