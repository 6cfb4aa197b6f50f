"""Who fails with what: from the pods' topology and the calls between services. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from analysis.contract import Candidate, Topology
from analysis.correlate.signals import Dependencies, Entity
from crds.v1alpha1.base import TargetRef

Calls = Mapping[tuple[str, str], frozenset[str]]
"""By namespace and pod: what it calls, as its metrics name it (``payments``, ``payments.shop.svc``, a URL)."""
Named = tuple[str, str]
"""Namespace and name."""

_ADDRESS = re.compile(r"^(?:[a-z][a-z0-9+.-]*://)?(?:[^/@]*@)?(?P<host>[A-Za-z0-9._-]+)(?::\d+)?(?:[/?].*)?$")
MAX_CALLEES = 200
"""Of one workload. Labels are hostile: an exporter that invents callees must not blow up the graph."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a name can stand for, and what the pods run on."""

    named: Mapping[Named, frozenset[Entity]]
    """Workloads (and whatever else has signals) by namespace and name."""
    targets: Mapping[Entity, TargetRef]
    workload_of: Mapping[Named, Entity] = field(default_factory=dict)
    """By namespace and pod."""
    nodes_of: Mapping[Entity, frozenset[str]] = field(default_factory=dict)
    node_of: Mapping[Named, str] = field(default_factory=dict)
    claims_of: Mapping[Entity, frozenset[Entity]] = field(default_factory=dict)
    """Volumes that the pods of a workload mount."""
    behind: Mapping[Entity, frozenset[Entity]] = field(default_factory=dict)
    """Workloads that a Service leads to."""


def entity(target: TargetRef) -> Entity:
    """``Deployment/shop/payments``."""
    return f"{target.kind}/{target.namespace}/{target.name}"


def node(name: str) -> Entity:
    """The entity of a node."""
    return f"Node//{name}"


def know(topology: Topology, targets: Iterable[TargetRef]) -> Known:
    """Index the topology, once per evaluation. ``targets``: what has signals, whether it has pods or not."""
    found: dict[Entity, TargetRef] = {}
    workload_of: dict[Named, Entity] = {}
    node_of: dict[Named, str] = {}
    nodes_of: dict[Entity, set[str]] = {}
    claims_of: dict[Entity, set[Entity]] = {}
    for pod in topology.pods:
        one = entity(pod.workload)
        found.setdefault(one, pod.workload)
        workload_of[pod.namespace, pod.name] = one
        if pod.node:
            node_of[pod.namespace, pod.name] = pod.node
            nodes_of.setdefault(one, set()).add(pod.node)
        if pod.claims:
            claims_of.setdefault(one, set()).update(f"PersistentVolumeClaim/{pod.namespace}/{it}" for it in pod.claims)
    for target in targets:
        found.setdefault(entity(target), target)
    named: dict[Named, set[Entity]] = {}
    for one, target in found.items():
        named.setdefault((target.namespace, target.name), set()).add(one)
    behind: dict[Entity, frozenset[Entity]] = {}
    for service in topology.services:
        one = f"Service/{service.namespace}/{service.name}"
        behind[one] = frozenset(entity(target) for target in service.workloads)
        found |= {entity(target): target for target in service.workloads if entity(target) not in found}
        named.setdefault((service.namespace, service.name), set()).update({one} | behind[one])
    return Known(
        {name: frozenset(entities) for name, entities in named.items()},
        found,
        workload_of,
        {one: frozenset(names) for one, names in nodes_of.items()},
        node_of,
        {one: frozenset(names) for one, names in claims_of.items()},
        behind,
    )


def dependencies(known: Known, alarms: Iterable[Candidate], calls: Calls) -> Dependencies:
    """What each entity needs: what it calls, its volumes, the nodes of its pods; for a Service the workloads behind it.

    Of a workload with signals only the nodes of the pods that show them count. With a single node in the cluster, that
    node tells nothing apart, so it counts only when it has signals of its own.
    """
    needs: dict[Entity, set[Entity]] = {}
    shown: dict[Entity, set[str]] = {}
    loud: set[Entity] = set()
    for alarm in alarms:
        one, space = entity(alarm.target), alarm.target.namespace
        loud.add(one)
        shown.setdefault(one, set()).update(
            known.node_of[space, pod] for pod in alarm.pods if (space, pod) in known.node_of
        )
        if alarm.target.kind == "Service":
            leads = known.behind.get(one) or known.named.get((space, alarm.target.name), frozenset())
            needs.setdefault(one, set()).update(leads - {one})
    for one, callees in _called(known, calls).items():
        needs.setdefault(one, set()).update(callees - {one})
    for one, claims in known.claims_of.items():
        needs.setdefault(one, set()).update(claims)
    every = frozenset().union(*known.nodes_of.values()) if known.nodes_of else frozenset()
    telling = {node(name) for name in every} if len(every) > 1 else loud
    for one, names in known.nodes_of.items():
        on = {node(name) for name in shown.get(one) or names} & telling
        if on:
            needs.setdefault(one, set()).update(on)
    return Dependencies({one: frozenset(needed) for one, needed in needs.items()})


def _called(known: Known, calls: Calls) -> dict[Entity, set[Entity]]:
    found: dict[Entity, set[Entity]] = {}
    for caller, callees in calls.items():
        one = known.workload_of.get(caller)
        if one is None:
            continue
        into = found.setdefault(one, set())
        for callee in callees:
            if len(into) < MAX_CALLEES:
                into |= known.named.get(address(callee, caller[0]), frozenset())
    return found


def address(callee: str, namespace: str) -> Named:
    """Namespace and service name of what a caller calls ``callee``, as cluster DNS would read it."""
    match = _ADDRESS.match(callee[:300])
    parts = match["host"].lower().split(".") if match else [""]
    if len(parts) == 1:
        return namespace, parts[0]
    return parts[1], parts[0]
