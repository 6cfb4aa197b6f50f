"""The revisions of a workload: ReplicaSets of a Deployment, ControllerRevisions of a StatefulSet or DaemonSet. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel

from controllers.kube.facts import controller_of, parse_time
from controllers.kube.resources import REPLICASETS, REVISIONS, ResourceType
from crds.v1alpha1 import rollout

Body = Mapping[str, Any]

KEPT_IN: Final[Mapping[str, ResourceType]] = {
    "Deployment": REPLICASETS,
    "StatefulSet": REVISIONS,
    "DaemonSet": REVISIONS,
}
"""Where Kubernetes keeps the revisions of a kind of workload."""
POD_REVISION = "controller-revision-hash"
"""Label of pods: a StatefulSet's holds the name of the ControllerRevision, a DaemonSet's the end of it."""


@dataclass(frozen=True)
class Revision:
    """One pod template that a workload has or had."""

    number: int
    name: str
    """Of the object that keeps it."""
    created: datetime
    template: Mapping[str, Any]
    numbered: datetime | None = None
    """When it got this number, of a ControllerRevision: a rollback gives a new one to what has that template."""


def revisions_of(kind: str, kept: Iterable[Body]) -> list[Revision]:
    """Revisions of one workload, oldest number first; what holds none is left out."""
    read = _replica_set if KEPT_IN[kind] is REPLICASETS else _controller_revision
    found = (one for body in kept if (one := read(body)) is not None)
    return sorted(found, key=lambda one: one.number)


def revision_of(pod: Body) -> str:
    """Name of the object that keeps the template a pod was made from; empty where its labels do not tell."""
    owner = controller_of(pod)
    if owner is None or owner.kind == "ReplicaSet":
        return owner.name if owner is not None else ""
    label = str((pod["metadata"].get("labels") or {}).get(POD_REVISION, ""))
    return f"{owner.name}-{label}" if label and owner.kind == "DaemonSet" else label


def _replica_set(body: Body) -> Revision | None:
    metadata = body["metadata"]
    number, created = rollout.revision(body), parse_time(metadata.get("creationTimestamp"))
    if not number or created is None:
        return None
    return Revision(number, metadata["name"], created, (body.get("spec") or {}).get("template") or {})


def _controller_revision(body: Body) -> Revision | None:
    metadata = body["metadata"]
    number = rollout.revision_number(str(body.get("revision", "")))
    created, template = parse_time(metadata.get("creationTimestamp")), _template(body.get("data"))
    if not number or created is None or template is None:
        return None
    return Revision(number, metadata["name"], created, template, _numbered(metadata))


def _numbered(metadata: Body) -> datetime | None:
    entries = (one for one in metadata.get("managedFields") or () if "f:revision" in (one.get("fieldsV1") or {}))
    return max((at for one in entries if (at := parse_time(one.get("time"))) is not None), default=None)


class _Variable(BaseModel):
    name: str


class _Resources(BaseModel):
    limits: dict[str, Any] | None = None
    requests: dict[str, Any] | None = None


class _Container(BaseModel):
    name: str
    image: str = ""
    env: list[_Variable] | None = None
    resources: _Resources | None = None


class _PodSpec(BaseModel, alias_generator=to_camel):
    init_containers: list[_Container] | None = None
    containers: list[_Container]


class _Metadata(BaseModel):
    annotations: dict[str, str] | None = None


class _Template(BaseModel):
    metadata: _Metadata | None = None
    spec: _PodSpec


class _Spec(BaseModel):
    template: _Template


class _Data(BaseModel):
    spec: _Spec


def _template(data: Any) -> Mapping[str, Any] | None:
    """The pod template in the ``data`` of a ControllerRevision; None where there is none.

    The API server takes anything as ``data``, also of what only says that a StatefulSet owns it.
    """
    try:
        _Data.model_validate(data)
    except ValidationError:
        return None
    template: Mapping[str, Any] = data["spec"]["template"]
    return template
