"""A learned deviation in words: what is off, by how much, and the query that shows it."""

from __future__ import annotations

from collections.abc import Iterable

from analysis.detect.finding import Finding
from analysis.detect.learned import CAP, LASTING, Deviation
from analysis.detect.series import LearnedSeries, Learning
from analysis.telemetry.query import equal
from analysis.words import line, measure, mib, percent, span
from analysis.workloads import pod_matcher
from crds.v1alpha1.base import Severity, TargetRef
from crds.v1alpha1.incident import MetricEvidence

MAX_METRICS = 2
TOGETHER = "Anomaly"


def finding(learning: Learning, one: Deviation, target: TargetRef, pods: Iterable[str]) -> Finding:
    """Low severity: something is unusual, nothing says yet that it harms anybody."""
    by_name = {series.name: series for series in learning.series}
    leading = [by_name[name] for name in one.series if _alone(by_name[name], one)]
    kind = leading[0].alone.type if leading and leading[0].alone else TOGETHER
    shown = [*leading, *(by_name[name] for name in one.series if by_name[name] not in leading)]
    said = [_said(series, one) for series in shown]
    return Finding(
        type=kind,
        target=target,
        firing=True,
        severity=Severity.LOW,
        confidence_percent=min(CAP, int(100 * one.rarity)),
        summary=f"{' and '.join(said[:3])} for {span(LASTING * learning.step)}",
        onset=one.since,
        seen_at=one.since + LASTING * learning.step,
        pods=tuple(sorted(pods)),
        metrics=tuple(_evidence(series, one, target) for series in shown[:MAX_METRICS]),
    )


def _alone(series: LearnedSeries, one: Deviation) -> bool:
    return series.alone is not None and one.side[series.name] == (1 if series.alone.side == "high" else -1)


def _said(series: LearnedSeries, one: Deviation) -> str:
    value, expected = one.value[series.name], one.expected[series.name]
    if series.unit == "bytes":
        amount = f"{mib(value)} where {mib(expected)} is usual"
    else:
        amount = f"{measure_short(value)} {series.unit} where {measure_short(expected)} is usual at this time"
    change = f" ({percent(value / expected - 1)})" if expected > 0 and value / expected < 100 else ""
    return f"{series.what} {amount}{change}"


def measure_short(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}"


def _evidence(series: LearnedSeries, one: Deviation, target: TargetRef) -> MetricEvidence:
    matchers = f"{equal('namespace', target.namespace)},{pod_matcher(target)}"
    return MetricEvidence(
        query=series.promql(matchers)[:2048],
        summary=line(_said(series, one), 200),
        value=measure(one.value[series.name]),
        unit=series.unit,
    )
