"""Rules over counters of requests, summed over the pods of a workload: shares, and what quantiles need too."""

from __future__ import annotations

import numpy as np

from analysis.detect.finding import Evaluation, Finding, Observed, PodKey, Rates
from analysis.detect.pods import namespaces, workloads
from analysis.detect.rules import CounterSelector, QuantileRule, RatioRule
from analysis.telemetry.query import Matcher, RateSum, Select, among, equal, matching
from analysis.windows.block import Bool, Float64, Int64
from analysis.windows.robust import median
from analysis.words import measure, span
from analysis.workloads import pod_matcher
from crds.v1alpha1.base import TargetRef
from crds.v1alpha1.detection import MetricEvidence

MIN_STEPS = 3


def rate_query(
    counters: CounterSelector, window: float, by: tuple[str, ...], *scope: Matcher, native: bool = False
) -> RateSum:
    """``sum by (…) (rate(counter{…}[60s]))``. After the data stop, ``rate`` goes empty within its own window."""
    matchers = [matching(label, pattern) for label, pattern in sorted(counters.matching.items())]
    return RateSum(Select(counters.metric, (*scope, *matchers), native), window, by)


def in_namespaces(observed: Observed) -> Matcher:
    """Matcher for all namespaces of the topology."""
    return among("namespace", namespaces(observed.pods))


def of_workload(target: TargetRef) -> tuple[Matcher, Matcher]:
    """Matchers for the pods of one workload, by the names that its controller gives: short however many there are."""
    return equal("namespace", target.namespace), pod_matcher(target)


def _same(one: TargetRef, other: TargetRef) -> bool:
    return (one.kind, one.namespace, one.name) == (other.kind, other.namespace, other.name)


def queries(rule: RatioRule, observed: Observed) -> tuple[RateSum, RateSum]:
    """What has to be read before the rule can be evaluated."""
    above, below = (
        rate_query(part, rule.rate_window, ("namespace", "pod"), in_namespaces(observed))
        for part in (rule.numerator, rule.denominator)
    )
    return above, below


def evaluate_ratio(rule: RatioRule, observed: Observed) -> Evaluation | None:
    """Workloads whose share is too high at every step of the rule's time; None without data."""
    above, below = (observed.rates.get(query) for query in queries(rule, observed))
    if above is None or below is None:
        return None
    above, below = past(rule, above), past(rule, below)
    workloads, late = workloads_of(observed), in_time(rule, below.times)
    settled_below = settled(rule, below, observed)
    share = _shares(rule, settled(rule, above, observed), settled_below, workloads, observed)
    firing, staying = lasting(share[:, late], rule.threshold), still(share[:, late], rule.clear)
    if rule.before:
        firing &= was_below(share[:, ~late], rule.threshold / 2)
    whole = share
    if rule.warm_up and firing.any():
        whole = _shares(rule, above, below, workloads, observed)
        firing |= suffered(lasting(whole[:, late], rule.threshold), firing, workloads)
    findings = []
    for row in np.flatnonzero(firing | staying):
        value = float(np.nanmedian(whole[row, late]))
        scope = of_workload(workloads[row])
        top, bottom = (
            rate_query(part, rule.rate_window, ("pod",), *scope) for part in (rule.numerator, rule.denominator)
        )
        evidence = MetricEvidence(
            query=f"sum({top}) / sum({bottom})"[:768],
            summary=f"{value:.0%} {rule.what}",
            value=measure(value),
            unit="ratio",
        )
        text = f"{value:.0%} {rule.what} for {span(rule.lasting)}"
        times = began(whole[row], below.times, late, rule.threshold), float(below.times[-1])
        findings.append(finding(rule, observed, workloads[row], times, bool(firing[row]), text, evidence))
    return Evaluation(tuple(findings), fresh(settled_below))


def _shares(rule: RatioRule, above: Rates, below: Rates, workloads: list[TargetRef], observed: Observed) -> Float64:
    """``float64[workload, step]``; NaN where there are too few requests."""
    total, part = _sum(below, workloads, observed), _sum(above, workloads, observed)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total >= rule.min_rate, np.nan_to_num(part) / total, np.nan)


def past(rule: RatioRule | QuantileRule, rates: Rates) -> Rates:
    """The rates as far back as the rule looks: rules share them, and the most patient one decides what is read."""
    since = np.flatnonzero(rates.times > rates.times[-1:] - rule.looks_back - rule.step / 2)
    return Rates(rates.labels, rates.times[since], rates.values[:, since])


def in_time(rule: RatioRule | QuantileRule, times: Float64) -> Bool:
    """Which steps are within the rule's own time."""
    return np.asarray(times > times[-1:] - rule.lasting - rule.step / 2, dtype=np.bool_)


