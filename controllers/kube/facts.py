"""What we read of pods and workloads: pure functions from the API server's objects to small typed facts."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from analysis.contract import PodState
from crds.v1alpha1.base import TargetRef

Body = Mapping[str, Any]

_SUFFIXES: dict[str, Decimal | int] = {
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "Pi": 2**50,
    "Ei": 2**60,
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "P": 10**15,
    "E": 10**18,
}
_MAX_QUANTITY = Decimal(2**63)
"""As the API server has it. Beyond it, and for ``NaN`` and ``Infinity``, nothing is said."""

_ORDINARY = frozenset({"", "ContainerCreating", "PodInitializing"})
"""Reasons to wait that every pod has at its start."""


@dataclass(frozen=True, slots=True)
class ContainerState:
    """One container of a pod, as its status has it."""

    name: str
    restarts: int
    waiting_reason: str = ""
    waiting_message: str = ""
    ended_reason: str = ""
    """Of the last termination: the current one if it is not running, else the previous one."""
    ended_at: datetime | None = None
    exit_code: int | None = None
    running_since: datetime | None = None
    """None while it does not run."""


@dataclass(frozen=True, slots=True)
class PodRecord:
    """The part of a pod that we keep in memory: a few hundred bytes, whatever the pod's size."""

    namespace: str
    name: str
    uid: str
    version: int
    """resourceVersion; comparable within a kind."""
    owner: TargetRef | None
    node: str
    phase: str
    reason: str
    message: str
    started_at: datetime | None
    created_at: datetime | None
    ready: bool
    containers: tuple[str, ...]
    states: tuple[ContainerState, ...]
    memory_limit_bytes: int | None
    cpu_limit_cores: float | None
    images: tuple[str, ...] = ()
    """Of ``containers``, in their order."""
    unschedulable: str = ""
    """Why no node fits, while none does."""
    claims: tuple[str, ...] = ()
    """PersistentVolumeClaims that it mounts."""
    unscheduled_since: datetime | None = None
    """Since when the scheduler finds no node for it; None when it has one."""
    deleting: bool = False
    ready_changed_at: datetime | None = None
    """When it became ready, or ceased to be."""

    @property
    def terminal(self) -> bool:
        """Succeeded or failed: it will not run again."""
        return self.phase in ("Succeeded", "Failed")


def pod_record(body: Body) -> PodRecord:
    """Parse one Pod; tolerates every absent field."""
    metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    containers = spec.get("containers") or []
    conditions = {item.get("type"): item for item in status.get("conditions") or ()}
    scheduled, ready = conditions.get("PodScheduled") or {}, conditions.get("Ready") or {}
    return PodRecord(
        namespace=sys.intern(metadata.get("namespace", "")),
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        version=int(metadata.get("resourceVersion") or 0),
        owner=controller_of(body),
        node=sys.intern(spec.get("nodeName") or ""),
        phase=sys.intern(status.get("phase") or ""),
        reason=status.get("reason") or "",
        message=(status.get("message") or "")[:1024],
        started_at=parse_time(status.get("startTime")),
        created_at=parse_time(metadata.get("creationTimestamp")),
        ready=ready.get("status") == "True",
        containers=_shared(tuple(item["name"] for item in containers)),
        states=_states(status),
        memory_limit_bytes=_total_limit(containers, "memory"),
        cpu_limit_cores=_cpu(_total_limit_decimal(containers, "cpu")),
        images=_shared(tuple(str(item.get("image") or "") for item in containers)),
        unschedulable=(scheduled.get("message") or "no node fits")[:512] if _unscheduled(scheduled) else "",
        claims=_claims(metadata.get("namespace", ""), metadata["name"], spec.get("volumes") or ()),
        unscheduled_since=parse_time(scheduled.get("lastTransitionTime")) if _unscheduled(scheduled) else None,
        deleting=metadata.get("deletionTimestamp") is not None,
        ready_changed_at=parse_time(ready.get("lastTransitionTime")),
    )


def _states(status: Body) -> tuple[ContainerState, ...]:
    """The containers, and of the init containers those in trouble: one that ended well says nothing about the pod."""
    initial = [_container_state(item) for item in status.get("initContainerStatuses") or ()]
    troubled = [
        state for state in initial if state.restarts or state.exit_code or state.waiting_reason not in _ORDINARY
    ]
    return (*troubled, *(_container_state(item) for item in status.get("containerStatuses") or ()))


def _unscheduled(condition: Body) -> bool:
    """Whether the scheduler finds no node; a scheduling gate, which holds a pod back on purpose, has another reason."""
    return condition.get("status") == "False" and condition.get("reason") == "Unschedulable"


