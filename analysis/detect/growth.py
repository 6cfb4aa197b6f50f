"""Sustained growth of a container's metric towards its limit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from analysis.detect.containers import (
    STALE_SECONDS,
    Containers,
    by_workload,
    containers,
    least_growth,
    pod_key,
)
from analysis.detect.finding import Evaluation, Finding, Observed, TargetKey
from analysis.detect.pods import sizes
from analysis.detect.rules import GrowthRule
from analysis.telemetry.query import duration, equal, selector
from analysis.windows.block import Block, Bool, Float64
from analysis.windows.growth import Growth, TimeTo, asymptote, measure, time_to
from analysis.windows.robust import Slope, features
from analysis.words import clock, mib, mib_per_minute, moment, span
from analysis.words import measure as as_measure
from crds.v1alpha1.base import Severity
from crds.v1alpha1.detection import MetricEvidence, Prediction

MAX_METRICS = 2
"""Of each signal, as the API has it."""

NEW_LIFE = frozenset({"OOMKilled", "Restarted", "CrashLoop"})
"""Signals after which a container's level has begun anew."""


def evaluate_growth(rule: GrowthRule, observed: Observed) -> Evaluation | None:
    """Containers whose metric grows towards its limit, one finding per workload; None without data."""
    data = containers(rule, observed)
    if data is None:
        return None
    found = measure(data.block, rule.warm_up, data.started)
    until = time_to(data.limit, found.last, found.slope)
    recent = features(data.block, rule.recent).slope
    restarted = np.array([_restarted(labels, observed) for labels in data.block.labels], dtype=np.bool_)
    firing = grows(rule, found, until, data.limit, recent, restarted, observed.now, ease=1.0)
    staying = grows(rule, found, until, data.limit, recent, restarted, observed.now, ease=rule.clear_factor)
    groups = by_workload(data.block, firing | staying, observed)
    named = {observed.pods[pod_key(data.block.labels[rows[0]])].workload.name for rows in groups}
    size = sizes(observed.pods, named) if named else {}
    findings = tuple(
        _growth_finding(rule, data, found, until, rows, bool(firing[rows].any()), observed, size) for rows in groups
    )
    return Evaluation(findings, data.fresh)


def grows(
    rule: GrowthRule,
    found: Growth,
    until: TimeTo,
    limit: Float64,
    recent: Slope,
    restarted: Bool,
    now: float,
    *,
    ease: float,
) -> Bool:
    """The rule itself, for all series at once. ``ease`` > 1 asks for less: the thresholds for staying reported."""
    with np.errstate(invalid="ignore"):
        known = found.baseline_span >= rule.baseline
        long_enough = found.span >= np.where(known, rule.min_span, rule.min_span_without_baseline) / ease
        # a new high: a sawtooth comes back to where it was; after a restart only this life counts
        peak = np.where(restarted, found.own_peak, found.earlier_peak)
        new_high = found.last > np.where(np.isfinite(peak), peak + 3 * np.nan_to_num(found.baseline_spread), -np.inf)
        conditions = (
            limit > 0,
            found.last_at >= now - STALE_SECONDS,
            found.samples >= rule.min_samples,
            long_enough,
            found.growth >= least_growth(rule, limit) / ease,
            found.slope.tau >= rule.min_monotonicity / ease,
            found.slope.low > 0,
            found.biggest_step <= rule.max_step_share * ease * found.growth,
            until.expected <= rule.horizon * ease,
            found.span >= rule.min_elapsed_share / ease * (found.span + until.expected),
            asymptote(found) >= rule.min_end_share / ease * limit,
            ~(recent.value < rule.min_recent_share / ease * found.slope.value),
            new_high,
        )
    return np.asarray(np.logical_and.reduce(conditions), dtype=np.bool_)


def _restarted(labels: dict[str, str], observed: Observed) -> bool:
    return any(
        signal.type in NEW_LIFE and signal.pod == labels["pod"] and signal.target.namespace == labels["namespace"]
        for signal in observed.signals
    )


def _growth_finding(
    rule: GrowthRule,
    data: Containers,
    found: Growth,
    until: TimeTo,
    rows: list[int],
    firing: bool,
    observed: Observed,
    size: Mapping[TargetKey, int],
) -> Finding:
    first = min(rows, key=lambda row: (until.expected[row], row))
    target = observed.pods[pod_key(data.block.labels[first])].workload
    prediction = _prediction(found, until, data.limit, first)
    pods = tuple(sorted({data.block.labels[row]["pod"] for row in rows}))
    rate = max(float(found.slope.value[row]) for row in rows)
    all_pods = max(len(pods), size.get((target.kind, target.namespace, target.name), 1))
    summary = (
        f"working set grows {mib_per_minute(rate)} on {len(pods)} of {all_pods} pods; "
        f"limit {mib(float(data.limit[first]))} expected at {clock(prediction.expected_at)} UTC, "
        f"in {span(float(until.expected[first]))}"
    )
    critical = until.expected[first] <= rule.critical_within
    return Finding(
        type=rule.type,
        target=target,
        firing=firing,
        severity=Severity.CRITICAL if critical else rule.severity,
        confidence_percent=_confidence(rule, found, data.limit, first),
        summary=summary,
        onset=min(float(found.onset[row]) for row in rows),
        seen_at=max(float(found.last_at[row]) for row in rows),
        pods=pods,
        predicted=True,
        prediction=prediction,
        metrics=tuple(_growth_evidence(rule, data.block, found, row) for row in rows[:MAX_METRICS]),
    )


def _prediction(found: Growth, until: TimeTo, limit: Float64, row: int) -> Prediction:
    at = float(found.last_at[row])
    farthest = 7 * 86400.0  # an interval may be open to the right; the API has no infinity
    return Prediction(
        resource="memory",
        limit=f"{limit[row]:.0f}",
        unit="bytes",
        expected_at=moment(at + min(float(until.expected[row]), farthest)),
        earliest_at=moment(at + min(float(until.earliest[row]), farthest)),
        latest_at=moment(at + min(float(until.latest[row]), farthest)),
    )


def _confidence(rule: GrowthRule, found: Growth, limit: Float64, row: int) -> int:
    """50 for meeting the rule, more for a straight line, much growth and many samples; never certainty."""
    straight = (float(found.slope.tau[row]) - rule.min_monotonicity) / max(1 - rule.min_monotonicity, 1e-6)
    much = min(1.0, float(found.growth[row] / limit[row]) / (4 * rule.min_growth_share))
    many = min(1.0, float(found.samples[row]) / 12)
    return int(min(97, 50 + 20 * min(1.0, max(0.0, straight)) + 15 * much + 12 * many))


def _growth_evidence(rule: GrowthRule, block: Block, found: Growth, row: int) -> MetricEvidence:
    labels = block.labels[row]
    where = selector(rule.metric, *(equal(name, labels[name]) for name in ("namespace", "pod", "container")))
    rate = float(found.slope.value[row])
    rose = f"{mib(float(found.base[row]))} to {mib(float(found.last[row]))}"
    return MetricEvidence(
        query=f"deriv({where}[{duration(float(found.span[row]))}])",
        summary=f"{labels['pod']}: {mib_per_minute(rate)}, {rose}",
        value=as_measure(rate),
        unit="bytes/s",
    )
