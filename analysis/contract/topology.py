"""What detection knows of the watched namespaces from the API server, and how it changed."""

from __future__ import annotations

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from analysis.contract.message import Message
from crds.v1alpha1.base import Digest, TargetRef


# No Message, because there are 250,000 of them in memory: with slots a pod takes a third of what one with a dict takes.
@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid", use_attribute_docstrings=True))
class PodFact:
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
    deleting: bool = False
    """It has been told to end."""


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

    digest: Digest
    pods: tuple[PodFact, ...]
    services: tuple[ServiceFact, ...] = ()
    nodes: tuple[NodeFact, ...] = ()
    """Empty when the controller may not see nodes."""


class TopologyChange(Message):
    """What became different since the topology with the digest ``base``: at 150,000 pods the whole is 40 MB."""

    base: str
    digest: Digest
    pods: tuple[PodFact, ...] = ()
    """New ones, and old ones that changed."""
    gone: tuple[str, ...] = ()
    """UIDs of pods."""
    services: tuple[ServiceFact, ...] | None = None
    """All of them; absent when none changed."""
    nodes: tuple[NodeFact, ...] | None = None
    """All of them; absent when none changed."""
