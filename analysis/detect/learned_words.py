"""Learned deviations and shifts of level in words: what is off, by how much, and the query that shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from analysis.detect.finding import Finding
from analysis.detect.learned import CAP, LASTING, Deviation
from analysis.detect.series import LearnedSeries, Learning
from analysis.detect.shifts import Shift
from analysis.telemetry.query import equal
from analysis.words import line, measure, mib, percent, span
from analysis.workloads import pod_matcher
from crds.v1alpha1.base import MAX_QUERY, Severity, TargetRef
from crds.v1alpha1.detection import MetricEvidence

MAX_METRICS = 2
TOGETHER = "Anomaly"
SHIFT = "LevelShift"
SHIFT_CONFIDENCE = 60


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


def shift_finding(
    learning: Learning, shifts: Mapping[str, Shift], target: TargetRef, pods: Iterable[str], seen_at: float
) -> Finding:
    """``shifts``: of one workload, by series, at least one. Evidence beside what else the workload shows."""
    by_name = {series.name: series for series in learning.series}
    ordered = sorted(shifts.items(), key=lambda item: (item[1].since, item[0]))
    onset = ordered[0][1].since
    said = [_amount(by_name[name], one.now, one.usual, "was usual") for name, one in ordered]
    return Finding(
        type=SHIFT,
        target=target,
        firing=True,
        severity=Severity.LOW,
        confidence_percent=SHIFT_CONFIDENCE,
        summary=f"{' and '.join(said[:3])} for {span(seen_at - onset)}",
        onset=onset,
        seen_at=seen_at,
        pods=tuple(sorted(pods)),
        metrics=tuple(
            _shift_evidence(by_name[name], one, target, text)
            for (name, one), text in list(zip(ordered, said, strict=True))[:MAX_METRICS]
        ),
    )


def _said(series: LearnedSeries, one: Deviation) -> str:
    is_usual = "is usual" if series.unit == "bytes" else "is usual at this time"
    return _amount(series, one.value[series.name], one.expected[series.name], is_usual)


def _amount(series: LearnedSeries, value: float, usual: float, is_usual: str) -> str:
    if series.unit == "bytes":
        amount = f"{mib(value)} where {mib(usual)} {is_usual}"
    else:
        amount = f"{measure_short(value)} {series.unit} where {measure_short(usual)} {is_usual}"
    change = f" ({percent(value / usual - 1)})" if usual > 0 and value / usual < 100 else ""
    return f"{series.what} {amount}{change}"


def measure_short(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}"


def _evidence(series: LearnedSeries, one: Deviation, target: TargetRef) -> MetricEvidence:
    return _metric(series, _promql(series, target), one.value[series.name], _said(series, one))


def _shift_evidence(series: LearnedSeries, one: Shift, target: TargetRef, said: str) -> MetricEvidence:
    return _metric(series, f"quantile_over_time(0.5, ({_promql(series, target)})[1d:5m])", one.now, said)


def _promql(series: LearnedSeries, target: TargetRef) -> str:
    return series.promql(f"{equal('namespace', target.namespace)},{pod_matcher(target)}")


def _metric(series: LearnedSeries, query: str, value: float, said: str) -> MetricEvidence:
    whole = query if len(query) <= MAX_QUERY else ""  # a part of a query would show something else, or nothing
    return MetricEvidence(query=whole, summary=line(said, 200), value=measure(value), unit=series.unit)
