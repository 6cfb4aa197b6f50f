"""``/rca``: why it happened."""

from __future__ import annotations

from analysis.contract.facts import Change, EventFact, IncidentFacts, NodeState, PodState, ServiceState, WorkloadState
from analysis.contract.message import Message
from crds.v1alpha1.base import Digest, Window
from crds.v1alpha1.rcareport import LogExcerpt, RecommendedAction, RootCause, SimilarIncident


class RcaRequest(Message):
    """Explain this incident. The API-side context comes along; metrics and logs are read by the server itself."""

    cluster: str = ""
    incident: IncidentFacts
    window: Window
    changes: tuple[Change, ...] = ()
    unread: tuple[str, ...] = ()
    """Resources, by plural, that the controller may not or could not read: of them nothing is known."""
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
    evidence_digest: Digest
