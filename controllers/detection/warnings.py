"""Warning events of the API server as signals: who repeats them, how often, since when, about what."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from analysis.contract import ApiSignal
from controllers.kube.facts import PodRecord, parse_time, target_ref
from controllers.kube.objects import cronjob_of
from crds.v1alpha1.base import TargetRef

WINDOW = timedelta(minutes=15)
MAX_EVENTS = 20_000
MAX_SIGNALS = 500
MAX_MESSAGE = 300
WORKLOADS = {"Deployment": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1", "Job": "batch/v1"}


@dataclass(frozen=True, slots=True)
class Warned:
    """One Warning event; the API server counts repetitions in it."""

    kind: str
    namespace: str
    name: str
    uid: str
    reason: str
    message: str
    count: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Surroundings:
    """How the object of an event leads to a target."""

    pods: Mapping[tuple[str, str], PodRecord]
    workload: Callable[[PodRecord], TargetRef]
    replica_set: Callable[[str], TargetRef | None]
    """The workload of a ReplicaSet, by UID."""


class Warnings:
    """A sink of events that keeps the Warnings of the last quarter of an hour. Thread-safe, bounded."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Warned] = OrderedDict()

    def observe(self, event_type: str | None, body: Mapping[str, Any]) -> None:
        """See :class:`controllers.kube.reflector.Sink`."""
        uid = str((body.get("metadata") or {}).get("uid") or "")
        warned = None if event_type == "DELETED" else warned_of(body, self._now())
        with self._lock:
            self._kept.pop(uid, None)
            if warned is not None and self._now() - warned.last <= WINDOW:
                self._kept[uid] = warned
            while len(self._kept) > MAX_EVENTS:
                self._kept.popitem(last=False)

    def retain(self, namespace: str | None, uids: set[str]) -> None:
        """See :class:`controllers.kube.reflector.Sink`."""
        with self._lock:
            for uid, warned in list(self._kept.items()):
                if uid not in uids and namespace in (None, warned.namespace):
                    del self._kept[uid]

    def signals(self, around: Surroundings) -> list[ApiSignal]:
        """What was warned of in the last quarter of an hour and is not over; the newest when there is too much."""
        now = self._now()
        with self._lock:
            self._kept = OrderedDict((uid, one) for uid, one in self._kept.items() if now - one.last <= WINDOW)
            kept = sorted(self._kept.values(), key=lambda one: (one.last, one.namespace, one.name, one.reason))
        return [signal for one in kept for signal in _signal(one, around, now)][-MAX_SIGNALS:]


def warned_of(body: Mapping[str, Any], now: datetime) -> Warned | None:
    """Parse one event (core/v1); None for what is no Warning or says nothing."""
    about, reason = body.get("involvedObject") or {}, body.get("reason")
    if body.get("type") != "Warning" or not reason or not about.get("name"):
        return None
    series, made = body.get("series") or {}, parse_time((body.get("metadata") or {}).get("creationTimestamp"))
    first = parse_time(body.get("firstTimestamp")) or parse_time(body.get("eventTime")) or made or now
    last = parse_time(series.get("lastObservedTime")) or parse_time(body.get("lastTimestamp")) or first
    return Warned(
        kind=str(about.get("kind") or ""),
        namespace=str(about.get("namespace") or ""),
        name=str(about["name"]),
        uid=str(about.get("uid") or ""),
        reason=str(reason)[:64],
        message=str(body.get("message") or body.get("note") or "")[:MAX_MESSAGE],
        count=max(1, int(series.get("count") or body.get("count") or 1)),
        first=min(first, last),
        last=min(last, now),
    )


def _signal(one: Warned, around: Surroundings, now: datetime) -> Iterator[ApiSignal]:
    found = _target(one, around)
    if found is not None:
        target, pod = found
        since = max(one.first, now - WINDOW)
        yield ApiSignal(
            type="Event",
            reason=one.reason,
            target=target,
            pod=pod,
            at=one.last,
            since=min(since, one.last),
            count=one.count,
            message=one.message,
        )


def _target(one: Warned, around: Surroundings) -> tuple[TargetRef, str] | None:
    """Whom an event is about; None for objects that are gone, that got over it, or that we do not look at."""
    if one.kind == "Pod":
        pod = around.pods.get((one.namespace, one.name))
        if pod is None or pod.ready or pod.deleting or pod.terminal or (one.uid and one.uid != pod.uid):
            return None
        return around.workload(pod), pod.name
    if one.kind == "ReplicaSet":
        owner = around.replica_set(one.uid)
        return (owner, "") if owner is not None else None
    if one.kind == "PersistentVolumeClaim":
        users = _users(one, around.pods.values())
        return (around.workload(users[0]), users[0].name) if users else None
    cronjob = cronjob_of(one.name) if one.kind == "Job" else ""
    if cronjob:
        found = target_ref("batch/v1", "CronJob", one.namespace, cronjob)
    elif one.kind in WORKLOADS:
        found = target_ref(WORKLOADS[one.kind], one.kind, one.namespace, one.name, one.uid)
    else:
        found = None
    return (found, "") if found is not None else None


def _users(one: Warned, pods: Iterable[PodRecord]) -> list[PodRecord]:
    found = [pod for pod in pods if pod.namespace == one.namespace and one.name in pod.claims and not pod.ready]
    return sorted(found, key=lambda pod: pod.name)
