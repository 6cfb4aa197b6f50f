"""What we read of services, endpoints, workloads and nodes: small typed records of the API server's objects. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controllers.kube.facts import Body, parse_time
from crds.v1alpha1.base import TargetRef

SILENCE_UNTIL, SILENCE_REASON = "iirp.io/silence-until", "iirp.io/silence-reason"
SERVICE_OF_SLICE = "kubernetes.io/service-name"
RELEASES = (
    ("annotations", "meta.helm.sh/release-name", "Helm release"),
    ("annotations", "argocd.argoproj.io/tracking-id", "Argo CD application"),
    ("labels", "kustomize.toolkit.fluxcd.io/name", "Flux Kustomization"),
    ("labels", "app.kubernetes.io/instance", "release"),
)
"""Where tools that roll out say what they rolled out, the surest first."""
JOB_OF_POD = "batch.kubernetes.io/job-name"
_RUN = re.compile(r"(?P<name>.+)-[0-9]{8}")
Labels = tuple[tuple[str, str], ...]


def cronjob_of(job: str) -> str:
    """The CronJob that made a Job of that name, or nothing: its controller names each run after its minute since 1970.

    An event about a Job does not say to whom the Job belongs.
    """
    run = _RUN.fullmatch(job)
    return run["name"] if run is not None else ""


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
    rolled_out_at: datetime | None = None
    """When its pod template was last written; None while it is as it was created."""
    release: str = ""
    """What it was installed by and is rolled out with: ``Helm release shop``."""
    config_maps: tuple[str, ...] = ()
    """Those that its pods take values or files from."""

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
        rolled_out_at=written_at(metadata, "f:template", within="f:spec"),
        release=_release(metadata),
        config_maps=tuple(sorted(config_maps_of(body))),
    )


def node_record(body: Body) -> NodeRecord:
    """Parse one Node."""
    cordoned = bool((body.get("spec") or {}).get("unschedulable"))
    return NodeRecord(*_head(body), cordoned=cordoned, conditions=_conditions(body.get("status") or {}))


def selects(selector: Labels, labels: Mapping[str, str]) -> bool:
    """Whether an equality selector picks these labels; an empty one picks nothing."""
    return bool(selector) and all(labels.get(name) == value for name, value in selector)


def config_maps_of(workload: Body) -> set[str]:
    """Names of the ConfigMaps that a workload's pods take values or files from."""
    spec = ((workload.get("spec") or {}).get("template") or {}).get("spec") or {}
    found: set[str] = set()
    for volume in spec.get("volumes") or ():
        parts = [volume, *((volume.get("projected") or {}).get("sources") or ())]
        found |= {str((part.get("configMap") or {}).get("name") or "") for part in parts}
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        found |= {str((one.get("configMapRef") or {}).get("name") or "") for one in container.get("envFrom") or ()}
        sources = (one.get("valueFrom") or {} for one in container.get("env") or ())
        found |= {str((one.get("configMapKeyRef") or {}).get("name") or "") for one in sources}
    return found - {""}


def written_at(metadata: Mapping[str, Any], *fields: str, within: str = "") -> datetime | None:
    """When one of the fields was last written after the object's creation, by its managed fields."""
    born, found = parse_time(metadata.get("creationTimestamp")), list[datetime]()
    for entry in metadata.get("managedFields") or ():
        owned = entry.get("fieldsV1") or {}
        owned = owned.get(within) or {} if within else owned
        at = parse_time(entry.get("time"))
        if at is not None and at != born and not entry.get("subresource") and any(field in owned for field in fields):
            found.append(at)
    return max(found, default=None)


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


def _release(metadata: Mapping[str, Any]) -> str:
    """Of an Argo CD tracking-id, ``application:group/kind:namespace/name``, the application is what is shared."""
    for field, key, words in RELEASES:
        name = str((metadata.get(field) or {}).get(key) or "").partition(":")[0]
        if name:
            return f"{words} {name}"[:200]
    return ""


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
