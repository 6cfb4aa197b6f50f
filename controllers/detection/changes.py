"""Changes of late that touched several workloads at once, from what detection watches anyway and ConfigMaps' metadata.

What one change broke is one fault, however many workloads show it; the analysis server groups by these. A change of a
single workload says nothing about others and is not sent. Creations are none: what starts together was not changed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from analysis.contract import SharedChange
from controllers.kube.objects import WorkloadRecord, written_at
from crds.v1alpha1.base import TargetRef

WINDOW = timedelta(minutes=30)
AT_ONCE = timedelta(seconds=60)
"""Between the workloads of one release that a roll-out writes one after the other."""
MAX_CHANGES = 100
MAX_TARGETS = 200
MAX_WRITES = 5_000


@dataclass(frozen=True, slots=True)
class Write:
    """A ConfigMap's data were written."""

    namespace: str
    name: str
    at: datetime


class ConfigWrites:
    """A sink of ConfigMaps' metadata that keeps who was written in the last half hour. Thread-safe, bounded."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._kept: dict[str, Write] = {}

    def observe(self, event_type: str | None, body: Mapping[str, Any]) -> None:
        """See :class:`controllers.kube.reflector.Sink`."""
        metadata = body["metadata"]
        uid, at = metadata["uid"], written_at(metadata, "f:data", "f:binaryData")
        with self._lock:
            self._kept.pop(uid, None)
            if event_type != "DELETED" and at is not None and self._now() - at <= WINDOW:
                self._kept[uid] = Write(metadata.get("namespace", ""), metadata["name"], at)
            while len(self._kept) > MAX_WRITES:
                del self._kept[next(iter(self._kept))]

    def retain(self, namespace: str | None, uids: set[str]) -> None:
        """See :class:`controllers.kube.reflector.Sink`."""
        with self._lock:
            for uid in [uid for uid, one in self._kept.items() if namespace in (None, one.namespace)]:
                if uid not in uids:
                    del self._kept[uid]

    def recent(self) -> list[Write]:
        """In order of namespace and name."""
        since = self._now() - WINDOW
        with self._lock:
            self._kept = {uid: one for uid, one in self._kept.items() if one.at >= since}
            return sorted(self._kept.values(), key=lambda one: (one.namespace, one.name))


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
