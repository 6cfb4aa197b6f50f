"""Containers that use all the CPU they may and are held back for it."""

from __future__ import annotations

import numpy as np

from analysis.detect.containers import container_key
from analysis.detect.finding import ContainerKey, Evaluation, Finding, Observed
from analysis.detect.rules import ThrottleRule
from analysis.detect.services import in_namespaces, lasting, rate_query, still
from analysis.telemetry.query import RateSum, differs, equal
from analysis.windows.block import Block, Float64
from analysis.windows.rates import Rates
from analysis.windows.robust import row_max
from analysis.words import measure, span
from analysis.workloads import pod_matcher
from crds.v1alpha1.detection import MetricEvidence

BY = ("namespace", "pod", "container")


def throttle_queries(rule: ThrottleRule, observed: Observed) -> tuple[RateSum, ...]:
    """What has to be read: throttled periods, all periods, CPU seconds used."""
    scope = (in_namespaces(observed), differs("container", ""), differs("container", "POD"))
    return tuple(rate_query(part, rule.rate_window, BY, *scope) for part in (rule.throttled, rule.periods, rule.usage))


def evaluate_throttle(rule: ThrottleRule, observed: Observed) -> Evaluation | None:
    """Containers at their CPU limit for the rule's time, one finding per workload; None without data.

    A container that is throttled now and then while it uses little is as its limit is meant; so is one that starts.
    """
    throttled, periods, usage = (observed.rates.get(query) for query in throttle_queries(rule, observed))
    quota, period = observed.blocks.get(rule.quota), observed.blocks.get(rule.period)
    if throttled is None or periods is None or usage is None or quota is None or period is None:
        return None
    keys = [container_key(labels) for labels in periods.labels]
    limit = _aligned(quota, keys) / _aligned(period, keys)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(periods.values >= rule.min_rate, _rows(throttled, keys, periods) / periods.values, np.nan)
        used = _rows(usage, keys, periods) / np.where(limit > 0, limit, np.nan)[:, None]
    nowhere = float("nan")
    born = np.array([observed.started.get(key, nowhere) for key in keys], dtype=np.float64)
    old = ~(observed.now - born < rule.warm_up + rule.lasting)
    firing = lasting(share, rule.threshold) & lasting(used, rule.min_used_share) & old
    staying = still(share, rule.clear) & old
    groups: dict[tuple[str, str, str], list[int]] = {}
    for row in np.flatnonzero(firing | staying):
        pod = observed.pods.get(keys[row][:2])
        if pod is not None:
            groups.setdefault((pod.workload.namespace, pod.workload.kind, pod.workload.name), []).append(int(row))
    findings = [
        _finding(rule, observed, keys, rows, bool(firing[rows].any()), (share, used, limit), periods.times)
        for _, rows in sorted(groups.items())
    ]
    recent = np.isfinite(periods.values[:, -1]) if periods.values.size else np.zeros(0, dtype=np.bool_)
    return Evaluation(tuple(findings), frozenset(key[:2] for key, seen in zip(keys, recent, strict=True) if seen))


def _finding(
    rule: ThrottleRule,
    observed: Observed,
    keys: list[ContainerKey],
    rows: list[int],
    firing: bool,
    series: tuple[Float64, Float64, Float64],
    times: Float64,
) -> Finding:
    share, used, limit = series
    worst = max(rows, key=lambda row: (float(np.nanmedian(share[row])), -row))
    namespace, pod, container = keys[worst]
    target = observed.pods[namespace, pod].workload
    held, most, cores = float(np.nanmedian(share[worst])), float(np.nanmedian(used[worst])), float(limit[worst])
    where = (equal("namespace", namespace), pod_matcher(target), equal("container", container))
    parts = (rate_query(part, rule.rate_window, ("pod",), *where) for part in (rule.throttled, rule.periods))
    return Finding(
        type=rule.type,
        target=target,
        firing=firing,
        severity=rule.severity,
        confidence_percent=85,
        summary=(
            f"{container} uses {most:.0%} of its limit of {cores:g} CPUs and is held back in {held:.0%} of the "
            f"periods, for {span(rule.lasting)}"
        ),
        onset=float(times[0]),
        seen_at=float(times[-1]),
        pods=tuple(sorted({keys[row][1] for row in rows})),
        metrics=(
            MetricEvidence(
                query=" / ".join(str(part) for part in parts),
                summary=f"{pod}: {held:.0%} of CPU periods throttled at {most:.0%} of the limit",
                value=measure(held),
                unit="ratio",
            ),
        ),
    )


def _rows(rates: Rates, keys: list[ContainerKey], like: Rates) -> Float64:
    """The rates of the same containers in the same order, NaN where there are none. ``float64[series, step]``."""
    position = {container_key(labels): row for row, labels in enumerate(rates.labels)}
    rows = np.array([position.get(key, -1) for key in keys], dtype=np.int64)
    if not rates.values.size or rates.values.shape[1] != like.values.shape[1]:
        return np.full(like.values.shape, np.nan)
    return np.where((rows >= 0)[:, None], rates.values[np.maximum(rows, 0)], np.nan)


def _aligned(block: Block, keys: list[ContainerKey]) -> Float64:
    highest = row_max(block.values.astype(np.float64))
    known = {container_key(labels): value for labels, value in zip(block.labels, highest, strict=True)}
    return np.array([known.get(key, np.nan) for key in keys], dtype=np.float64)
