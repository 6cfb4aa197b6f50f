"""Disks, volumes and other bounded stores that fill up: how full, how fast, and when they will be full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.detect.containers import STALE_SECONDS
from analysis.detect.finding import Evaluation, Finding, Level, Observed, TargetKey
from analysis.detect.rules import FillRule
from analysis.telemetry.query import Matcher, Select, equal, matching, selector
from analysis.windows.block import Block, Bool, Float64
from analysis.windows.growth import Growth, TimeTo, asymptote, measure, time_to, without_repeats
from analysis.windows.robust import Slope, features, newest, row_max
from analysis.words import clock, mib, mib_per_minute, moment, span
from analysis.words import measure as as_measure
from crds.v1alpha1.base import Scope, Severity, TargetRef
from crds.v1alpha1.detection import MetricEvidence, Prediction

Owner = tuple[TargetRef, tuple[str, ...]]
"""Whom a store belongs to, and the pods that use it."""
FARTHEST = 7 * 86400.0
"""An interval may be open to the right; the API has no infinity."""


@dataclass(frozen=True, slots=True)
class Stores:
    """Stores of one rule. ``used`` is a block of bytes, ``capacity: float64[series]``."""

    used: Block
    capacity: Float64
    share: Float64
    last_at: Float64
    lowest: Float64
    """Lowest use within the window."""
    crossed_at: Float64
    """When it was first over the threshold within the window; NaN if never."""
    growth: Growth
    until: TimeTo
    recent: Slope


def concerns(rule: FillRule, observed: Observed) -> bool:
    """Whether there is anything that such a rule could be about: without it nothing has to be read."""
    match rule.of:
        case "node":
            return bool(observed.nodes)
        case "volume":
            return any(pod.claims for pod in observed.pods.values())
        case "container":
            return bool(observed.pods)


def gauges(rule: FillRule) -> tuple[Level, Level]:
    """What has to be read: what is free, and the capacity."""
    matchers = _matchers(rule)
    return Level(Select(rule.free, matchers), rule.by), Level(Select(rule.capacity, matchers), rule.by)


def _matchers(rule: FillRule) -> tuple[Matcher, ...]:
    return tuple(matching(label, pattern) for label, pattern in sorted(rule.matching.items()))


def evaluate_fill(rule: FillRule, observed: Observed) -> Evaluation | None:
    """Stores that are nearly full, or will be within the rule's horizon; one finding per owner. None without data."""
    if not concerns(rule, observed):
        return Evaluation()
    free, capacity = (observed.levels.get(level) for level in gauges(rule))
    if free is None or capacity is None:
        return None
    stores = _stores(rule, free, capacity)
    if stores is None:
        return Evaluation()
    owners = [_owner(rule, labels, observed) for labels in stores.used.labels]
    full, filling = _is_full(rule, stores, 1.0), _fills(rule, stores, 1.0)
    near, still = _is_full(rule, stores, rule.clear_factor), _fills(rule, stores, rule.clear_factor)
    fresh = stores.last_at >= observed.now - STALE_SECONDS
    firing, staying = (full | filling) & fresh, (near | still) & fresh
    groups: dict[TargetKey, list[int]] = {}
    for row in np.flatnonzero(firing | staying):
        owner = owners[row]
        if owner is not None:
            groups.setdefault((owner[0].namespace, owner[0].kind, owner[0].name), []).append(int(row))
    findings = [
        _finding(rule, stores, _worst(groups[key], firing, stores), firing, full, owners) for key in sorted(groups)
    ]
    known = [owner[0] for owner, is_fresh in zip(owners, fresh, strict=True) if owner is not None and is_fresh]
    return Evaluation(tuple(findings), targets=frozenset((one.kind, one.namespace, one.name) for one in known))


def _worst(rows: list[int], firing: Bool, stores: Stores) -> int:
    return max(rows, key=lambda row: (bool(firing[row]), float(stores.share[row]), -row))


def _stores(rule: FillRule, free: Block, capacity: Block) -> Stores | None:
    size = {_key(rule, labels): value for labels, value in zip(capacity.labels, newest(capacity.values), strict=True)}
    total = np.array([size.get(_key(rule, labels), np.nan) for labels in free.labels], dtype=np.float64)
    known = np.isfinite(total) & (total > 0)
    if not known.any():
        return None
    free, total = free.take(known), total[known]
    values = (total[:, None] - free.values.astype(np.float64)).astype(np.float32)
    used = Block(free.labels, free.start, free.step, free.offsets, values)
    growth = measure(without_repeats(used, rule.refresh), 0.0)
    last = newest(used.values)
    with np.errstate(invalid="ignore"):
        share = last / total
        above = np.where(used.values >= (rule.threshold * total)[:, None], used.offsets, np.nan)
    return Stores(
        used=used,
        capacity=total,
        share=np.nan_to_num(share),
        last_at=np.nan_to_num(row_max(used.offsets.astype(np.float64)) + used.start, nan=-np.inf),
        crossed_at=-row_max(-above.astype(np.float64)) + used.start,
        lowest=-row_max(-used.values.astype(np.float64)),
        growth=growth,
        until=time_to(total, last, growth.slope),
        recent=features(used, rule.recent).slope,
    )


