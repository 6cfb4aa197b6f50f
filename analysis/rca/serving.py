"""Probes that ask whether there is anything to answer requests: replicas, endpoints, selectors, readiness."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from analysis.contract import ChangeKind, ServiceState, WorkloadState
from analysis.rca.around import callees, resolve, service_ref, services, subjects, workload
from analysis.rca.facts import Facts
from analysis.rca.observation import Observation, unknown
from analysis.rca.rollouts import before_onset
from analysis.words import clock
from crds.v1alpha1.rcareport import EvidenceKind

SCALED = re.compile(r"from (\d{1,4}) to (\d{1,4})\b")
"""In the message of a Deployment's ScalingReplicaSet event: of one ReplicaSet, so a rollout's are read as well."""


def empty_workload(facts: Facts) -> WorkloadState | None:
    """The workload, of the target and what it calls, that is told to have no replicas."""
    for name in (*subjects(facts), *callees(facts)):
        found = workload(facts, name)
        if found is not None and found.replicas == 0:
            return found
    return None


def replicas_zero(facts: Facts) -> Observation:
    """Is the target, or something that it calls, scaled to zero?"""
    known = [found for name in (*subjects(facts), *callees(facts)) if (found := workload(facts, name)) is not None]
    if not known:
        return unknown("no workload of this name was read", EvidenceKind.STATUS)
    found = empty_workload(facts)
    if found is None:
        text = f"{', '.join(one.target.short() for one in known[:3])} want at least one replica"
        return Observation(False, text, kind=EvidenceKind.STATUS, query=_path(known[0]), result=_wanted(known))
    return Observation(
        True,
        f"{found.target.short()} wants 0 replicas",
        kind=EvidenceKind.STATUS,
        query=_path(found),
        result=_wanted(known),
        blames=found.target,
    )


def _wanted(known: list[WorkloadState]) -> list[list[object]]:
    return sorted([one.target.name, one.replicas] for one in known)


def _path(state: WorkloadState) -> str:
    plural = f"{state.target.kind.lower()}s"
    return f"/apis/{state.target.api_version}/namespaces/{state.target.namespace}/{plural}/{state.target.name}"


def scaled_before_onset(facts: Facts) -> Observation:
    """Did somebody set the replicas shortly before the onset?"""
    empty = empty_workload(facts)
    names = {empty.target.name} if empty is not None else set(subjects(facts))
    found = [
        one
        for one in facts.request.changes
        if one.kind is ChangeKind.SCALE and one.target.name in names and before_onset(one, facts)
    ]
    if not found:
        return Observation(
            False, "nobody scaled it in the 15 min before the onset", kind=EvidenceKind.CHANGE, result=[]
        )
    last = max(found, key=lambda one: (one.at, one.actor))
    return Observation(
        True,
        f"{last.summary} by {last.actor or 'somebody'} at {clock(last.at)}",
        kind=EvidenceKind.CHANGE,
        query=last.reference,
        at=last.at,
        result=[last.summary, last.actor],
    )


def scaled_down(facts: Facts) -> Observation:
    """Did somebody take replicas away shortly before the onset, and leave some?"""
    scaled = scaled_before_onset(facts)
    state = workload(facts, subjects(facts)[0])
    if not scaled.answer or state is None or not state.replicas:
        return replace(scaled, answer=False)
    before = replicas_before(facts, state.target.name)
    if before is None:
        return unknown("how many replicas it had before is not known", EvidenceKind.EVENT)
    return replace(scaled, answer=before > state.replicas, summary=f"{scaled.summary}, {before} before")


def replicas_before(facts: Facts, name: str) -> int | None:
    """How many replicas a Deployment had before it got as many as it has now, by its own events."""
    state = workload(facts, name)
    events = [*facts.request.events, *facts.request.neighbour_events]
    counts = [
        int(found[1])
        for one in sorted(events, key=lambda one: one.at)
        if one.object == f"Deployment/{name}"
        and (found := SCALED.search(one.message)) is not None
        and (state is None or int(found[2]) == state.replicas)
    ]
    return counts[-1] if counts else None


def no_ready_endpoints(facts: Facts) -> Observation:
    """Has a Service that the incident hangs on nobody to send requests to?"""
    known = services(facts)
    if not known:
        return unknown("no Services were read", EvidenceKind.STATUS)
    return _ready_endpoints(facts, known)


def _ready_endpoints(facts: Facts, known: Sequence[ServiceState]) -> Observation:
    result = sorted([one.name, one.ready, one.not_ready] for one in known)
    empty = [one for one in known if one.ready == 0]
    if not empty:
        text = ", ".join(f"{one.name} has {one.ready} ready endpoints" for one in known[:3])
        return Observation(False, text, kind=EvidenceKind.STATUS, query=known[0].reference, result=result)
    first = _nearest(facts, empty)
    return Observation(
        True,
        f"Service {first.name} has no ready endpoint ({first.not_ready} not ready)",
        kind=EvidenceKind.STATUS,
        query=first.reference,
        result=result,
        blames=resolve(facts, first.name),
    )


def callee_without_endpoints(facts: Facts) -> Observation:
    """Has the Service of something that it calls nobody to send requests to?"""
    called = set(callees(facts))
    known = [one for one in facts.request.services if one.name in called]
    if not known:
        return unknown("no Service of anything that it calls was read", EvidenceKind.STATUS)
    return _ready_endpoints(facts, known)


def selector_mismatch(facts: Facts) -> Observation:
    """Does the selector of such a Service match no workload at all, or others than the one that has its name?"""
    known = [one for one in services(facts) if one.selector]
    if not known or not facts.request.workloads:
        return unknown("no Services and workloads were read", EvidenceKind.STATUS)
    result = sorted([one.name, one.selector, len(one.matches)] for one in known)
    lost = [one for one in known if not one.matches or _sends_elsewhere(facts, one)]
    if not lost:
        text = f"the selectors of {', '.join(one.name for one in known[:3])} match workloads"
        return Observation(False, text, kind=EvidenceKind.STATUS, query=known[0].reference, result=result)
    first = _nearest(facts, lost)
    if first.matches:
        text = f"Service {first.name} selects {first.matches[0].short()} and not {first.name}: {first.selector}"
    else:
        text = f"no workload has the labels that Service {first.name} selects: {first.selector}"
    return _miswritten(facts, first, text, result)


def _sends_elsewhere(facts: Facts, service: ServiceState) -> bool:
    """The workload of its name is there, no Service leads to that, and this one leads to some that have their own."""
    named = any(one.target.name == service.name for one in facts.request.workloads)
    reached = {matched.name for one in facts.request.services for matched in one.matches}
    own = {one.name for one in facts.request.services}
    return named and service.name not in reached and all(matched.name in own for matched in service.matches)


def port_not_served(facts: Facts) -> Observation:
    """Does a port of such a Service lead to one that its pods do not have?"""
    known = [one for one in services(facts) if one.matches]
    if not known:
        return unknown("no Services with pods were read", EvidenceKind.STATUS)
    result = sorted([one.name, one.unserved] for one in known)
    wrong = [one for one in known if one.unserved]
    if not wrong:
        text = f"the ports of {', '.join(one.name for one in known[:3])} lead to ports of their pods"
        return Observation(False, text, kind=EvidenceKind.STATUS, query=known[0].reference, result=result)
    first = _nearest(facts, wrong)
    return _miswritten(facts, first, f"Service {first.name}: {first.unserved}", result)


def _nearest(facts: Facts, found: list[ServiceState]) -> ServiceState:
    """The target's own Service before those of others."""
    return min(found, key=lambda one: (one.name != facts.target.name, one.name))


