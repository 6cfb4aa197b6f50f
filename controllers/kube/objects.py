"""What we read of services, endpoints, workloads and nodes: small typed records of the API server's objects. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controllers.kube.facts import Body, parse_time
from crds.v1alpha1.base import TargetRef

SILENCE_UNTIL, SILENCE_REASON = "iirp.io/silence-until", "iirp.io/silence-reason"
SERVICE_OF_SLICE = "kubernetes.io/service-name"
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ConditionFact:
    """One condition of a status."""

    status: str
    reason: str = ""
    message: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What every object has. ``version`` is the resourceVersion, comparable within a kind."""

    namespace: str
    name: str
    uid: str
    version: int
    created_at: datetime | None
    deleting: bool
    silence: tuple[str, str] | None = None
    """Until when, as annotated, and why; None without the annotation."""


@dataclass(frozen=True, slots=True)
class ServiceRecord(Record):
    """A Service; one without a selector has its endpoints managed by somebody else."""

    selector: Labels = ()

    def target(self) -> TargetRef:
        """As the target of an incident."""
        return TargetRef(api_version="v1", kind="Service", namespace=self.namespace, name=self.name, uid=self.uid)


@dataclass(frozen=True, slots=True)
class SliceRecord(Record):
    """An EndpointSlice: how many addresses it has, and how many of them are ready."""

    service: str = ""
    addresses: int = 0
    ready: int = 0


@dataclass(frozen=True, slots=True)
class WorkloadRecord(Record):
    """A Deployment or StatefulSet."""

    kind: str = "Deployment"
    desired: int = 1
    ready: int = 0
    rolling_out: bool = False
    """Its controller has not finished with the newest template or scale."""
    labels: Labels = ()
    """Of its pod template."""
    conditions: tuple[tuple[str, ConditionFact], ...] = ()
    scaled_by: str = ""
    """Field manager that last set the replicas."""
    scaled_at: datetime | None = None

    def target(self) -> TargetRef:
        """As the target of an incident."""
        return TargetRef(kind=self.kind, namespace=self.namespace, name=self.name, uid=self.uid)

    def condition(self, name: str) -> ConditionFact | None:
        """One condition by its type."""
        return dict(self.conditions).get(name)


@dataclass(frozen=True, slots=True)
class NodeRecord(Record):
    """A Node."""

    cordoned: bool = False
    conditions: tuple[tuple[str, ConditionFact], ...] = ()

    def target(self) -> TargetRef:
        """As the target of an incident."""
        return TargetRef(api_version="v1", kind="Node", name=self.name, uid=self.uid)


def service_record(body: Body) -> ServiceRecord:
    """Parse one Service; tolerates every absent field, as all parsers here do."""
    return ServiceRecord(*_head(body), selector=_pairs((body.get("spec") or {}).get("selector")))


def slice_record(body: Body) -> SliceRecord:
    """Parse one EndpointSlice. An unknown readiness counts as ready, as the API has it."""
    endpoints = body.get("endpoints") or ()
    states = [(item.get("conditions") or {}).get("ready") for item in endpoints]
    service = (body["metadata"].get("labels") or {}).get(SERVICE_OF_SLICE, "")
    ready = sum(state is not False for state in states)
    return SliceRecord(*_head(body), service=service, addresses=len(states), ready=ready)


def workload_record(body: Body, kind: str) -> WorkloadRecord:
    """Parse one Deployment or StatefulSet."""
    metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    desired = spec.get("replicas")
    desired = 1 if desired is None else int(desired)
    updated = int(status.get("updatedReplicas") or 0)
    behind = int(status.get("observedGeneration") or 0) < int(metadata.get("generation") or 0)
    surplus = int(status.get("replicas") or 0) > updated
    scaled_by, scaled_at = _scaler(metadata.get("managedFields") or ())
    template = (spec.get("template") or {}).get("metadata") or {}
    return WorkloadRecord(
        *_head(body),
        kind=kind,
        desired=desired,
        ready=int(status.get("readyReplicas") or 0),
        rolling_out=behind or surplus or updated < desired,
        labels=_pairs(template.get("labels")),
        conditions=_conditions(status),
        scaled_by=scaled_by,
        scaled_at=scaled_at,
    )


def node_record(body: Body) -> NodeRecord:
    """Parse one Node."""
    cordoned = bool((body.get("spec") or {}).get("unschedulable"))
    return NodeRecord(*_head(body), cordoned=cordoned, conditions=_conditions(body.get("status") or {}))


def selects(selector: Labels, labels: Mapping[str, str]) -> bool:
    """Whether an equality selector picks these labels; an empty one picks nothing."""
    return bool(selector) and all(labels.get(name) == value for name, value in selector)


def record(body: Body) -> Record:
    """What every object has, for kinds of which nothing else matters."""
    return Record(*_head(body))


def _head(body: Body) -> tuple[str, str, str, int, datetime | None, bool, tuple[str, str] | None]:
    metadata = body["metadata"]
    annotations = metadata.get("annotations") or {}
    until, why = annotations.get(SILENCE_UNTIL), annotations.get(SILENCE_REASON) or ""
    return (
        metadata.get("namespace", ""),
        metadata["name"],
        metadata.get("uid", ""),
        int(metadata.get("resourceVersion") or 0),
        parse_time(metadata.get("creationTimestamp")),
        metadata.get("deletionTimestamp") is not None,
        None if until is None else (str(until)[:64], str(why)[:300]),
    )


def _pairs(labels: Mapping[str, str] | None) -> Labels:
    return tuple(sorted((labels or {}).items()))


def _conditions(status: Mapping[str, Any]) -> tuple[tuple[str, ConditionFact], ...]:
    return tuple(
        (
            str(item.get("type")),
            ConditionFact(
                status=str(item.get("status")),
                reason=str(item.get("reason") or ""),
                message=str(item.get("message") or "")[:512],
                since=parse_time(item.get("lastTransitionTime")),
            ),
        )
        for item in status.get("conditions") or ()
    )


def _scaler(entries: Iterable[Mapping[str, Any]]) -> tuple[str, datetime | None]:
    """Who owns ``spec.replicas``, and since when, by the newest entry of the managed fields."""
    owners = [
        (parse_time(entry.get("time")), str(entry.get("manager") or ""))
        for entry in entries
        if "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    ]
    known = [(at, manager) for at, manager in owners if at is not None]
    at, manager = max(known, default=(None, ""))
    return manager, at
