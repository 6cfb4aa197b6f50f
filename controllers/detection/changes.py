"""Changes of late that touched several workloads at once: releases, and ConfigMaps where something fails.

What one change broke is one fault, however many workloads show it; the analysis server groups by these. A change of a
single workload says nothing about others and is not sent. Creations are none: what starts together was not changed.
"""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from analysis.contract import SharedChange
from controllers.kube.api import Kube
from controllers.kube.errors import KubeError
from controllers.kube.objects import WorkloadRecord, written_at
from controllers.kube.resources import CONFIG_MAPS
from crds.v1alpha1.base import TargetRef

log = logging.getLogger(__name__)

WINDOW = timedelta(minutes=30)
AT_ONCE = timedelta(seconds=60)
"""Between the workloads of one release that a roll-out writes one after the other."""
MAX_CHANGES = 100
MAX_TARGETS = 200
READ_AGAIN = timedelta(seconds=30)
MAX_READS = 20
"""In one round."""
MAX_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Write:
    """A ConfigMap's data were written."""

    namespace: str
    name: str
    at: datetime


@dataclass
class ConfigWrites:
    """When ConfigMaps that several workloads use were written, asked by name and only where something fails.

    There is no list and no watch: a token that may list ConfigMaps may read all of them (``docs/root-causes.md``).
    """

    kube: Kube
    now: Callable[[], datetime]
    _read: OrderedDict[tuple[str, str], tuple[datetime, datetime | None]] = field(default_factory=OrderedDict)
    """When each was asked about, and when it was written."""

    def among(self, workloads: Iterable[WorkloadRecord], namespaces: Set[str]) -> list[Write]:
        """Of ConfigMaps in ``namespaces``; what cannot be read now is left out, and asked for again later."""
        used = Counter(
            (one.namespace, name) for one in workloads if one.namespace in namespaces for name in one.config_maps
        )
        now, found = self.now(), list[Write]()
        shared = sorted(key for key, users in used.items() if users > 1)
        stale = [key for key in shared if key not in self._read or now - self._read[key][0] >= READ_AGAIN]
        for key in stale[:MAX_READS]:
            self._read[key] = (now, self._written_at(*key))
            self._read.move_to_end(key)
        while len(self._read) > MAX_KEPT:
            self._read.popitem(last=False)
        for namespace, name in shared:
            at = self._read.get((namespace, name), (now, None))[1]
            if at is not None and now - at <= WINDOW:
                found.append(Write(namespace, name, at))
        return found

    def _written_at(self, namespace: str, name: str) -> datetime | None:
        try:
            body = self.kube.get_metadata(CONFIG_MAPS, namespace, name)
        except KubeError as error:
            log.debug("ConfigMap %s/%s not read: %s", namespace, name, error)
            return None
        return written_at(body["metadata"], "f:data", "f:binaryData")


def shared_changes(
    workloads: Iterable[WorkloadRecord], writes: Iterable[Write], now: datetime
) -> tuple[SharedChange, ...]:
    """Those of the last half hour, oldest first, the newest kept when there are too many."""
    alive = [one for one in workloads if not one.deleting]
    found = [*_releases(alive, now), *_config_maps(alive, writes)]
    return tuple(sorted(found, key=lambda one: (one.at, one.what))[-MAX_CHANGES:])


def _config_maps(workloads: Iterable[WorkloadRecord], writes: Iterable[Write]) -> Iterator[SharedChange]:
    by_name = {(one.namespace, one.name): one for one in writes}
    users: dict[Write, list[TargetRef]] = {}
    for workload in workloads if by_name else ():
        for name in workload.config_maps:
            if (write := by_name.get((workload.namespace, name))) is not None:
                users.setdefault(write, []).append(workload.target())
    for write, targets in users.items():
        yield from _change(f"ConfigMap {write.name} written", write.at, targets)


def _releases(workloads: Iterable[WorkloadRecord], now: datetime) -> Iterator[SharedChange]:
    by_release: dict[tuple[str, str], list[tuple[datetime, TargetRef]]] = {}
    for one in workloads:
        if one.release and one.rolled_out_at is not None and now - one.rolled_out_at <= WINDOW:
            by_release.setdefault((one.namespace, one.release), []).append((one.rolled_out_at, one.target()))
    for (_, release), written in sorted(by_release.items()):
        together: list[tuple[datetime, TargetRef]] = []
        for at, target in sorted(written, key=lambda one: (one[0], one[1].name)):
            if together and at - together[-1][0] > AT_ONCE:
                yield from _change(f"{release} rolled out", together[0][0], [it for _, it in together])
                together = []
            together.append((at, target))
        yield from _change(f"{release} rolled out", together[0][0], [it for _, it in together])


def _change(what: str, at: datetime, targets: list[TargetRef]) -> Iterator[SharedChange]:
    if len(targets) > 1:
        yield SharedChange(what=what, at=at, targets=tuple(targets[:MAX_TARGETS]))