def _miswritten(facts: Facts, service: ServiceState, text: str, result: Any) -> Observation:
    """What is wrong stands in the Service itself: who wrote it last, and when."""
    when = f", written by {service.changed_by} at {clock(service.changed_at)}" if service.changed_at else ""
    return Observation(
        True,
        text + when,
        kind=EvidenceKind.STATUS,
        query=service.reference,
        at=service.changed_at,
        result=result,
        blames=service_ref(facts, service.name),
    )


def callee_without_service(facts: Facts) -> Observation:
    """Is there no Service for a workload that is called by its name?"""
    known = facts.request.services
    called = [one for name in callees(facts) if (one := workload(facts, name)) is not None and one.target.name == name]
    if not called:
        return unknown("nothing is known to be called in this namespace", EvidenceKind.STATUS)
    reached = {target.name for one in known for target in one.matches} | {one.name for one in known}
    result = sorted([one.target.name, one.target.name in reached] for one in called)
    lost = [one for one in called if one.target.name not in reached]
    path = f"/api/v1/namespaces/{facts.target.namespace}/services/{(lost or called)[0].target.name}"
    if not lost:
        text = f"there are Services for {', '.join(one.target.name for one in called[:3])}"
        return Observation(False, text, kind=EvidenceKind.STATUS, query=path, result=result)
    return Observation(
        True,
        f"{lost[0].target.short()} is called, and no Service leads to it",
        kind=EvidenceKind.STATUS,
        query=path,
        result=result,
        blames=service_ref(facts, lost[0].target.name),
    )


def pods_not_ready(facts: Facts) -> Observation:
    """Do the pods run without any of them being ready?"""
    pods = [pod for pod in facts.request.pods if pod.phase not in {"Succeeded", "Failed"}]
    if not pods:
        return unknown("no pods of the workload", EvidenceKind.STATUS)
    running = [pod for pod in pods if pod.phase == "Running" and not pod.ready and not pod.waiting_reason]
    return Observation(
        bool(running) and not any(pod.ready for pod in pods),
        f"{len(running)} of {len(pods)} pods run and are not ready",
        kind=EvidenceKind.STATUS,
        query=f"/api/v1/namespaces/{facts.target.namespace}/pods/{(running or pods)[0].name}",
        result=sorted([pod.name, pod.phase, pod.ready] for pod in pods),
    )


def nodes_unwell(facts: Facts) -> Observation:
    """Is a node of the pods not ready or under pressure, by its own conditions?"""
    nodes = facts.request.nodes
    if not nodes:
        return unknown("no nodes were read", EvidenceKind.STATUS)
    bad = [node for node in nodes if node.problems and node.problems != ("cordoned",)]
    if not bad:
        text = f"{len(nodes)} nodes of its pods are well"
        return Observation(False, text, kind=EvidenceKind.STATUS, query=f"/api/v1/nodes/{nodes[0].name}", result=[])
    return Observation(
        True,
        f"node {bad[0].name}: {bad[0].problems[0]}",
        kind=EvidenceKind.STATUS,
        query=f"/api/v1/nodes/{bad[0].name}",
        at=bad[0].since,
        result=sorted([node.name, *node.problems] for node in bad),
    )