def suffered(hidden: Bool, firing: Bool, workloads: list[TargetRef]) -> Bool:
    """Workloads whose warm-up hides what a settled one of their namespace shows: somebody else has it from them.

    Which of both it lies in, the calls between them say (``analysis.correlate``); without this one the caller would
    stand alone.
    """
    spaces = {workloads[row].namespace for row in np.flatnonzero(firing)}
    return hidden & np.array([one.namespace in spaces for one in workloads], dtype=np.bool_)


def began(values: Float64, times: Float64, late: Bool, threshold: float) -> float:
    """Since when one workload has been above the threshold without a break, Unix seconds.

    What a warm-up hides accuses nobody, and yet tells when a fault began: else a caller, whose pods are older, seems to
    have had it first.
    """
    start = int(np.argmax(late))
    while start > 0 and values[start - 1] > threshold:
        start -= 1
    return float(times[start])


def settled(rule: RatioRule | QuantileRule, rates: Rates, observed: Observed) -> Rates:
    """The rates without those whose window reaches into a pod's warm-up."""
    if not rule.warm_up or not rates.values.size:
        return rates
    born: dict[PodKey, float] = {}
    for (namespace, pod, _), at in observed.started.items():
        born[namespace, pod] = max(at, born.get((namespace, pod), at))
    keys = [(labels.get("namespace", ""), labels.get("pod", "")) for labels in rates.labels]
    ready = np.array([born.get(key, -np.inf) for key in keys]) + rule.warm_up + rule.rate_window
    return Rates(rates.labels, rates.times, np.where(rates.times[None, :] >= ready[:, None], rates.values, np.nan))


def workloads_of(observed: Observed) -> list[TargetRef]:
    return list(workloads(observed.pods))


def owner_rows(rates: Rates, workloads: list[TargetRef], observed: Observed) -> Int64:
    """Row of the workload that each series belongs to, -1 for pods that are not in the topology."""
    position = {(one.namespace, one.kind, one.name): row for row, one in enumerate(workloads)}
    rows = []
    for labels in rates.labels:
        pod = observed.pods.get((labels.get("namespace", ""), labels.get("pod", "")))
        rows.append(position[pod.workload.namespace, pod.workload.kind, pod.workload.name] if pod else -1)
    return np.array(rows, dtype=np.int64)


def _sum(rates: Rates, workloads: list[TargetRef], observed: Observed) -> Float64:
    """``float64[workload, step]``; NaN where no pod has data."""
    rows = owner_rows(rates, workloads, observed)
    keep = rows >= 0
    shape = (len(workloads), rates.times.size)
    total, seen = np.zeros(shape), np.zeros(shape, dtype=np.int64)
    np.add.at(total, rows[keep], np.nan_to_num(rates.values[keep]))
    np.add.at(seen, rows[keep], np.isfinite(rates.values[keep]).astype(np.int64))
    return np.where(seen > 0, total, np.nan)


def lasting(values: Float64, threshold: float) -> Bool:
    """Rows above the threshold at every step that has data, with data at most steps and at the last one."""
    if values.shape[1] < MIN_STEPS:
        return np.zeros(values.shape[0], dtype=np.bool_)
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        high = np.where(known, values > threshold, True).all(axis=1)
    return np.asarray(high & (known.mean(axis=1) >= 0.8) & known[:, -1], dtype=np.bool_)


def still(values: Float64, clear: float) -> Bool:
    """Rows above ``clear`` at every step that has data, and at the last one.

    What was called is over when it is seen to be over: after a gap the few samples that there are end nothing.
    """
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        high = np.where(known, values > clear, True).all(axis=1)
    return np.asarray(high & known[:, -1:].any(axis=1), dtype=np.bool_)


def was_below(values: Float64, threshold: float) -> Bool:
    """Rows whose median was at most the threshold, with data at most steps. An unknown past accuses nobody."""
    if values.shape[1] < MIN_STEPS:
        return np.zeros(values.shape[0], dtype=np.bool_)
    known = np.isfinite(values).mean(axis=1) >= 0.8
    return np.asarray(known & (median(values) <= threshold), dtype=np.bool_)


def fresh(rates: Rates) -> frozenset[PodKey]:
    recent = np.isfinite(rates.values[:, -1:]).sum(axis=1) > 0
    return frozenset(
        (labels.get("namespace", ""), labels.get("pod", ""))
        for labels, is_recent in zip(rates.labels, recent, strict=True)
        if is_recent
    )


def finding(
    rule: RatioRule | QuantileRule,
    observed: Observed,
    target: TargetRef,
    times: tuple[float, float],
    firing: bool,
    summary: str,
    evidence: MetricEvidence,
) -> Finding:
    pods = tuple(
        sorted(
            name
            for (space, name), pod in observed.pods.items()
            if space == target.namespace and _same(pod.workload, target)
        )
    )
    return Finding(
        type=rule.type,
        target=target,
        firing=firing,
        severity=rule.severity,
        confidence_percent=80,
        summary=summary,
        onset=times[0],
        seen_at=times[1],
        pods=pods,
        metrics=(evidence,),
    )
