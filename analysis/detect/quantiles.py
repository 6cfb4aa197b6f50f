"""Rules over histograms of requests, summed over the pods of a workload: quantiles of the latency.

Histograms come as classic buckets or as native ones, which are read as buckets too (``analysis.telemetry.native``). A
pod that has both counts once, by its native ones, which are finer.
"""

from __future__ import annotations

import numpy as np

from analysis.detect.finding import Evaluation, Observed, PodKey, Rates
from analysis.detect.rules import CounterSelector, QuantileRule
from analysis.detect.services import (
    began,
    finding,
    fresh,
    in_namespaces,
    in_time,
    lasting,
    of_workload,
    owner_rows,
    past,
    rate_query,
    settled,
    still,
    suffered,
    workloads_of,
)
from analysis.telemetry.query import RateSum
from analysis.windows.block import Bool, Float64, Int64
from analysis.words import measure, span
from crds.v1alpha1.base import TargetRef
from crds.v1alpha1.detection import MetricEvidence

BUCKET = "_bucket"


def queries(rule: QuantileRule, observed: Observed) -> tuple[RateSum, RateSum]:
    """What has to be read before the rule can be evaluated: classic and native histograms."""
    by, scope = ("namespace", "pod", "le"), in_namespaces(observed)
    classic = rate_query(rule.histogram, rule.rate_window, by, scope)
    return classic, rate_query(_native(rule), rule.rate_window, by, scope, native=True)


def evaluate_quantile(rule: QuantileRule, observed: Observed) -> Evaluation | None:
    """Workloads whose quantile is too high at every step of the rule's time; None without data."""
    classic, native = (observed.rates.get(query) for query in queries(rule, observed))
    if classic is None or native is None:
        return None
    rates = past(rule, _joined(_readable(classic), _readable(native)))
    workloads, late = workloads_of(observed), in_time(rule, rates.times)
    known = settled(rule, rates, observed)
    value = _quantiles(rule, known, workloads, observed)
    firing, staying = lasting(value[:, late], rule.threshold), still(value[:, late], rule.clear)
    whole = value
    if rule.warm_up and firing.any():
        whole = _quantiles(rule, rates, workloads, observed)
        firing |= suffered(lasting(whole[:, late], rule.threshold), firing, workloads)
    findings = []
    finer = {_pod(labels) for labels in native.labels}
    for row in np.flatnonzero(firing | staying):
        now = float(np.nanmedian(whole[row, late]))
        target = workloads[row]
        has_native = any(observed.pods[pod].workload == target for pod in finer & observed.pods.keys())
        evidence = MetricEvidence(
            query=_evidence(rule, target, native=has_native),
            summary=f"{rule.what} {now:.2f} s",
            value=measure(now),
            unit="s",
        )
        text = f"{rule.what} {now:.2f} s for {span(rule.lasting)}"
        times = began(whole[row], rates.times, late, rule.threshold), float(rates.times[-1])
        findings.append(finding(rule, observed, target, times, bool(firing[row]), text, evidence))
    return Evaluation(tuple(findings), fresh(known))


def _quantiles(rule: QuantileRule, rates: Rates, workloads: list[TargetRef], observed: Observed) -> Float64:
    """``float64[workload, step]``; NaN where there are too few requests."""
    bounds = np.unique(_bounds(rates))
    stacked = summed_buckets(rates, bounds, owner_rows(rates, workloads, observed), len(workloads))
    return histogram_quantile(rule.quantile, bounds, stacked, rule.min_rate)


