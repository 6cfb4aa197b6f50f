"""The workloads, Services and nodes around an incident, as facts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from analysis.contract import NodeState, ServiceState, WorkloadState
from controllers.kube.facts import parse_time
from controllers.kube.resources import DAEMONSETS, DEPLOYMENTS, SERVICES, STATEFULSETS, ResourceType
from crds.v1alpha1.base import TargetRef

Body = Mapping[str, Any]
Workload = tuple[TargetRef, dict[str, Any]]
"""A workload and its object."""

WORKLOADS: dict[str, ResourceType] = {"Deployment": DEPLOYMENTS, "StatefulSet": STATEFULSETS, "DaemonSet": DAEMONSETS}
SERVICE_NAME = "kubernetes.io/service-name"
MAX_WORKLOADS = 200
MAX_SERVICES = 100
MAX_MATCHES = 8
MAX_PROBLEMS = 8


def workload_ref(kind: str, body: Body) -> TargetRef:
    """The workload as a target."""
    metadata = body["metadata"]
    return TargetRef(
        kind=kind, namespace=metadata.get("namespace", ""), name=metadata["name"], uid=metadata.get("uid", "")
    )


def workload_state(target: TargetRef, body: Body) -> WorkloadState:
    """What is wanted of a workload, and what there is."""
    spec, status = body.get("spec") or {}, body.get("status") or {}
    daemon = target.kind == "DaemonSet"
    return WorkloadState(
        target=target,
        replicas=None if daemon else int(spec.get("replicas", 1)),
        ready=int((status.get("numberReady") if daemon else status.get("readyReplicas")) or 0),
        paused=bool(spec.get("paused")),
        claims=tuple(islice(_claims(target, spec), MAX_MATCHES)),
    )


def _claims(target: TargetRef, spec: Body) -> Iterable[str]:
    """Claims by name, and those that a StatefulSet makes for each of its pods: any number, so they come one by one."""
    yield from _named_claims(spec)
    for item in spec.get("volumeClaimTemplates") or ():
        for number in range(int(spec.get("replicas", 1))):
            yield f"{item['metadata']['name']}-{target.name}-{number}"


def _named_claims(spec: Body) -> Iterable[str]:
    volumes = ((spec.get("template") or {}).get("spec") or {}).get("volumes") or ()
    for volume in volumes:
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if claim:
            yield str(claim)


def service_states(
    services: Iterable[Body], slices: Iterable[Body], workloads: Sequence[Workload]
) -> tuple[ServiceState, ...]:
    """Services with a selector, each with its endpoints and the workloads that the selector matches."""
    counts = _endpoints(slices)
    found = []
    for body in services:
        selector = (body.get("spec") or {}).get("selector") or {}
        if not selector:
            continue  # somebody else writes its endpoints
        name, namespace = body["metadata"]["name"], body["metadata"].get("namespace", "")
        ready, not_ready = counts.get(name, (0, 0))
        at, by = _written(body)
        behind = [one for one in workloads if matches(selector, one[1])][:MAX_MATCHES]
        found.append(
            ServiceState(
                name=name,
                selector=",".join(f"{key}={value}" for key, value in sorted(selector.items()))[:512],
                ready=ready,
                not_ready=not_ready,
                matches=tuple(target for target, _ in behind),
                unserved=_unserved(body, [workload for _, workload in behind])[:300],
                changed_at=at,
                changed_by=by,
                reference=SERVICES.path(namespace, name),
            )
        )
    return tuple(sorted(found, key=lambda item: item.name)[:MAX_SERVICES])


def subjects_of(target: TargetRef, workloads: Sequence[Workload], services: Iterable[Body]) -> list[Workload]:
    """The workloads that an incident of ``target`` is about: itself, behind the Service, or with the claim mounted."""
    if target.kind == "Service":
        selectors = [(body.get("spec") or {}).get("selector") or {} for body in services if _name(body) == target.name]
        return [item for item in workloads if any(matches(selector, item[1]) for selector in selectors)]
    if target.kind == "PersistentVolumeClaim":
        return [item for item in workloads if _mounts(item[1], target.name)]
    return [item for item in workloads if (item[0].kind, item[0].name) == (target.kind, target.name)]


def _name(body: Body) -> str:
    return str(body["metadata"]["name"])


def _mounts(workload: Body, claim: str) -> bool:
    spec = workload.get("spec") or {}
    if claim in _named_claims(spec):
        return True
    made = (f"{item['metadata']['name']}-{_name(workload)}-" for item in spec.get("volumeClaimTemplates") or ())
    return any(claim.startswith(prefix) and claim[len(prefix) :].isdigit() for prefix in made)


def matches(selector: Mapping[str, str], workload: Body) -> bool:
    """Whether a Service's selector matches the pods of a workload."""
    labels = ((workload.get("spec") or {}).get("template") or {}).get("metadata", {}).get("labels") or {}
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def _endpoints(slices: Iterable[Body]) -> dict[str, tuple[int, int]]:
    """``(ready, not ready)`` by Service. One pod may stand in several slices (IPv4 and IPv6): it counts once."""
    ready: dict[str, set[str]] = {}
    others: dict[str, set[str]] = {}
    for body in slices:
        service = (body["metadata"].get("labels") or {}).get(SERVICE_NAME, "")
        for endpoint in body.get("endpoints") or ():
            who = (endpoint.get("targetRef") or {}).get("name") or ",".join(endpoint.get("addresses") or ())
            side = ready if (endpoint.get("conditions") or {}).get("ready", True) else others
            side.setdefault(service, set()).add(who)
    names = {*ready, *others}
    return {name: (len(ready.get(name, ())), len(others.get(name, set()) - ready.get(name, set()))) for name in names}


