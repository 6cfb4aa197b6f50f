"""What of the topology has to be sent: nothing, what changed, or the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from analysis.contract import NodeFact, ServiceFact, Topology, TopologyChange
from controllers.detection.inventory import Cluster
from controllers.detection.topology import Workload, build_topology, pod_fact
from controllers.kube.facts import PodRecord

WHOLE_EVERY = timedelta(hours=1)
"""So that a difference that nobody has thought of does not last."""
MAX_SHARE = 0.2
"""Of all pods: above it the whole is sent."""


@dataclass(frozen=True)
class Look:
    """The topology of one round; ``pods`` are ordered."""

    pods: Sequence[PodRecord]
    cluster: Cluster
    digest: str
    at: datetime


@dataclass
class Upload:
    """Remembers what the server has been sent; the records are shared with the store, so it costs little."""

    workload: Workload
    _digest: str = ""
    _pods: dict[str, PodRecord] = field(default_factory=dict)
    _services: tuple[ServiceFact, ...] = ()
    _nodes: tuple[NodeFact, ...] = ()
    _whole_at: datetime | None = None

    def whole(self, look: Look) -> Topology:
        """All of it."""
        self._whole_at = look.at
        return build_topology(look.pods, self.workload, look.cluster, look.digest)

    def part(self, look: Look) -> Topology | TopologyChange | None:
        """What the server needs to know this look, if it still knows the one before."""
        if look.digest == self._digest:
            return None
        if not self._digest or self._whole_at is None or look.at - self._whole_at >= WHOLE_EVERY:
            return self.whole(look)
        running = [pod for pod in look.pods if not pod.terminal]
        alive = {pod.uid for pod in running}
        gone = tuple(uid for uid in self._pods if uid not in alive)
        # the store keeps the very record while a pod stays as it is, so most are told equal by identity
        new = [pod for pod in running if (old := self._pods.get(pod.uid)) is not pod and not self._same(old, pod)]
        if len(gone) + len(new) > MAX_SHARE * max(len(running), 1):
            return self.whole(look)
        services, nodes = look.cluster.service_facts(), look.cluster.node_facts()
        return TopologyChange(
            base=self._digest,
            digest=look.digest,
            pods=tuple(pod_fact(pod, self.workload) for pod in new),
            gone=gone,
            services=None if services == self._services else services,
            nodes=None if nodes == self._nodes else nodes,
        )

    def accepted(self, look: Look) -> None:
        """The server knows this look now."""
        if look.digest != self._digest:
            self._digest = look.digest
            self._pods = {pod.uid: pod for pod in look.pods if not pod.terminal}
            self._services, self._nodes = look.cluster.service_facts(), look.cluster.node_facts()

    def _same(self, old: PodRecord | None, new: PodRecord) -> bool:
        return old is not None and pod_fact(old, self.workload) == pod_fact(new, self.workload)