def _claims(namespace: str, pod: str, volumes: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Names of the claims behind a pod's volumes; an ephemeral volume's claim is named after pod and volume.

    The API server does not check them, so those that no claim can have are left out.
    """
    named = [(item.get("persistentVolumeClaim") or {}).get("claimName") for item in volumes]
    ephemeral = [f"{pod}-{item.get('name')}" for item in volumes if item.get("ephemeral")]
    names = {*(name for name in named if name), *ephemeral}
    return tuple(sorted(name for name in names if target_ref("v1", "PersistentVolumeClaim", namespace, name)))


def controller_of(body: Body) -> TargetRef | None:
    """The controlling owner, as a target; None for a bare (or static) pod."""
    metadata = body["metadata"]
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller") and owner.get("kind") != "Node":
            namespace = metadata.get("namespace", "")
            return target_ref(owner["apiVersion"], owner["kind"], namespace, owner["name"], owner.get("uid", ""))
    return None


@lru_cache(maxsize=65_536)
def target_ref(api_version: str, kind: str, namespace: str, name: str, uid: str = "") -> TargetRef | None:
    """One object for all pods of an owner: the pods of a large cluster are kept in memory.

    None for what no object can be called: the API server takes any text as the name of an owner, or of what an event is
    about, from whoever may create a pod or an event.
    """
    try:
        return TargetRef(api_version=api_version, kind=kind, namespace=namespace, name=name, uid=uid)
    except ValidationError:
        return None


@lru_cache(maxsize=16_384)
def _shared(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The same tuple for equal ones: pods of one template have the same containers and images."""
    return texts


def _ended_at(state: ContainerState) -> datetime:
    return state.ended_at or datetime.min.replace(tzinfo=UTC)


def pod_state(pod: PodRecord) -> PodState:
    """What rca tells the analysis server of a pod."""
    ended = max((state for state in pod.states if state.ended_at), key=_ended_at, default=None)
    waiting = next((state for state in pod.states if state.waiting_reason not in _ORDINARY), None)
    images = dict(zip(pod.containers, pod.images, strict=False))
    return PodState(
        name=pod.name,
        uid=pod.uid,
        node=pod.node,
        phase=pod.phase,
        ready=pod.ready,
        restarts=sum(state.restarts for state in pod.states),
        started_at=pod.started_at,
        last_termination_reason=ended.ended_reason if ended else "",
        last_termination_at=ended.ended_at if ended else None,
        exit_code=ended.exit_code if ended else None,
        waiting_reason=waiting.waiting_reason if waiting else "",
        waiting_message=waiting.waiting_message if waiting else "",
        image=images.get(waiting.name, "") if waiting else next(iter(pod.images), ""),
        unschedulable=pod.unschedulable,
        memory_limit_bytes=pod.memory_limit_bytes,
        cpu_limit_cores=pod.cpu_limit_cores,
    )


def parse_time(text: str | None) -> datetime | None:
    """RFC 3339, with or without a fraction; None for absent or unreadable."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def quantity(text: str | int | float | None) -> Decimal | None:
    """A Kubernetes quantity in its base unit: ``256Mi`` → 268435456, ``250m`` → 0.25. None when it is none."""
    if text is None:
        return None
    value = str(text)
    for suffix, factor in _SUFFIXES.items():
        if value.endswith(suffix):
            value, scale = value[: -len(suffix)], Decimal(factor)
            break
    else:
        scale = Decimal(1)
    try:
        found = Decimal(value) * scale
        return found if abs(found) < _MAX_QUANTITY else None
    except ArithmeticError:
        return None


def _container_state(item: Mapping[str, Any]) -> ContainerState:
    state, last = item.get("state") or {}, item.get("lastState") or {}
    waiting = state.get("waiting") or {}
    ended = state.get("terminated") or last.get("terminated") or {}
    return ContainerState(
        name=sys.intern(item.get("name", "")),
        restarts=int(item.get("restartCount") or 0),
        waiting_reason=waiting.get("reason") or "",
        waiting_message=(waiting.get("message") or "")[:512],
        ended_reason=ended.get("reason") or "",
        ended_at=parse_time(ended.get("finishedAt")),
        exit_code=ended.get("exitCode"),
        running_since=parse_time((state.get("running") or {}).get("startedAt")),
    )


def _total_limit_decimal(containers: list[dict[str, Any]], resource: str) -> Decimal | None:
    limits = [quantity(((item.get("resources") or {}).get("limits") or {}).get(resource)) for item in containers]
    known = [limit for limit in limits if limit is not None]
    return sum(known, Decimal(0)) if known and len(known) == len(limits) else None


def _total_limit(containers: list[dict[str, Any]], resource: str) -> int | None:
    total = _total_limit_decimal(containers, resource)
    return int(total) if total is not None else None


def _cpu(value: Decimal | None) -> float | None:
    return float(value) if value is not None else None