def _is_full(rule: FillRule, stores: Stores, ease: float) -> Bool:
    """Full by any measure, or nearly so and still rising. A store that has always been so full is how it is meant."""
    with np.errstate(invalid="ignore"):
        margin = (1.0 - rule.threshold) * ease
        last = stores.share * stores.capacity
        rising = last - stores.lowest >= rule.min_rise_share / ease * stores.capacity
        nearly = (stores.share >= 1.0 - margin) & (rising | (ease > 1.0))
        return np.asarray(nearly | (stores.share >= 1.0 - (1.0 - rule.full) * ease), dtype=np.bool_)


def _fills(rule: FillRule, stores: Stores, ease: float) -> Bool:
    found = stores.growth
    with np.errstate(invalid="ignore"):
        conditions = (
            stores.share >= rule.min_share / ease,
            found.samples >= rule.min_samples,
            found.span >= rule.min_span / ease,
            found.growth >= rule.min_growth_share / ease * stores.capacity,
            found.slope.tau >= rule.min_monotonicity / ease,
            found.slope.low > 0,
            found.biggest_step <= rule.max_step_share * ease * found.growth,
            stores.until.expected <= rule.horizon * ease,
            found.span >= rule.min_elapsed_share / ease * (found.span + stores.until.expected),
            asymptote(found) >= rule.full * stores.capacity,
            ~(stores.recent.value < rule.min_recent_share / ease * found.slope.value),
            ~(found.last < found.earlier_peak),
        )
    return np.asarray(np.logical_and.reduce(conditions), dtype=np.bool_)


def _owner(rule: FillRule, labels: dict[str, str], observed: Observed) -> Owner | None:
    """None when a store belongs to nobody that we know."""
    match rule.of:
        case "node":
            node = observed.nodes.get(labels.get("node", ""))
            if node is None:
                return None
            return TargetRef(api_version="v1", kind="Node", name=node.name, uid=node.uid), ()
        case "volume":
            space, claim = labels.get("namespace", ""), labels.get("persistentvolumeclaim", "")
            users = [pod for (where, _), pod in observed.pods.items() if where == space and claim in pod.claims]
            users.sort(key=lambda pod: pod.name)
            return (users[0].workload, tuple(pod.name for pod in users)) if users else None
        case "container":
            pod = observed.pods.get((labels.get("namespace", ""), labels.get("pod", "")))
            return (pod.workload, (pod.name,)) if pod is not None else None


def _finding(
    rule: FillRule, stores: Stores, row: int, firing: Bool, full: Bool, owners: Sequence[Owner | None]
) -> Finding:
    owner = owners[row]
    assert owner is not None  # noqa: S101 (rows are grouped by their owner)
    target, pods = owner
    share, capacity = float(stores.share[row]), float(stores.capacity[row])
    labels, until = stores.used.labels[row], float(stores.until.expected[row])
    prediction = _prediction(stores, row) if until <= rule.horizon * rule.clear_factor and share < 1 else None
    name = " ".join(labels[one] for one in rule.by if one not in ("namespace", "node") and labels.get(one))
    rate = float(np.nan_to_num(stores.growth.slope.value[row]))
    summary = f"{rule.what} {name} is {share:.0%} full ({mib(share * capacity)} of {mib(capacity)})"
    if prediction is not None:
        summary += f", grows {mib_per_minute(rate)}, full at {clock(prediction.expected_at)} UTC, in {span(until)}"
    onset = float(stores.growth.onset[row]) if prediction is not None else float(stores.crossed_at[row])
    urgent = share >= rule.full or until <= rule.critical_within
    return Finding(
        type=rule.type,
        target=target,
        firing=bool(firing[row]),
        severity=Severity.CRITICAL if urgent else rule.severity,
        confidence_percent=95 if full[row] else 80,
        summary=summary,
        onset=onset,
        seen_at=float(stores.last_at[row]),
        pods=pods,
        predicted=prediction is not None and share < rule.full,
        prediction=prediction,
        metrics=(_evidence(rule, labels, share, rate),),
        scope={"node": Scope.NODE, "volume": Scope.VOLUME, "container": Scope.WORKLOAD}[rule.of],
    )


def _prediction(stores: Stores, row: int) -> Prediction:
    at, until = float(stores.last_at[row]), stores.until
    expected, earliest, latest = (
        moment(at + min(float(one[row]), FARTHEST)) for one in (until.expected, until.earliest, until.latest)
    )
    return Prediction(
        resource="disk",
        limit=as_measure(float(stores.capacity[row])),
        unit="bytes",
        expected_at=expected,
        earliest_at=earliest,
        latest_at=latest,
    )


def _evidence(rule: FillRule, labels: dict[str, str], share: float, rate: float) -> MetricEvidence:
    where = [*(equal(one, labels[one]) for one in rule.by), *_matchers(rule)]
    free, capacity = selector(rule.free, *where), selector(rule.capacity, *where)
    return MetricEvidence(
        query=f"1 - {free} / {capacity}"[:768],
        summary=f"{share:.1%} used, {mib_per_minute(rate)}",
        value=as_measure(share),
        unit="ratio",
    )


def _key(rule: FillRule, labels: dict[str, str]) -> tuple[str, ...]:
    return tuple(labels.get(one, "") for one in rule.by)
