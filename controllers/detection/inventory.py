"""Services, endpoints, workloads and nodes as detection knows them, and which Service needs which workload."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from analysis.contract import NodeFact, ServiceFact
from controllers.detection.alarm import Alarm, node_troubles, slice_troubles, workload_troubles
from controllers.detection.store import Store
from controllers.kube.api import Kube
from controllers.kube.errors import Forbidden, NotFound
from controllers.kube.objects import (
    NodeRecord,
    ServiceRecord,
    WorkloadRecord,
    node_record,
    record,
    selects,
    service_record,
    slice_record,
    workload_record,
)
from controllers.kube.resources import (
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    NAMESPACES,
    NODES,
    SERVICES,
    STATEFULSETS,
    ResourceType,
)

log = logging.getLogger(__name__)

RELIST = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Backed:
    """A Service with what stands behind it."""

    service: ServiceRecord
    workloads: tuple[WorkloadRecord, ...] = ()
    addresses: int = 0
    ready: int = 0


@dataclass(frozen=True, slots=True)
class Cluster:
    """One consistent look at everything but pods."""

    services: tuple[Backed, ...] = ()
    workloads: tuple[WorkloadRecord, ...] = ()
    nodes: tuple[NodeRecord, ...] = ()

    def service_facts(self) -> tuple[ServiceFact, ...]:
        """As they are sent."""
        return tuple(
            ServiceFact(
                namespace=one.service.namespace,
                name=one.service.name,
                uid=one.service.uid,
                workloads=tuple(workload.target() for workload in one.workloads),
            )
            for one in self.services
        )

    def node_facts(self) -> tuple[NodeFact, ...]:
        """As they are sent."""
        return tuple(NodeFact(name=node.name, uid=node.uid) for node in self.nodes)

    def lines(self) -> Iterable[str]:
        """Text that differs when what is sent of services and nodes differs: for the topology's digest."""
        for one in self.services:
            behind = "\0".join(f"{workload.kind}\0{workload.uid}" for workload in one.workloads)
            yield f"service\0{one.service.namespace}\0{one.service.name}\0{one.service.uid}\0{behind}\n"
        for node in self.nodes:
            yield f"node\0{node.name}\0{node.uid}\n"


@dataclass
class Inventory:
    """Feeds are the watches (``stores``); :meth:`relist` heals what they missed."""

    now: Callable[[], datetime]
    alarm: Alarm = field(default_factory=Alarm)
    _listed_at: datetime | None = None
    _cluster: Cluster = field(default_factory=Cluster)
    _seen: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """One store per kind."""
        now, alarm = self.now, self.alarm
        self.services = Store(service_record, now)
        self.slices = Store(slice_record, now, alarm, slice_troubles)
        self.deployments = Store(partial(workload_record, kind="Deployment"), now, alarm, workload_troubles)
        self.stateful_sets = Store(partial(workload_record, kind="StatefulSet"), now, alarm, workload_troubles)
        self.nodes = Store(node_record, now, alarm, node_troubles)
        self.namespaces = Store(record, now)
        self.stores: dict[ResourceType, Store[ServiceRecord] | Store[WorkloadRecord] | Store[NodeRecord]] = {
            SERVICES: self.services,
            ENDPOINT_SLICES: self.slices,  # type: ignore[dict-item]
            DEPLOYMENTS: self.deployments,
            STATEFULSETS: self.stateful_sets,
            NODES: self.nodes,
            NAMESPACES: self.namespaces,  # type: ignore[dict-item]
        }

    def relist(self, kube: Kube, namespaces: Iterable[str | None]) -> None:
        """List everything if that was not done for :data:`RELIST`. What we may not list is said and left out."""
        started = self.now()
        if all(store.fed for store in self.stores.values()):
            return
        if self._listed_at is not None and started - self._listed_at < RELIST:
            return
        spaces = tuple(namespaces)
        for resource, store in self.stores.items():
            where = spaces if resource.namespaced else (None,)
            try:
                bodies = [body for space in where for body in kube.list_raw(resource, space)]
            except (Forbidden, NotFound) as error:
                log.warning("%s not listed, their faults stay unseen: %s", resource.plural, error)
                continue
            store.replace(bodies, started)
        self._listed_at = started

    def ending(self) -> frozenset[str]:
        """Namespaces that are being deleted: they take no new objects, and what ends in them is meant to."""
        return frozenset(one.name for one in self.namespaces.snapshot() if one.deleting)

    def cluster(self) -> Cluster:
        """The newest look; the same object as before when nothing has changed."""
        seen = tuple(store.revision for store in self.stores.values())
        if seen != self._seen:
            self._cluster, self._seen = self._look(), seen
        return self._cluster

    def _look(self) -> Cluster:
        workloads = (*self.deployments.snapshot(), *self.stateful_sets.snapshot())
        in_space: dict[str, list[tuple[WorkloadRecord, dict[str, str]]]] = {}
        for workload in workloads:
            in_space.setdefault(workload.namespace, []).append((workload, dict(workload.labels)))
        counts: dict[tuple[str, str], tuple[int, int]] = {}
        for one in self.slices.snapshot():
            addresses, ready = counts.get((one.namespace, one.service), (0, 0))
            counts[one.namespace, one.service] = (addresses + one.addresses, ready + one.ready)
        services = tuple(
            Backed(
                service,
                tuple(
                    workload
                    for workload, labels in in_space.get(service.namespace, ())
                    if selects(service.selector, labels)
                ),
                *counts.get((service.namespace, service.name), (0, 0)),
            )
            for service in self.services.snapshot()
        )
        return Cluster(services, workloads, tuple(self.nodes.snapshot()))
