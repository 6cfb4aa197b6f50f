"""How bad a fault is for those who use what fails: severity, and the words that give the reason. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from analysis.contract import Candidate
from crds.v1alpha1.base import Severity

BUDGET_SHARE = 0.144
"""Share of failing requests that uses up a month's error budget of 99.9 % within five hours (720 h x 0.001 / 5 h)."""
MANY = 5
"""Workloads that show it, from which on it is one step worse."""
_ORDER = tuple(Severity)
_FAILING = "HighErrorRate"


def impact(alarms: Sequence[Candidate]) -> tuple[Severity, str]:
    """Severity of all alarms together, and why it is not just that of the worst (empty when it is).

    Critical: more requests fail than the month's error budget bears for five hours, or a service has no endpoint left
    and its callers fail. One step worse than the worst alarm: many workloads show it.
    """
    worst = max((alarm.severity for alarm in alarms), key=_ORDER.index)
    said: list[str] = []
    failing = max(
        ((share, alarm) for alarm in alarms if (share := _share(alarm)) is not None), default=None, key=_first
    )
    if failing is not None:
        said.append(f"{failing[0]:.0%} of the requests to {failing[1].target.name} fail")
    empty = sorted({alarm.target.name for alarm in alarms if alarm.type == "ZeroEndpoints"})
    if empty:
        said.append(f"nothing answers for {', '.join(empty[:3])}")
    shown = {(alarm.target.namespace, alarm.target.name) for alarm in alarms}
    if len(shown) >= MANY:
        said.append(f"{len(shown)} workloads show it")
        worst = _worse(worst)
    callers_fail = any(alarm.type == _FAILING and alarm.target.name not in empty for alarm in alarms)
    if (failing is not None and failing[0] >= BUDGET_SHARE) or (empty and callers_fail):
        worst = Severity.CRITICAL
    return worst, "; ".join(said)


def _share(alarm: Candidate) -> float | None:
    if alarm.type != _FAILING:
        return None
    return max(_ratios(alarm), default=None)


def _ratios(alarm: Candidate) -> Iterable[float]:
    for metric in alarm.metrics:
        if metric.unit == "ratio":
            value = float(metric.value)
            if 0 <= value <= 1:  # not NaN either
                yield value


def _first(pair: tuple[float, Candidate]) -> float:
    return pair[0]


def _worse(severity: Severity) -> Severity:
    return _ORDER[min(_ORDER.index(severity) + 1, len(_ORDER) - 1)]
