"""Changes of what workloads depend on: ConfigMaps, quotas, network policies, nodes; from managedFields. Pure.

Of a ConfigMap only the metadata are read: who wrote which keys, and when. Secrets are not read at all: that a pod
template names another one, or carries another checksum of it, is part of a rollout.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from analysis.contract import Change, ChangeKind
from controllers.kube.facts import parse_time
from controllers.kube.objects import config_maps_of
from controllers.kube.resources import CONFIG_MAPS, NETWORK_POLICIES, NODES, QUOTAS
from controllers.rca.surroundings import Workload, matches
from crds.v1alpha1.base import TargetRef

Body = Mapping[str, Any]

MAX_KEYS = 12
MAX_SUMMARY = 300
MAX_CONFIG_MAPS = 40
NODE_TYPES = frozenset({"Ready", "MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"})


def config_changes(workloads: Sequence[Workload], config_maps: Iterable[Body]) -> Iterator[Change]:
    """Writes of the ConfigMaps, for each workload that uses them.

    Args:
        config_maps: their metadata.
    """
    for body in config_maps:
        users = [target for target, workload in workloads if body["metadata"]["name"] in config_maps_of(workload)]
        for at, actor, fields in _writes(body):
            keys = [*_names(fields.get("f:data")), *_names(fields.get("f:binaryData"))]
            if keys:
                summary = f"ConfigMap {body['metadata']['name']} written: keys {_listed(keys)}"
                yield from _for_each(users, ChangeKind.CONFIG, body, CONFIG_MAPS.path, at, actor, summary)


def policy_changes(workloads: Sequence[Workload], policies: Iterable[Body]) -> Iterator[Change]:
    """Writes of network policies, for each workload whose pods they select."""
    for body in policies:
        spec = body.get("spec") or {}
        selector = spec.get("podSelector") or {}
        users = [target for target, workload in workloads if _selects(selector, workload)]
        kinds = " and ".join(spec.get("policyTypes") or ["Ingress"])
        for at, actor, fields in _writes(body, created=True):
            if "f:spec" in fields:
                summary = f"NetworkPolicy {body['metadata']['name']} written, for {kinds}"
                yield from _for_each(users, ChangeKind.NETWORK_POLICY, body, NETWORK_POLICIES.path, at, actor, summary)


def quota_changes(quotas: Iterable[Body]) -> Iterator[Change]:
    """Writes of the namespace's quotas."""
    for body in quotas:
        hard = (body.get("spec") or {}).get("hard") or {}
        limits = ", ".join(f"{name} {value}" for name, value in sorted(hard.items()))
        for at, actor, fields in _writes(body, created=True):
            if "f:spec" in fields:
                target = _itself(body, "ResourceQuota")
                summary = f"ResourceQuota {target.name} written: {limits}"
                yield from _for_each([target], ChangeKind.QUOTA, body, QUOTAS.path, at, actor, summary)


def node_changes(nodes: Iterable[Body]) -> Iterator[Change]:
    """When nodes became ready or not, came under pressure or out of it, and were cordoned or tainted."""
    for body in nodes:
        target = _itself(body, "Node")
        for item in (body.get("status") or {}).get("conditions") or ():
            at = parse_time(item.get("lastTransitionTime"))
            if at is not None and item.get("type") in NODE_TYPES:
                summary = f"node {target.name}: {item['type']} became {item.get('status')} ({item.get('reason', '')})"
                yield from _for_each([target], ChangeKind.NODE, body, _node_path, at, "", summary)
        for at, actor, fields in _writes(body):
            touched = set(fields.get("f:spec") or {}) & {"f:unschedulable", "f:taints"}
            if touched:
                state = "cordoned" if (body.get("spec") or {}).get("unschedulable") else "uncordoned or its taints set"
                summary = f"node {target.name}: {state}"
                yield from _for_each([target], ChangeKind.NODE, body, _node_path, at, actor, summary)


def _node_path(_: str, name: str) -> str:
    return NODES.path(None, name)


def _for_each(
    targets: Iterable[TargetRef], kind: ChangeKind, body: Body, path: Any, at: datetime, actor: str, summary: str
) -> Iterator[Change]:
    metadata = body["metadata"]
    for target in targets:
        yield Change(
            kind=kind,
            at=at,
            target=target,
            # tells two objects apart that were written in the same second
            revision=str(metadata.get("resourceVersion", ""))[:32],
            actor=actor,
            summary=summary[:MAX_SUMMARY],
            reference=path(metadata.get("namespace", ""), metadata["name"]),
        )


def _writes(body: Body, *, created: bool = False) -> Iterator[tuple[datetime, str, Body]]:
    """Time, field manager and fields of each writer's last write; its creation only with ``created``."""
    born = parse_time(body["metadata"].get("creationTimestamp"))
    for entry in body["metadata"].get("managedFields") or ():
        at = parse_time(entry.get("time"))
        if at is not None and (created or at != born) and not entry.get("subresource"):
            yield at, str(entry.get("manager", "")), entry.get("fieldsV1") or {}


def _names(fields: Body | None) -> list[str]:
    return sorted(name.removeprefix("f:") for name in fields or {} if name.startswith("f:"))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_KEYS} more" if len(names) > MAX_KEYS else ""
    return ", ".join(names[:MAX_KEYS]) + more


def _selects(selector: Body, workload: Body) -> bool:
    """Expressions are not evaluated: a selector that has some is taken to select what its labels do."""
    labels = selector.get("matchLabels") or {}
    return matches(labels, workload) if labels else True


def _itself(body: Body, kind: str) -> TargetRef:
    metadata = body["metadata"]
    return TargetRef(
        api_version="v1",
        kind=kind,
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        uid=metadata.get("uid", ""),
    )
