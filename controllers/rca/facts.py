"""Gathers what the API server knows of an incident's workload; what cannot be read is named, not left out silently."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from analysis.contract import Change, EventFact, PodState
from controllers.kube.api import Kube, Raw
from controllers.kube.errors import Forbidden, NotFound
from controllers.kube.facts import controller_of, parse_time, pod_record, pod_state
from controllers.kube.resources import (
    CORE_EVENTS,
    DAEMONSETS,
    DEPLOYMENTS,
    PODS,
    REPLICASETS,
    STATEFULSETS,
    ResourceType,
)
from controllers.rca.changes import changes_of
from crds.v1alpha1.base import TargetRef, Window

MAX_EVENTS = 50
MAX_PODS = 100
WORKLOADS: dict[str, ResourceType] = {"Deployment": DEPLOYMENTS, "StatefulSet": STATEFULSETS, "DaemonSet": DAEMONSETS}


@dataclass
class Facts:
    """What was read; ``missing`` names what could not be, in words."""

    changes: tuple[Change, ...] = ()
    events: tuple[EventFact, ...] = ()
    pods: tuple[PodState, ...] = ()
    replicas: int | None = None
    missing: list[str] = field(default_factory=list)

    def read(self, what: str, reader: Callable[[], Raw]) -> Raw:
        """Run ``reader``; a refusal or an absence is recorded, an outage is raised (the queue tries again)."""
        return next(iter(self.read_list(what, lambda: [reader()])), {})

    def read_list(self, what: str, reader: Callable[[], list[Raw]]) -> list[Raw]:
        """Like :meth:`read`, for lists."""
        try:
            return reader()
        except (Forbidden, NotFound) as error:
            self.missing.append(f"{what}: {error.reason}: {error.message}")
            return []


def gather(kube: Kube, target: TargetRef, window: Window) -> Facts:
    """Changes, events and pods of ``target``. Raises Unavailable."""
    facts = Facts()
    workload = _workload(kube, target, facts)
    selector = _selector(workload)
    bodies = _pods(kube, target, selector, facts)
    sets = _replica_sets(kube, target, workload, selector, facts)
    if sets:
        own = {body["metadata"]["name"] for body in sets}
        bodies = [body for body in bodies if (owner := controller_of(body)) is not None and owner.name in own]
        facts.changes = changes_of(target, workload, sets, window)
    names = {target.name, *(body["metadata"]["name"] for body in (*bodies, *sets))}
    facts.replicas = (workload.get("spec") or {}).get("replicas")
    facts.pods = tuple(pod_state(pod_record(body)) for body in bodies[:MAX_PODS])
    listed = facts.read_list("events", lambda: kube.list_raw(CORE_EVENTS, target.namespace or "default"))
    facts.events = event_facts(listed, names, window)
    return facts


def event_facts(bodies: Iterable[Mapping[str, Any]], names: set[str], window: Window) -> tuple[EventFact, ...]:
    """Events of these objects within the window (and after it: what followed matters too), newest kept."""
    found = []
    for body in bodies:
        about, at = body.get("involvedObject") or {}, event_time(body)
        ours = (body.get("reportingComponent") or "").startswith("iirp.io/")  # our own story is no evidence
        if at is None or at < window.start - timedelta(minutes=1) or about.get("name") not in names or ours:
            continue
        found.append(
            EventFact(
                at=at,
                type=body.get("type") or "Normal",
                reason=body.get("reason") or "",
                message=(body.get("message") or "")[:1024],
                object=f"{about.get('kind', '')}/{about.get('name', '')}",
                count=max(int(body.get("count") or (body.get("series") or {}).get("count") or 1), 1),
                reference=CORE_EVENTS.path(body["metadata"].get("namespace", ""), body["metadata"]["name"]),
            )
        )
    return tuple(sorted(found, key=lambda item: (item.at, item.reference))[-MAX_EVENTS:])


def event_time(body: Mapping[str, Any]) -> datetime | None:
    """When it last happened, whichever API it was written through."""
    series = body.get("series") or {}
    for text in (
        series.get("lastObservedTime"),
        body.get("lastTimestamp"),
        body.get("eventTime"),
        body.get("firstTimestamp"),
    ):
        moment = parse_time(text)
        if moment is not None:
            return moment
    return parse_time(body["metadata"].get("creationTimestamp"))


def _workload(kube: Kube, target: TargetRef, facts: Facts) -> dict[str, Any]:
    resource = WORKLOADS.get(target.kind)
    if resource is None:
        return {}
    body = facts.read(target.short(), lambda: kube.get_raw(resource, target.namespace, target.name))
    if body and target.uid and body["metadata"].get("uid") != target.uid:
        facts.missing.append(f"{target.short()}: it was deleted and created anew since")
        return {}
    return body


def _replica_sets(kube: Kube, target: TargetRef, workload: Raw, selector: str, facts: Facts) -> list[Raw]:
    """Those of the Deployment itself: another one may have the same labels."""
    if target.kind != "Deployment" or not workload:
        return []
    found = facts.read_list("replicasets", lambda: kube.list_raw(REPLICASETS, target.namespace, labels=selector))
    uid = workload["metadata"]["uid"]
    return [body for body in found if (owner := controller_of(body)) is not None and owner.uid == uid]


def _selector(workload: Mapping[str, Any]) -> str:
    selector = (workload.get("spec") or {}).get("selector") or {}
    return ",".join(f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items()))


def _pods(kube: Kube, target: TargetRef, selector: str, facts: Facts) -> list[dict[str, Any]]:
    if target.kind == "Pod":
        pod = facts.read(f"pod/{target.name}", lambda: kube.get_raw(PODS, target.namespace, target.name))
        return [pod] if pod else []
    if not selector:
        return []
    return facts.read_list("pods", lambda: kube.list_raw(PODS, target.namespace, labels=selector))
