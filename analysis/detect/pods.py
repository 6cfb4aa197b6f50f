"""The pods of a topology, and what follows from all of them: found once for each topology, not at every look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from functools import cached_property
from itertools import compress
from operator import attrgetter, itemgetter

from analysis.contract import PodFact
from analysis.detect.finding import PodKey, TargetKey
from crds.v1alpha1.base import TargetRef

AllPods = Mapping[PodKey, PodFact]


class Pods(dict[PodKey, PodFact]):
    """The pods of one topology by namespace and name. Never changed: another topology has pods of its own."""

    @classmethod
    def of(cls, pods: Iterable[PodFact]) -> Pods:
        """By namespace and name."""
        return cls(((pod.namespace, pod.name), pod) for pod in pods)

    @cached_property
    def namespaces(self) -> frozenset[str]:
        """That have pods."""
        return _namespaces(self)

    @cached_property
    def workloads(self) -> tuple[TargetRef, ...]:
        """That have pods, by namespace, kind and name."""
        return _workloads(self)

    @cached_property
    def sizes(self) -> dict[TargetKey, int]:
        """Pods of each workload that has more than one; the others need no entry."""
        return {key: size for key, size in _sizes(pod.workload for pod in self.values()).items() if size > 1}


def namespaces(pods: AllPods) -> frozenset[str]:
    """That have pods."""
    return pods.namespaces if isinstance(pods, Pods) else _namespaces(pods)


def workloads(pods: AllPods) -> tuple[TargetRef, ...]:
    """That have pods, by namespace, kind and name."""
    return pods.workloads if isinstance(pods, Pods) else _workloads(pods)


def sizes(pods: AllPods, named: Set[str]) -> Mapping[TargetKey, int]:
    """How many pods the workloads of these names have; one that is not there has one."""
    if isinstance(pods, Pods):
        return pods.sizes
    found = map(named.__contains__, map(attrgetter("workload.name"), pods.values()))
    return _sizes(pod.workload for pod in compress(pods.values(), found))


def _namespaces(pods: AllPods) -> frozenset[str]:
    return frozenset(map(itemgetter(0), pods))


def _workloads(pods: AllPods) -> tuple[TargetRef, ...]:
    unique = {(one.namespace, one.kind, one.name): one for one in map(attrgetter("workload"), pods.values())}
    return tuple(unique[key] for key in sorted(unique))


def _sizes(owners: Iterable[TargetRef]) -> Counter[TargetKey]:
    return Counter((one.kind, one.namespace, one.name) for one in owners)