def histogram_quantile(quantile: float, bounds: Float64, rates: Float64, min_rate: float) -> Float64:
    """Quantile by linear interpolation within the bucket, as Prometheus does it.

    Args:
        bounds: ``float64[bucket]``, ascending upper bounds, the last one infinite.
        rates: ``float64[workload, bucket, step]``, cumulative.

    Returns:
        ``float64[workload, step]``; NaN where there are fewer than ``min_rate`` events per second.
    """
    if bounds.size < 2 or not np.isinf(bounds[-1]):
        return np.full((rates.shape[0], rates.shape[2]), np.nan)
    total = rates[:, -1, :]
    rank = quantile * total
    index = (rates < rank[:, None, :]).sum(axis=1)
    index = np.minimum(index, bounds.size - 1)
    upper = bounds[index]
    lower = np.where(index > 0, bounds[np.maximum(index - 1, 0)], 0.0)
    count = np.take_along_axis(rates, index[:, None, :], axis=1)[:, 0, :]
    below = np.take_along_axis(rates, np.maximum(index - 1, 0)[:, None, :], axis=1)[:, 0, :] * (index > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        inside = lower + (upper - lower) * (rank - below) / (count - below)
        value = np.where(np.isinf(upper), bounds[-2], inside)
        return np.where(total >= min_rate, value, np.nan)


def summed_buckets(rates: Rates, bounds: Float64, rows: Int64, workloads: int) -> Float64:
    """Sum over the pods of each workload, ``float64[workload, bound, step]``, cumulative.

    Pods may have different buckets, between versions of a program for example: what a pod does not count at a bound of
    another is interpolated, which is what a quantile does within a bucket anyway.

    Args:
        rows: ``int64[series]``, the workload of each, -1 for none.
    """
    if not rates.labels:
        return np.zeros((workloads, bounds.size, rates.times.size))
    columns, keep = np.searchsorted(bounds, _bounds(rates)), rows >= 0
    names = {pod: index for index, pod in enumerate(dict.fromkeys(_pod(labels) for labels in rates.labels))}
    pods = np.array([names[_pod(labels)] for labels in rates.labels], dtype=np.int64)
    has = np.zeros((len(names), bounds.size), dtype=np.bool_)
    has[pods, columns] = True
    layouts, layout_of = np.unique(has, axis=0, return_inverse=True)
    pairs, group_of = np.unique(
        np.stack([rows[keep], layout_of.reshape(-1)[pods[keep]]], axis=1), axis=0, return_inverse=True
    )
    total = np.zeros((len(pairs), bounds.size, rates.times.size))
    np.add.at(total, (group_of.reshape(-1), columns[keep]), np.nan_to_num(rates.values[keep]))
    found = np.zeros((workloads, bounds.size, rates.times.size))
    np.add.at(found, pairs[:, 0], _interpolated(total, layouts[pairs[:, 1]], bounds))
    return found


def _interpolated(total: Float64, known: Bool, bounds: Float64) -> Float64:
    """Counts at all bounds from those that are known. Without a bound at infinity there is nothing to tell: zero."""
    index = np.arange(bounds.size)
    before = np.maximum.accumulate(np.where(known, index, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, index, bounds.size)[:, ::-1], axis=1)[:, ::-1]
    whole = (after < bounds.size)[:, :, None]
    after = np.minimum(after, bounds.size - 1)
    lower, upper = np.where(before >= 0, bounds[before], 0.0), bounds[after]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.where(np.isinf(upper) | (upper <= lower), 0.0, (bounds[None, :] - lower) / (upper - lower))
    low = np.take_along_axis(total, np.maximum(before, 0)[:, :, None], axis=1) * (before >= 0)[:, :, None]
    high = np.take_along_axis(total, after[:, :, None], axis=1)
    at_bound = known[:, :, None]
    return np.asarray(
        np.where(at_bound, total, low + part[:, :, None] * (high - low)) * whole[:, -1:], dtype=np.float64
    )


def _native(rule: QuantileRule) -> CounterSelector:
    """The same histogram under the name that it has when it is a native one."""
    return rule.histogram.model_copy(update={"metric": rule.histogram.metric.removesuffix(BUCKET)})


def _evidence(rule: QuantileRule, target: TargetRef, *, native: bool) -> str:
    counters, by = (_native(rule), ()) if native else (rule.histogram, ("le",))
    summed = rate_query(counters, rule.rate_window, by, *of_workload(target))
    return f"histogram_quantile({rule.quantile:g}, {summed})"[:768]


def _joined(classic: Rates, native: Rates) -> Rates:
    """All of the native histograms, and the classic ones of the other pods."""
    finer = {_pod(labels) for labels in native.labels}
    others = np.array([_pod(labels) not in finer for labels in classic.labels], dtype=np.bool_)
    labels = tuple(one for one, is_other in zip(classic.labels, others, strict=True) if is_other)
    return Rates(
        (*labels, *native.labels),
        classic.times if len(classic.labels) else native.times,
        np.concatenate([classic.values[others], native.values]) if native.labels else classic.values[others],
    )


def _readable(rates: Rates) -> Rates:
    """Without series whose bound is no number: labels come from anybody."""
    numbers = ~np.isnan(_bounds(rates))
    labels = tuple(one for one, is_number in zip(rates.labels, numbers, strict=True) if is_number)
    return Rates(labels, rates.times, rates.values[numbers])


def _bounds(rates: Rates) -> Float64:
    """Upper bound of each series' bucket, NaN when it has none."""
    return np.array([_number(labels.get("le", "")) for labels in rates.labels], dtype=np.float64)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _pod(labels: dict[str, str]) -> PodKey:
    return labels.get("namespace", ""), labels.get("pod", "")
