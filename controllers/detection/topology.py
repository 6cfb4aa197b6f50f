"""Which pods run, and to which workload each belongs: kept from watch events, corrected by a full list now and then."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from analysis.contract import PodFact, Topology
from controllers.detection.alarm import Alarm, pod_troubles
from controllers.detection.inventory import Cluster
from controllers.kube.api import Kube
from controllers.kube.errors import Forbidden, NotFound
from controllers.kube.facts import PodRecord, controller_of, pod_record
from controllers.kube.resources import PODS, REPLICASETS
from crds.v1alpha1.base import TargetRef
from crds.v1alpha1.grants import JOB_PREFIX

log = logging.getLogger(__name__)

RELIST = timedelta(minutes=10)
TOMBSTONE = timedelta(minutes=15)
MAX_OWNERS = 100_000


class PodStore:
    """Thread-safe. Fed by the watch (:meth:`observe`) and by :meth:`relist`, which heals what a broken watch missed."""

    def __init__(self, now: Callable[[], datetime], alarm: Alarm | None = None) -> None:
        self._now = now
        self._alarm = alarm or Alarm()
        self._lock = threading.Lock()
        self._pods: dict[str, PodRecord] = {}
        self._deleted: dict[str, datetime] = {}
        self._listed_at: datetime | None = None
        self.fed = False
        """A reflector lists and watches, in order: see :class:`controllers.detection.store.Store`."""

    def observe(self, event_type: str | None, body: Mapping[str, Any]) -> None:
        """One watch event; see :class:`controllers.runtime.controller.Observer`."""
        record = pod_record(body)
        with self._lock:
            if event_type == "DELETED":
                self._pods.pop(record.uid, None)
                if not self.fed:
                    self._deleted[record.uid] = self._now()
            else:
                self._put(record)

    def retain(self, namespace: str | None, uids: set[str]) -> None:
        """A reflector's list of ``namespace`` (None: of all) is complete: what it did not bring is gone."""
        with self._lock:
            for uid in [uid for uid, pod in self._pods.items() if namespace in (None, pod.namespace)]:
                if uid not in uids:
                    del self._pods[uid]

    def relist(self, kube: Kube, namespaces: Iterable[str | None]) -> bool:
        """List all pods if that was not done for :data:`RELIST`. True when done now, or at first when fed."""
        started = self._now()
        if self.fed:
            first, self._listed_at = self._listed_at is None, started
            return first
        if self._listed_at is not None and started - self._listed_at < RELIST:
            return False
        listed = [pod_record(body) for namespace in namespaces for body in kube.list_raw(PODS, namespace)]
        alive = {record.uid for record in listed}
        with self._lock:
            for uid in [uid for uid, pod in self._pods.items() if uid not in alive and not _newer(pod, started)]:
                del self._pods[uid]
            for record in listed:
                self._put(record)
            self._deleted = {uid: at for uid, at in self._deleted.items() if started - at < TOMBSTONE}
            self._listed_at = started
        return True

    def snapshot(self) -> list[PodRecord]:
        """All known pods, by namespace and name."""
        with self._lock:
            return sorted(self._pods.values(), key=lambda pod: (pod.namespace, pod.name))

    def _put(self, record: PodRecord) -> None:
        if _diagnostic(record):
            return
        known = self._pods.get(record.uid)
        if record.uid not in self._deleted and (known is None or known.version <= record.version):
            self._pods[record.uid] = record
            self._alarm.compare(pod_troubles(known) if known is not None else frozenset(), pod_troubles(record))


def _diagnostic(pod: PodRecord) -> bool:
    """Ours, looking into a volume: what is wrong with that volume is not about the one who looks."""
    return pod.owner is not None and pod.owner.kind == "Job" and pod.owner.name.startswith(JOB_PREFIX)


def _newer(pod: PodRecord, moment: datetime) -> bool:
    """Created while the list was being read: its absence from the list says nothing."""
    return pod.created_at is not None and pod.created_at >= moment - timedelta(seconds=5)


class Owners:
    """From a pod's controller to its workload. A ReplicaSet is looked up once; its owner never changes."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._of: OrderedDict[str, TargetRef] = OrderedDict()

    def preload(self, namespaces: Iterable[str | None]) -> None:
        """Learn all ReplicaSets by list instead of one request for each, where we may list them."""
        for namespace in namespaces:
            try:
                listed = self._kube.list_raw(REPLICASETS, namespace)
            except Forbidden as error:
                log.warning("replicasets not listed: %s", error)
                return
            for body in listed:
                owner = controller_of(body)
                if owner is not None:
                    self.remember(body["metadata"]["uid"], owner)

    def workload(self, pod: PodRecord) -> TargetRef:
        """The owning Deployment, StatefulSet, DaemonSet, Job …, or the pod itself."""
        if pod.owner is None:
            return TargetRef(api_version="v1", kind="Pod", namespace=pod.namespace, name=pod.name, uid=pod.uid)
        if pod.owner.kind != "ReplicaSet":
            return pod.owner
        known = self._of.get(pod.owner.uid)
        if known is None:
            known = self._look_up(pod.owner)
            self.remember(pod.owner.uid, known)
        return known

    def of_replica_set(self, uid: str) -> TargetRef | None:
        """The workload of a ReplicaSet that is known already."""
        return self._of.get(uid)

    def _look_up(self, replica_set: TargetRef) -> TargetRef:
        try:
            body = self._kube.get_raw(REPLICASETS, replica_set.namespace, replica_set.name)
        except (NotFound, Forbidden) as error:
            log.debug("owner of replicaset not known: %s", error)
            return replica_set
        return controller_of(body) or replica_set

    def remember(self, uid: str, owner: TargetRef) -> None:
        """Bounded: the oldest are forgotten, and looked up again when they are needed."""
        self._of[uid] = owner
        self._of.move_to_end(uid)
        while len(self._of) > MAX_OWNERS:
            self._of.popitem(last=False)


Workload = Callable[[PodRecord], TargetRef]


def topology_digest(pods: Iterable[PodRecord], workload: Workload, cluster: Cluster) -> str:
    """Equal running pods, services and nodes give an equal digest; ``pods`` come ordered, as :meth:`PodStore.snapshot`.

    Computed in every round, so it hashes text instead of building the facts, which are sent only when it changes.
    """
    digest = hashlib.sha256()
    for pod in pods:
        if not pod.terminal:
            owner = workload(pod)
            fields = (pod.namespace, pod.name, pod.uid, owner.kind, owner.name, owner.uid, pod.node, *pod.containers)
            digest.update("\0".join((*fields, "-" if pod.deleting else "", *pod.claims)).encode() + b"\n")
    for line in cluster.lines():
        digest.update(line.encode())
    return f"sha256:{digest.hexdigest()}"


def pod_fact(pod: PodRecord, workload: Workload) -> PodFact:
    """One pod as it is sent."""
    return PodFact(
        namespace=pod.namespace,
        name=pod.name,
        uid=pod.uid,
        workload=workload(pod),
        node=pod.node,
        containers=pod.containers,
        claims=pod.claims,
        deleting=pod.deleting,
    )


def build_topology(pods: Iterable[PodRecord], workload: Workload, cluster: Cluster, digest: str) -> Topology:
    """The running pods with their workloads, the services and the nodes, as they are sent."""
    return Topology(
        digest=digest,
        pods=tuple(pod_fact(pod, workload) for pod in pods if not pod.terminal),
        services=cluster.service_facts(),
        nodes=cluster.node_facts(),
    )
