"""Gathers what the API server knows of an incident's workload; what cannot be read is named, not left out silently."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analysis.contract import Change, EventFact, NodeState, PodState, ServiceState, WorkloadState
from controllers.kube.api import Kube, Raw
from controllers.kube.errors import Forbidden, NotFound
from controllers.kube.facts import controller_of, pod_record, pod_state
from controllers.kube.objects import JOB_OF_POD, config_maps_of, cronjob_of
from controllers.kube.resources import (
    CONFIG_MAPS,
    CORE_EVENTS,
    ENDPOINT_SLICES,
    NETWORK_POLICIES,
    NODES,
    PODS,
    QUOTAS,
    SERVICES,
    ResourceType,
)
from controllers.rca.changes import all_changes
from controllers.rca.dependencies import (
    MAX_CONFIG_MAPS,
    config_changes,
    node_changes,
    policy_changes,
    quota_changes,
)
from controllers.rca.events import event_facts, job_of
from controllers.rca.revisions import KEPT_IN, revision_of
from controllers.rca.surroundings import (
    MAX_WORKLOADS,
    WORKLOADS,
    Workload,
    node_state,
    service_states,
    subjects_of,
    workload_ref,
    workload_state,
)
from crds.v1alpha1.base import TargetRef, Window

MAX_PODS = 100
MAX_NODES = 8
MAX_NODE_CHANGES = 10
RUNS = ("Job", "CronJob")


@dataclass
class Facts:
    """What was read; ``missing`` names what could not be, in words."""

    changes: tuple[Change, ...] = ()
    events: tuple[EventFact, ...] = ()
    neighbour_events: tuple[EventFact, ...] = ()
    pods: tuple[PodState, ...] = ()
    replicas: int | None = None
    workloads: tuple[WorkloadState, ...] = ()
    services: tuple[ServiceState, ...] = ()
    nodes: tuple[NodeState, ...] = ()
    missing: list[str] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)
    """What ``missing`` is about: resources by plural."""

    def read(self, what: str, reader: Callable[[], Raw]) -> Raw:
        """Run ``reader``; a refusal or an absence is recorded, an outage is raised (the queue tries again)."""
        return next(iter(self.read_list(what, lambda: [reader()])), {})

    def read_list(self, what: str, reader: Callable[[], list[Raw]]) -> list[Raw]:
        """Like :meth:`read`, for lists."""
        try:
            return reader()
        except (Forbidden, NotFound) as error:
            self.missing.append(f"{what}: {error.reason}: {error.message}")
            self.unread.add(what)
            return []


def gather(kube: Kube, target: TargetRef, window: Window) -> Facts:
    """Changes, events and pods of ``target``, and what stands around it in its namespace. Raises Unavailable."""
    facts = Facts()
    bodies, own = _namespaced(kube, target, window, facts) if target.namespace else ([], set())
    facts.pods = tuple(_pod(body) for body in bodies[:MAX_PODS])
    nodes = _nodes(kube, target, bodies, facts)
    facts.nodes = tuple(node_state(body) for body in nodes)
    facts.changes = with_nodes(facts.changes, nodes, window)
    names = {target.name, *own, *(body["metadata"]["name"] for body in bodies)}
    listed = facts.read_list("events", lambda: kube.list_raw(CORE_EVENTS, target.namespace or "default"))
    if target.kind == "CronJob":
        names |= {name for body in listed if (name := job_of(body)) and cronjob_of(name) == target.name}
    there = [one.target.name for one in facts.workloads]
    facts.events, facts.neighbour_events = event_facts(listed, names, window, there)
    return facts


def _pod(body: Raw) -> PodState:
    return pod_state(pod_record(body)).model_copy(update={"revision": revision_of(body)})


def _namespaced(kube: Kube, target: TargetRef, window: Window, facts: Facts) -> tuple[list[Raw], set[str]]:
    """The pods of the target, and the names of its other objects."""
    space = target.namespace
    workloads = [
        (workload_ref(kind, body), body)
        for kind, resource in WORKLOADS.items()
        for body in facts.read_list(resource.plural, _lister(kube, resource, space))
    ]
    services = facts.read_list("services", _lister(kube, SERVICES, space))
    slices = facts.read_list("endpointslices", _lister(kube, ENDPOINT_SLICES, space))
    kept_in = dict.fromkeys(KEPT_IN[one.kind] for one, _ in workloads)
    kept = _by_owner(body for one in kept_in for body in facts.read_list(one.plural, _lister(kube, one, space)))
    subjects = _subjects(target, workloads, services, facts)
    facts.workloads = tuple(workload_state(one, body) for one, body in workloads[:MAX_WORKLOADS])
    facts.services = service_states(services, slices, workloads)
    around = _dependencies(kube, space, subjects, workloads, facts)
    facts.changes = all_changes(target, [one for one, _ in subjects], workloads, kept, window, around)
    facts.replicas = (subjects[0][1].get("spec") or {}).get("replicas") if subjects else None
    own = {one.name for one, _ in subjects}
    own |= {body["metadata"]["name"] for one, _ in subjects for body in kept.get(one.uid, ())}
    return _pods(kube, target, subjects, kept, facts), own


def _dependencies(
    kube: Kube, space: str, subjects: Sequence[Workload], workloads: Sequence[Workload], facts: Facts
) -> list[Change]:
    """Writes of ConfigMaps (those of the incident's workloads first), network policies and quotas."""
    names = list(dict.fromkeys(name for _, body in (*subjects, *workloads) for name in sorted(config_maps_of(body))))
    config_maps = [body for name in names[:MAX_CONFIG_MAPS] if (body := _config_map(kube, space, name, facts))]
    policies = facts.read_list("networkpolicies", _lister(kube, NETWORK_POLICIES, space))
    quotas = facts.read_list("resourcequotas", _lister(kube, QUOTAS, space))
    return [
        *config_changes(workloads, config_maps),
        *policy_changes(workloads, policies),
        *quota_changes(quotas),
    ]


def _config_map(kube: Kube, space: str, name: str, facts: Facts) -> Raw:
    """Its metadata; nothing when it is not there, which the pods' own states tell if it matters."""
    try:
        return kube.get_metadata(CONFIG_MAPS, space, name)
    except NotFound:
        return {}
    except Forbidden as error:
        if CONFIG_MAPS.plural not in facts.unread:
            facts.unread.add(CONFIG_MAPS.plural)
            facts.missing.append(f"configmaps: {error.reason}: who wrote them is read where `iirp grant` opted in")
        return {}


def with_nodes(changes: Sequence[Change], nodes: Sequence[Raw], window: Window) -> tuple[Change, ...]:
    """``changes`` and those of the nodes within the window, oldest first."""
    found = [one for one in node_changes(nodes) if window.start <= one.at <= window.end]
    return tuple(sorted([*changes, *found[-MAX_NODE_CHANGES:]], key=lambda one: (one.at, one.target.name)))


def _lister(kube: Kube, resource: ResourceType, namespace: str, labels: str = "") -> Callable[[], list[Raw]]:
    return lambda: kube.list_raw(resource, namespace, labels=labels)


def _getter(kube: Kube, resource: ResourceType, namespace: str, name: str) -> Callable[[], Raw]:
    return lambda: kube.get_raw(resource, namespace, name)


def _by_owner(kept: Iterable[Raw]) -> dict[str, list[Raw]]:
    """What keeps revisions, by the UID of the workload that it belongs to: another one may have the same labels."""
    found: dict[str, list[Raw]] = {}
    for body in kept:
        owner = controller_of(body)
        if owner is not None:
            found.setdefault(owner.uid, []).append(body)
    return found


def _subjects(
    target: TargetRef, workloads: Sequence[Workload], services: Sequence[Raw], facts: Facts
) -> list[Workload]:
    """The workloads that the incident is about; the target itself if it is one."""
    found = subjects_of(target, workloads, services)
    if target.kind in WORKLOADS:
        if not found and not any(text.startswith(WORKLOADS[target.kind].plural) for text in facts.missing):
            facts.missing.append(f"{target.short()}: NotFound: it is not there any more")
        if found and target.uid and found[0][0].uid != target.uid:
            facts.missing.append(f"{target.short()}: it was deleted and created anew since")
            return []
    return found


def _pods(
    kube: Kube, target: TargetRef, subjects: Sequence[Workload], kept: Mapping[str, list[Raw]], facts: Facts
) -> list[Raw]:
    if target.kind == "Pod":
        pod = facts.read(f"pod/{target.name}", _getter(kube, PODS, target.namespace, target.name))
        return [pod] if pod else []
    if target.kind in RUNS:
        listed = facts.read_list("pods", _lister(kube, PODS, target.namespace, JOB_OF_POD))
        return [pod for pod in listed if _runs(target, pod) and not _succeeded(pod)]
    found: list[Raw] = []
    for one, body in subjects:
        owners = {item["metadata"]["uid"] for item in kept.get(one.uid, ())} | {one.uid}
        listed = facts.read_list("pods", _lister(kube, PODS, one.namespace, _selector(body)))
        found.extend(pod for pod in listed if (owner := controller_of(pod)) is not None and owner.uid in owners)
    return found


def _runs(target: TargetRef, pod: Raw) -> bool:
    """Whether a Job's pod is of this Job, or of one that this CronJob made."""
    job = pod["metadata"]["labels"][JOB_OF_POD]
    return target.name == (cronjob_of(job) if target.kind == "CronJob" else job)


def _succeeded(pod: Raw) -> bool:
    return (pod.get("status") or {}).get("phase") == "Succeeded"


def _selector(workload: Mapping[str, Any]) -> str:
    selector = (workload.get("spec") or {}).get("selector") or {}
    return ",".join(f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items()))


def _nodes(kube: Kube, target: TargetRef, pods: Sequence[Raw], facts: Facts) -> list[Raw]:
    """The nodes of the pods, or the target itself."""
    names = {str((pod.get("spec") or {}).get("nodeName") or "") for pod in pods} - {""}
    if target.kind == "Node":
        names = {target.name}
    found = (facts.read(f"node/{name}", _getter(kube, NODES, "", name)) for name in sorted(names)[:MAX_NODES])
    return [body for body in found if body]
