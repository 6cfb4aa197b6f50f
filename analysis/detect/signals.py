"""Faults that the API server reports itself: no measuring, only counting and naming."""

from __future__ import annotations

from analysis.contract import ApiSignal
from analysis.detect.finding import Evaluation, Finding, Observed
from analysis.detect.rules import SignalRule
from analysis.words import clock, line, moment

MAX_EVENTS = 4


def evaluate_signals(rule: SignalRule, observed: Observed) -> Evaluation:
    """Signals of the rule's types that are recent enough, one finding per target."""
    groups: dict[tuple[str, str, str], list[ApiSignal]] = {}
    for signal in observed.signals:
        if signal.type in rule.signals and signal.at.timestamp() >= observed.now - rule.active:
            target = signal.target
            groups.setdefault((target.namespace, target.kind, target.name), []).append(signal)
    findings = tuple(_finding(rule, groups[key]) for key in sorted(groups) if _count(groups[key]) >= rule.min_count)
    return Evaluation(findings, frozenset(observed.pods))


def _count(signals: list[ApiSignal]) -> int:
    """Restarts of all containers: each signal carries its container's own count so far."""
    counts: dict[tuple[str, str], int] = {}
    for one in signals:
        counts[one.pod, one.container] = max(one.count, counts.get((one.pod, one.container), 0))
    return sum(counts.values())


def _finding(rule: SignalRule, signals: list[ApiSignal]) -> Finding:
    ordered = sorted(signals, key=lambda one: (one.at, one.pod, one.container))
    count = max(1, _count(ordered))
    newest = ordered[-1]
    pods = tuple(sorted({one.pod for one in ordered if one.pod}))
    where = f" in {newest.container}" if newest.container else ""
    detail = f": {newest.message}" if newest.message else ""
    return Finding(
        type=rule.type,
        target=newest.target,
        firing=True,
        severity=rule.severity,
        confidence_percent=98,
        summary=line(
            f"{rule.summary}{where}, {count} restarts on {len(pods)} pods, last at {clock(newest.at)} UTC{detail}"
        ),
        onset=ordered[0].at.timestamp(),
        seen_at=newest.at.timestamp(),
        pods=pods,
        events=tuple(
            line(f"{moment(one.at.timestamp()).isoformat()} {one.type} {one.pod} {one.message}")
            for one in ordered[-MAX_EVENTS:]
        ),
        count=count,
    )
