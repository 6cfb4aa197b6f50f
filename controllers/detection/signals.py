"""Faults that the API server itself shows in a pod's status. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from analysis.contract import ApiSignal
from controllers.kube.facts import ContainerState, PodRecord
from crds.v1alpha1.base import TargetRef

WINDOW = timedelta(minutes=15)
MAX_SIGNALS = 2000
PULL_FAILURES = frozenset({"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull"})


def api_signals(
    pods: Iterable[PodRecord], workload: Callable[[PodRecord], TargetRef], now: datetime
) -> tuple[ApiSignal, ...]:
    """Signals of the last 15 minutes, newest kept when there are too many.

    ``CrashLoop``, ``ImagePull`` and ``PendingPods`` hold now, so their time is ``now``; ``OOMKilled``, ``Restarted``
    and ``Evicted`` are moments, with the time at which they happened.
    """
    return newest(signal for pod in pods for signal in _of_pod(pod, workload, now) if now - signal.at <= WINDOW)


def newest(signals: Iterable[ApiSignal]) -> tuple[ApiSignal, ...]:
    """In order of time; the newest ones when there are too many to send."""
    return tuple(sorted(signals, key=lambda signal: signal.at)[-MAX_SIGNALS:])


def _of_pod(pod: PodRecord, workload: Callable[[PodRecord], TargetRef], now: datetime) -> Iterator[ApiSignal]:
    if pod.reason == "Evicted":
        at = max((state.ended_at for state in pod.states if state.ended_at), default=pod.started_at or pod.created_at)
        yield ApiSignal(type="Evicted", target=workload(pod), pod=pod.name, at=at or now, message=pod.message)
        return
    yield from _pending(pod, workload, now)
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
    elif pod.node and not any(state.waiting_reason in PULL_FAILURES for state in pod.states):
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