def _unserved(service: Body, workloads: Sequence[Body]) -> str:
    """The first port that leads nowhere, in words. Declaring is voluntary: pods that declare no port are not judged."""
    containers = [item for body in workloads for item in _pod_spec(body).get("containers") or ()]
    declared = [port for item in containers for port in item.get("ports") or ()]
    if not declared:
        return ""
    served = {known for port in declared for known in (port.get("name"), port.get("containerPort")) if known}
    for port in (service.get("spec") or {}).get("ports") or ():
        target = port.get("targetPort", port.get("port"))
        if target not in served:
            has = ", ".join(sorted(f"{one.get('name', 'unnamed')} {one.get('containerPort')}" for one in declared)[:4])
            return f"port {port.get('port')} leads to {target}; the pods declare {has}"
    return ""


def _pod_spec(workload: Body) -> Body:
    spec: Body = ((workload.get("spec") or {}).get("template") or {}).get("spec") or {}
    return spec


def _written(body: Body) -> tuple[datetime | None, str]:
    """When and by whom selector or ports were last written; nothing is known if the Service was created then."""
    created = parse_time(body["metadata"].get("creationTimestamp"))
    best: tuple[datetime, str] | None = None
    for entry in body["metadata"].get("managedFields") or ():
        at = parse_time(entry.get("time"))
        owns = {"f:selector", "f:ports"} & set((entry.get("fieldsV1") or {}).get("f:spec") or {})
        if owns and at is not None and at != created and (best is None or at > best[0]):
            best = at, str(entry.get("manager", ""))
    return best if best is not None else (None, "")


def node_state(body: Body) -> NodeState:
    """Readiness and pressure of a node."""
    conditions = (body.get("status") or {}).get("conditions") or ()
    bad = [item for item in conditions if item.get("status") != ("True" if item.get("type") == "Ready" else "False")]
    problems = [_problem(item) for item in sorted(bad, key=lambda item: str(item.get("type")))]
    if (body.get("spec") or {}).get("unschedulable"):
        problems.append("cordoned")
    times = [at for item in bad if (at := parse_time(item.get("lastTransitionTime"))) is not None]
    return NodeState(
        name=body["metadata"]["name"],
        ready=all(item.get("type") != "Ready" for item in bad),
        problems=tuple(problems[:MAX_PROBLEMS]),
        since=min(times, default=None),
    )


def _problem(condition: Body) -> str:
    kind = "NotReady" if condition.get("type") == "Ready" else str(condition.get("type"))
    text = f"{kind} since {condition.get('lastTransitionTime', 'unknown')}: {condition.get('message', '')}"
    return text[:300]
