"""Looks that do not wait for the clock: by the API server's own word something has turned bad just now.

A round comes every ``detect_interval``, and a state that it sees for the first time is called in the next one at the
earliest. What keeps the records of a kind therefore asks for a round when a record turns bad. Only that it is bad, and
was not before, counts: a busy cluster changes all the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TypeAlias

from analysis.contract import ApiSignal
from controllers.detection.signals import CREATE_FAILURES, PULL_FAILURES
from controllers.kube.facts import PodRecord
from controllers.kube.objects import NodeRecord, SliceRecord, WorkloadRecord

SETTLE = 0.3
"""Seconds: what changes together (a pod, its endpoints, its workload) is looked at together."""
MIN_GAP = 1.0
"""Seconds from the end of a round to an early one: a storm of changes is no storm of rounds."""
YOUNG = timedelta(seconds=2)
RIPE = 1.2
"""Seconds after which a state that has just begun is looked at again: rules of states want at least one second."""
WAITING = PULL_FAILURES | CREATE_FAILURES | {"CrashLoopBackOff"}

Troubles: TypeAlias = frozenset[tuple[str, ...]]


class Alarm:
    """Thread-safe. ``clock`` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wake: Callable[[float], None] = lambda _: None
        self._earliest = clock()

    def bind(self, wake: Callable[[float], None]) -> None:
        """``wake`` asks for a round in so many seconds; until this is called, nobody is woken."""
        self._wake = wake

    def compare(self, before: Troubles, after: Troubles) -> None:
        """A record has changed: ask for a round if it is in a trouble in which it was not."""
        if after - before:
            self._wake(max(SETTLE, self._earliest - self._clock()))

    def round_ended(self) -> None:
        """The next early round has to keep its distance from this one."""
        self._earliest = self._clock() + MIN_GAP


def next_look(states: Iterable[ApiSignal], now: datetime, interval: float) -> float:
    """Seconds until the next round: ``interval``, or :data:`RIPE` where a state is too young to be called."""
    young = any(signal.since is not None and now - signal.since < YOUNG for signal in states)
    return min(RIPE, interval) if young else interval


def pod_troubles(pod: PodRecord) -> Troubles:
    """Containers that wait for what does not come, kills for memory, an eviction."""
    if pod.deleting:
        return frozenset()
    found: set[tuple[str, ...]] = {("Evicted",)} if pod.reason == "Evicted" else set()
    for state in pod.states:
        if state.waiting_reason in WAITING:
            found.add((state.name, state.waiting_reason))
        if state.ended_reason == "OOMKilled":
            found.add((state.name, state.ended_reason, str(state.ended_at)))
    return frozenset(found)


def slice_troubles(one: SliceRecord) -> Troubles:
    """No endpoint is ready."""
    return frozenset() if one.ready else frozenset({("NoneReady",)})


def workload_troubles(workload: WorkloadRecord) -> Troubles:
    """Scaled to zero, pods refused, a rollout that has stalled."""
    found: set[tuple[str, ...]] = {("ScaledToZero",)} if not workload.desired else set()
    for name, bad in (("ReplicaFailure", "True"), ("Progressing", "False")):
        condition = workload.condition(name)
        if condition is not None and condition.status == bad:
            found.add((name,))
    return frozenset(found)


def node_troubles(node: NodeRecord) -> Troubles:
    """Conditions that are not as on a healthy node."""
    return frozenset((name,) for name, one in node.conditions if (one.status == "True") != (name == "Ready"))
