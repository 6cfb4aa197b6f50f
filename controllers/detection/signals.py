"""Faults that the API server itself shows in a pod's status. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from analysis.contract import ApiSignal
from controllers.kube.facts import ContainerState, PodRecord
from crds.v1alpha1.base import TargetRef

WINDOW = timedelta(minutes=15)
MAX_SIGNALS = 2000
PATIENCE = 4
"""A start may take this many times as long as a sibling's did."""
CREATE_FAILURES = frozenset({"CreateContainerConfigError", "CreateContainerError"})
"""What the container names (a ConfigMap, a key, a Secret) is not there, or the runtime refuses it."""
PULL_FAILURES = frozenset({"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull"})


def api_signals(
    pods: Iterable[PodRecord], workload: Callable[[PodRecord], TargetRef], now: datetime
) -> tuple[ApiSignal, ...]:
    """Signals of the last 15 minutes, newest kept when there are too many.

    ``CrashLoop``, ``ImagePull``, ``PendingPods`` and ``NotReady`` hold now, so their time is ``now``; ``OOMKilled``,
    ``Restarted`` and ``Evicted`` are moments, with the time at which they happened.
    """
    known = list(pods)
    found = [signal for pod in known for signal in _of_pod(pod, workload, now) if now - signal.at <= WINDOW]
    return newest([*found, *_slower_than_siblings(known, workload, now)])


def newest(signals: Iterable[ApiSignal]) -> tuple[ApiSignal, ...]:
    """In order of time; the newest ones when there are too many to send."""
    return tuple(sorted(signals, key=lambda signal: signal.at)[-MAX_SIGNALS:])


def _of_pod(pod: PodRecord, workload: Callable[[PodRecord], TargetRef], now: datetime) -> Iterator[ApiSignal]:
    if pod.reason == "Evicted":
        at = max((state.ended_at for state in pod.states if state.ended_at), default=pod.started_at or pod.created_at)
        yield ApiSignal(type="Evicted", target=workload(pod), pod=pod.name, at=at or now, message=pod.message)
        return
    yield from _pending(pod, workload, now)
    yield from _not_created(pod, workload, now)
    for state in pod.states:
        for kind, at, message in _of_container(state, now):
            yield ApiSignal(
                type=kind,
                target=workload(pod),
                pod=pod.name,
                container=state.name,
                at=at,
                count=max(state.restarts, 1),
                message=message,
            )


def _pending(pod: PodRecord, workload: Callable[[PodRecord], TargetRef], now: datetime) -> Iterator[ApiSignal]:
    if pod.phase != "Pending" or pod.deleting:
        return
    if pod.unscheduled_since is not None:
        reason, since, message = "Unschedulable", pod.unscheduled_since, pod.unschedulable
    elif pod.node and not any(state.waiting_reason in PULL_FAILURES | CREATE_FAILURES for state in pod.states):
        waiting = ", ".join(f"{state.name}: {state.waiting_reason}" for state in pod.states if state.waiting_reason)
        reason, since, message = "NotStarted", pod.started_at or pod.created_at or now, waiting
    else:
        return
    yield ApiSignal(
        type="PendingPods",
        reason=reason,
        target=workload(pod),
        pod=pod.name,
        at=now,
        since=since,
        message=message[:1024],
    )


def _not_created(pod: PodRecord, workload: Callable[[PodRecord], TargetRef], now: datetime) -> Iterator[ApiSignal]:
    for state in pod.states:
        if state.waiting_reason in CREATE_FAILURES and not pod.deleting:
            yield ApiSignal(
                type="PendingPods",
                reason="NotCreated",
                target=workload(pod),
                pod=pod.name,
                container=state.name,
                at=now,
                since=state.ended_at or pod.started_at or now,
                message=f"{state.waiting_reason}: {state.waiting_message}"[:1024],
            )


def _slower_than_siblings(
    pods: Iterable[PodRecord], workload: Callable[[PodRecord], TargetRef], now: datetime
) -> Iterator[ApiSignal]:
    """Pods whose containers all run and that are not ready after :data:`PATIENCE` times what a ready sibling took.

    How long a start may take differs between workloads by minutes; the pods that serve meanwhile know it. Where none is
    left to compare with, `probe-failing` and the Service's endpoints speak.
    """
    known = list(pods)
    late = [(pod, since) for pod in known if (since := _waits_since(pod)) is not None]
    if not late:
        return
    spaces = {pod.namespace for pod, _ in late}
    took: dict[TargetRef, timedelta] = {}
    for pod in known:
        if pod.namespace in spaces and (needed := _start_took(pod)) is not None:
            target = workload(pod)
            took[target] = max(needed, took.get(target, needed))
    for pod, since in late:
        target = workload(pod)
        if target in took and now - since > PATIENCE * took[target]:
            usual = int(took[target].total_seconds())
            yield ApiSignal(
                type="NotReady",
                reason="SlowerThanSiblings",
                target=target,
                pod=pod.name,
                at=now,
                since=since,
                message=f"runs and is not ready; pods of {target.name} that are ready took {usual} s at most",
            )


def _waits_since(pod: PodRecord) -> datetime | None:
    """Since when all containers of a pod run without its being ready. It may have been ready before."""
    if pod.ready or pod.deleting or pod.phase != "Running":
        return None
    running = [state.running_since for state in pod.states if state.running_since is not None]
    if not running or len(running) < len(pod.states):
        return None
    return max(running) if pod.ready_changed_at is None else max(*running, pod.ready_changed_at)


def _start_took(pod: PodRecord) -> timedelta | None:
    """From the last container's start to ready. A pod that was unready once more since seems slower: the safe error."""
    if not pod.ready or pod.ready_changed_at is None or pod.deleting:
        return None
    started = max((state.running_since for state in pod.states if state.running_since is not None), default=None)
    return max(pod.ready_changed_at - started, timedelta(0)) if started is not None else None


def _of_container(state: ContainerState, now: datetime) -> Iterator[tuple[str, datetime, str]]:
    if state.ended_at is not None:
        if state.ended_reason == "OOMKilled":
            yield "OOMKilled", state.ended_at, f"killed at its memory limit, exit code {state.exit_code}"
        if state.restarts:
            yield "Restarted", state.ended_at, f"{state.ended_reason or 'ended'}, exit code {state.exit_code}"
    if state.waiting_reason == "CrashLoopBackOff":
        yield "CrashLoop", now, state.waiting_message
    elif state.waiting_reason in PULL_FAILURES:
        yield "ImagePull", now, f"{state.waiting_reason}: {state.waiting_message}"
