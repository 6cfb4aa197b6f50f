"""The topologies that callers have sent, by cluster: whole, or as changes of the one before."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from sys import intern

from analysis.contract import DetectRequest, PodFact, Topology, TopologyChange
from crds.v1alpha1.base import TargetRef

MAX_CLUSTERS = 8
_FIELDS = set(TargetRef.model_fields)
PER_CLUSTER = 2
"""The newest, and the one before it for a controller that is being replaced; they share what did not change."""


class UnknownTopology(Exception):
    """The digest, or what a change is based on, is not known here: the caller sends the whole."""


class Topologies:
    """Bounded: cluster names come from callers."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, OrderedDict[str, Topology]] = OrderedDict()

    @property
    def clusters(self) -> frozenset[str]:
        """Those of which a topology is kept."""
        return frozenset(self._of)

    def resolve(self, request: DetectRequest) -> Topology:
        """The topology that the request speaks of.

        Raises:
            UnknownTopology: it has to be sent whole.
        """
        known = self._of.get(request.cluster, OrderedDict())
        sent = _whole(request.topology) if request.topology is not None else None
        if sent is None and request.change is not None and request.topology_digest not in known:
            base = known.get(request.change.base)
            sent = _changed(base, request.change) if base is not None else None
        found = sent if sent is not None else known.get(request.topology_digest)
        if found is None or found.digest != request.topology_digest:
            raise UnknownTopology
        known[found.digest] = found
        known.move_to_end(found.digest)
        while len(known) > PER_CLUSTER:
            known.popitem(last=False)
        self._of[request.cluster] = known
        self._of.move_to_end(request.cluster)
        while len(self._of) > MAX_CLUSTERS:
            self._of.popitem(last=False)
        return found


def compact(pods: Iterable[PodFact]) -> tuple[PodFact, ...]:
    """The same pods in less memory: workloads, words and lists that many share are kept once."""
    workloads, lists = dict[TargetRef, TargetRef](), dict[tuple[str, ...], tuple[str, ...]]()
    found = []
    for pod in pods:
        for name, value in (
            ("workload", workloads.get(pod.workload) or workloads.setdefault(pod.workload, _bare(pod.workload))),
            ("namespace", intern(pod.namespace)),
            ("node", intern(pod.node)),
            ("containers", lists.setdefault(pod.containers, pod.containers)),
        ):
            object.__setattr__(pod, name, value)  # an equal value: frozen as it is, nobody can tell
        found.append(pod)
    return tuple(found)


def _bare(target: TargetRef) -> TargetRef:
    """Without the set of fields that were given, which pydantic keeps for every object and nobody asks of a target."""
    return TargetRef.model_construct(_FIELDS, **dict(target))


def _whole(sent: Topology) -> Topology:
    return Topology.model_construct(
        digest=sent.digest, pods=compact(sent.pods), services=sent.services, nodes=sent.nodes
    )


def _changed(base: Topology, change: TopologyChange) -> Topology:
    pods = {pod.uid: pod for pod in base.pods}
    for uid in change.gone:
        pods.pop(uid, None)
    pods.update((pod.uid, pod) for pod in compact(change.pods))
    return Topology.model_construct(  # of validated parts: checking 150,000 pods again would cost a second
        digest=change.digest,
        pods=tuple(pods.values()),
        services=base.services if change.services is None else change.services,
        nodes=base.nodes if change.nodes is None else change.nodes,
    )
