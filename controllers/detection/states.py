"""States of services, workloads and nodes that are not as they should be, as signals. Pure but for its small memory.

That a Service has no endpoints, or that a Deployment has no replicas, is a fault only where it was otherwise before:
:class:`Memory` keeps that, and learns it again from the Incidents that are open when the controller has restarted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from analysis.contract import NEVER_ALONE, ApiSignal
from controllers.detection.inventory import Backed, Cluster
from controllers.kube.objects import NodeRecord, WorkloadRecord
from crds.v1alpha1.incident import Incident, IncidentState

NEVER_READY = timedelta(minutes=10)
"""A Service that has pods and was never seen ready is given this long; Deployments get as long by default."""
NEW_NODE = timedelta(minutes=5)
SCALED_LATELY = timedelta(minutes=15)
AUTOSCALERS = ("keda", "knative", "horizontal-pod-autoscaler")
"""Field managers that scale to zero because nobody needs the workload."""
PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
OVER = frozenset({IncidentState.RESOLVED, IncidentState.RECOVERED, IncidentState.CLOSED})


@dataclass
class Memory:
    """What was up before, by UID, and since when it is not. Objects that are gone are forgotten."""

    up: set[str] = field(default_factory=set)
    down_since: dict[str, datetime] = field(default_factory=dict)

    def saw(self, uid: str, now: datetime, *, is_up: bool) -> None:
        """Take note of one object."""
        if is_up:
            self.up.add(uid)
            self.down_since.pop(uid, None)
        else:
            self.down_since.setdefault(uid, now)

    def remember(self, incidents: Iterable[Incident]) -> None:
        """An Incident that goes on says that its target was up before, and since when it is not."""
        for incident in incidents:
            if incident.status.state in OVER:
                continue
            signals = incident.status.detection.signals if incident.status.detection is not None else []
            targets = [(incident.spec.target, incident.spec.started_at)]
            targets += [(one.target, one.first_seen_at) for one in signals if one.type not in NEVER_ALONE]
            for target, since in targets:
                if target.uid and target.uid not in self.up and target.kind in ("Service", "Deployment", "StatefulSet"):
                    self.up.add(target.uid)
                    self.down_since[target.uid] = since

    def keep(self, alive: set[str]) -> None:
        """Forget all others."""
        self.up &= alive
        self.down_since = {uid: since for uid, since in self.down_since.items() if uid in alive}


def state_signals(cluster: Cluster, memory: Memory, now: datetime) -> list[ApiSignal]:
    """What is not as it should be now: ``at`` is ``now``, ``since`` when it began."""
    for backed in cluster.services:
        memory.saw(backed.service.uid, now, is_up=backed.ready > 0)
    for workload in cluster.workloads:
        memory.saw(workload.uid, now, is_up=workload.desired > 0)
    memory.keep(
        {one.service.uid for one in cluster.services if not one.service.deleting}
        | {workload.uid for workload in cluster.workloads if not workload.deleting}
    )
    found = [signal for one in cluster.services for signal in _of_service(one, memory, now)]
    needed = {workload.uid: one for one in cluster.services for workload in one.workloads}
    for workload in cluster.workloads:
        if not workload.deleting:
            found += _scaled_to_zero(workload, needed.get(workload.uid), memory, now)
            found += _of_workload(workload, now)
    found += [signal for node in cluster.nodes if not node.deleting for signal in _of_node(node, now)]
    return found


def _of_service(backed: Backed, memory: Memory, now: datetime) -> Iterator[ApiSignal]:
    service = backed.service
    if backed.ready or not service.selector or service.deleting:
        return
    live = [workload for workload in backed.workloads if not workload.deleting]
    picks = ",".join(f"{name}={value}" for name, value in service.selector)
    state = f"0 of {backed.addresses} endpoints are ready, selector {picks}"
    if service.uid not in memory.up:
        old = service.created_at is not None and now - service.created_at >= NEVER_READY
        if not (old and backed.addresses):
            return
        reason = "NeverReady"
    elif live and all(workload.desired == 0 for workload in live):
        reason = "ScaledToZero"
    elif not live and not backed.addresses:
        reason, state = "SelectsNothing", f"the selector {picks} picks no pod"
    else:
        reason = "Rollout" if any(workload.rolling_out for workload in live) else "NotReady"
    yield ApiSignal(
        type="ZeroEndpoints",
        reason=reason,
        target=service.target(),
        at=now,
        since=memory.down_since.get(service.uid, now),
        message=state[:1024],
    )


def _scaled_to_zero(
    workload: WorkloadRecord, needed_by: Backed | None, memory: Memory, now: datetime
) -> Iterator[ApiSignal]:
    if workload.desired or needed_by is None or needed_by.service.deleting:
        return
    born, scaled = workload.created_at, workload.scaled_at
    lately = scaled is not None and born is not None and scaled - born > timedelta(seconds=5)
    lately = lately and scaled is not None and now - scaled <= SCALED_LATELY
    if workload.uid not in memory.up and not lately:
        return
    manager = workload.scaled_by
    by = f" by {manager}" if manager else ""
    yield ApiSignal(
        type="ScaledToZero",
        reason="Autoscaler" if any(name in manager.lower() for name in AUTOSCALERS) else "Scaled",
        target=workload.target(),
        at=now,
        since=scaled if scaled is not None and scaled <= now else memory.down_since.get(workload.uid, now),
        message=f"scaled to 0 replicas{by}; service {needed_by.service.name} has no other endpoints"[:1024]
        if not needed_by.ready
        else f"scaled to 0 replicas{by}; service {needed_by.service.name} selects it"[:1024],
    )


def _of_workload(workload: WorkloadRecord, now: datetime) -> Iterator[ApiSignal]:
    failure, progress = workload.condition("ReplicaFailure"), workload.condition("Progressing")
    if failure is not None and failure.status == "True":
        reason = "QuotaExceeded" if "exceeded quota" in failure.message else failure.reason or "FailedCreate"
        yield ApiSignal(
            type="ReplicaFailure",
            reason=reason,
            target=workload.target(),
            at=now,
            since=failure.since,
            message=failure.message,
        )
    if progress is not None and progress.status == "False" and progress.reason == "ProgressDeadlineExceeded":
        yield ApiSignal(
            type="RolloutStalled",
            reason=progress.reason,
            target=workload.target(),
            at=now,
            since=progress.since,
            message=progress.message,
        )


def _of_node(node: NodeRecord, now: datetime) -> Iterator[ApiSignal]:
    if node.created_at is not None and now - node.created_at < NEW_NODE:
        return
    for name, condition in node.conditions:
        if name == "Ready" and condition.status != "True":
            kind, reason = "NodeNotReady", "Cordoned" if node.cordoned else condition.reason
        elif name in PRESSURES and condition.status == "True":
            kind, reason = "NodePressure", name
        else:
            continue
        yield ApiSignal(
            type=kind, reason=reason, target=node.target(), at=now, since=condition.since, message=condition.message
        )
