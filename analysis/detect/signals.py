"""Faults that the API server reports itself: no measuring, only counting and naming."""

from __future__ import annotations

import re
from datetime import datetime

from analysis.contract import ApiSignal
from analysis.detect.finding import Evaluation, Finding, Observed
from analysis.detect.rules import SignalRule
from analysis.words import clock, line, moment
from crds.v1alpha1.base import Scope

MAX_EVENTS = 4
SCOPES = {
    "Service": Scope.SERVICE,
    "Node": Scope.NODE,
    "PersistentVolumeClaim": Scope.VOLUME,
    "Namespace": Scope.CLUSTER,
    "ResourceQuota": Scope.CLUSTER,
}
"""Scope by the kind of the target; everything else is a workload."""


def evaluate_signals(rule: SignalRule, observed: Observed) -> Evaluation:
    """Signals of the rule's types that are recent and last long enough, one finding per target."""
    groups: dict[tuple[str, str, str], list[ApiSignal]] = {}
    for signal in observed.signals:
        if _matches(rule, signal, observed.now):
            target = signal.target
            groups.setdefault((target.namespace, target.kind, target.name), []).append(signal)
    findings = tuple(
        _finding(rule, groups[key])
        for key in sorted(groups)
        if _count(groups[key]) >= rule.min_count and len(_pods(groups[key])) >= rule.min_pods
    )
    return Evaluation(findings, frozenset(observed.pods))


def _matches(rule: SignalRule, signal: ApiSignal, now: float) -> bool:
    return (
        signal.type in rule.signals
        and (not rule.reasons or signal.reason in rule.reasons)
        and signal.reason not in rule.except_reasons
        and signal.at.timestamp() >= now - rule.active
        and (signal.at - _began(signal)).total_seconds() >= rule.lasting
        and (not rule.matching or re.search(rule.matching, signal.message) is not None)
    )


def _began(signal: ApiSignal) -> datetime:
    return signal.at if signal.since is None else min(signal.since, signal.at)


def _count(signals: list[ApiSignal]) -> int:
    """Of all containers: each signal carries its container's own count so far."""
    counts: dict[tuple[str, str, str], int] = {}
    for one in signals:
        key = (one.pod, one.container, one.reason)
        counts[key] = max(one.count, counts.get(key, 0))
    return sum(counts.values())


def _pods(signals: list[ApiSignal]) -> tuple[str, ...]:
    return tuple(sorted({one.pod for one in signals if one.pod}))


def _finding(rule: SignalRule, signals: list[ApiSignal]) -> Finding:
    ordered = sorted(signals, key=lambda one: (one.at, one.pod, one.container, one.reason))
    count = max(1, _count(ordered))
    newest = ordered[-1]
    pods = _pods(ordered)
    began = min(_began(one) for one in ordered)
    return Finding(
        type=rule.type,
        target=newest.target,
        firing=True,
        severity=rule.severity,
        confidence_percent=rule.confidence_percent,
        summary=line(_summary(rule, newest, count, len(pods), began)),
        onset=began.timestamp(),
        seen_at=newest.at.timestamp(),
        pods=pods,
        events=tuple(_event(one) for one in ordered[-MAX_EVENTS:]),
        count=count,
        scope=SCOPES.get(newest.target.kind, Scope.WORKLOAD),
    )


def _summary(rule: SignalRule, newest: ApiSignal, count: int, pods: int, began: datetime) -> str:
    where = f" in {newest.container}" if newest.container else ""
    often = f", {count} {rule.counted}" if rule.counted else ""
    spread = f" on {pods} pod{'s' if pods > 1 else ''}" if pods else ""
    when = f"since {clock(began)}" if newest.since is not None else f"last at {clock(newest.at)}"
    detail = f": {newest.message}" if newest.message else ""
    return f"{rule.summary}{where}{often}{spread}, {when} UTC{detail}"


def _event(one: ApiSignal) -> str:
    words = (moment(one.at.timestamp()).isoformat(), one.type, one.reason, one.pod, one.message)
    return line(" ".join(word for word in words if word))
