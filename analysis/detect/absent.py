"""Workloads whose metrics have gone while their pods run on, and while the metrics of others keep coming.

What is blind is not well, so it is said. It is said of a workload only where the scraper itself is seen to work: when
most targets of the cluster, or of the namespace, go at once, it is the scraper, the network or the metrics store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

import numpy as np

from analysis.contract import PodFact
from analysis.detect.containers import STALE_SECONDS, pod_key, seen_pods
from analysis.detect.finding import Evaluation, Finding, Level, Observed, PodKey
from analysis.detect.rules import AbsentRule
from analysis.detect.services import in_namespaces, of_workload, workloads_of
from analysis.telemetry.query import Select, differs, matching
from analysis.windows.block import Block, Bool, Float64, Int64
from analysis.windows.robust import row_max
from analysis.words import clock, moment
from analysis.workloads import family
from crds.v1alpha1.base import TargetRef
from crds.v1alpha1.detection import MetricEvidence

MIN_UP_SHARE = 0.8
"""Of the samples before: a target that comes and goes is nothing that one could miss."""
MIN_COVERED = 0.6
"""Of the rule's time that the failed scrapes must span."""
CONFIDENCE = 85


@dataclass(frozen=True, slots=True)
class Scrapes:
    """What the scrapes of each workload's pods said; all arrays are ``[workload]``."""

    workloads: list[TargetRef]
    known: Bool
    """Were there for long enough, before the rule's time."""
    steady: Bool
    """Were there at the beginning of the rule's time and are now."""
    silent: Bool
    """Not one has succeeded within the rule's time."""
    failed: Bool
    """Some failed within it."""
    last_up: Float64
    """Unix seconds; -inf for never."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the scrapes of one pod said within the rule's time, as Unix seconds; NaN where there was none."""

    first: float
    last: float
    was_up: bool
    """Before it."""


def levels(rule: AbsentRule, observed: Observed) -> tuple[Level, ...]:
    """What has to be read: whether each pod's targets could be scraped."""
    if not observed.pods:
        return ()
    matchers = [matching(label, pattern) for label, pattern in sorted(rule.matching.items())]
    scope = (in_namespaces(observed), differs("pod", ""), *matchers)
    return (Level(Select(rule.metric, scope), ("namespace", "pod")),)


def evaluate_absent(rule: AbsentRule, observed: Observed) -> Evaluation | None:
    """Workloads all of whose running pods serve no metrics any more; None without data."""
    alive = observed.blocks.get(rule.alive)
    block = next((observed.levels.get(level) for level in levels(rule, observed)), None)
    if alive is None or block is None:
        return None
    scrapes = _scrapes(rule, block, observed)
    candidates = np.flatnonzero(scrapes.silent & (scrapes.known | scrapes.failed))
    findings = []
    if candidates.size:
        targets, pods = _targets(rule, block, observed.now), _by_workload(observed)
        running = seen_pods(rule.alive, alive, observed)
        for row in candidates.tolist():
            target = scrapes.workloads[row]
            own = [pod for pod in pods[_key(target)] if not pod.deleting]
            if own and all(_absent(rule, pod, targets, running, observed) for pod in own):
                firing = bool(scrapes.known[row]) and _others_are_seen(rule, scrapes, row)
                findings.append(_finding(rule, target, own, float(scrapes.last_up[row]), observed.now, firing))
    return Evaluation(tuple(findings), seen_pods(rule.metric, block, observed))


def _times(block: Block) -> Float64:
    """``float64[series, time]``, Unix seconds, NaN for gaps."""
    return np.asarray(block.offsets.astype(np.float64) + block.start)


def _scrapes(rule: AbsentRule, block: Block, observed: Observed) -> Scrapes:
    workloads = workloads_of(observed)
    rows = _rows(block, workloads, observed)
    mine = rows >= 0
    rows, at, up = rows[mine], _times(block)[mine], block.values[mine] > 0
    begin = observed.now - rule.lasting
    before = at < begin
    recent = np.isfinite(at) & ~before
    good = np.where(up & before, at, np.nan)
    first_up = -_highest(rows, -good, len(workloads))
    last_good = _highest(rows, good, len(workloads))
    while_known = before & (at <= last_good[rows][:, None])  # what fails since then is what is asked about
    count_up, count = (_count(rows, mask, len(workloads)) for mask in (up & before, while_known))
    last_up = _highest(rows, np.where(up, at, np.nan), len(workloads))
    with np.errstate(invalid="ignore"):
        long = last_good - first_up >= rule.min_known
    early, late = at < begin + rule.lasting / 3, at >= observed.now - rule.lasting / 3
    return Scrapes(
        workloads,
        known=long & (count_up >= MIN_UP_SHARE * count),
        steady=(_count(rows, up & recent & early, len(workloads)) > 0) & (_count(rows, up & late, len(workloads)) > 0),
        silent=_count(rows, up & recent, len(workloads)) == 0,
        failed=_count(rows, ~up & recent, len(workloads)) > 0,
        last_up=last_up,
    )


def _rows(block: Block, workloads: list[TargetRef], observed: Observed) -> Int64:
    """Row of the workload that each series belongs to; a pod that is gone is known by its name. -1: of none."""
    position = {_key(target): row for row, target in enumerate(workloads)}
    named = {(target.namespace, target.name): row for row, target in enumerate(workloads)}
    found = []
    for labels in block.labels:
        key = pod_key(labels)
        pod = observed.pods.get(key)
        found.append(position[_key(pod.workload)] if pod else named.get((key[0], family(key[1])), -1))
    return np.array(found, dtype=np.int64)


def _count(rows: Int64, mask: Bool, size: int) -> Int64:
    return np.bincount(rows, weights=mask.sum(axis=1), minlength=size).astype(np.int64)


def _highest(rows: Int64, values: Float64, size: int) -> Float64:
    found = np.full(size, -np.inf)
    np.maximum.at(found, rows, np.nan_to_num(row_max(values), nan=-np.inf))
    return found


def _targets(rule: AbsentRule, block: Block, now: float) -> Mapping[PodKey, Target]:
    at = _times(block)
    within = np.where(at >= now - rule.lasting, at, np.nan)
    first, last = -row_max(-within), row_max(within)
    was_up = np.any((block.values > 0) & (at < now - rule.lasting), axis=1).tolist()
    told = zip(block.labels, first.tolist(), last.tolist(), was_up, strict=True)
    return {pod_key(labels): Target(*rest) for labels, *rest in told}


def _by_workload(observed: Observed) -> Mapping[tuple[str, str, str], list[PodFact]]:
    found: dict[tuple[str, str, str], list[PodFact]] = {}
    for pod in observed.pods.values():
        found.setdefault(_key(pod.workload), []).append(pod)
    return found


def _absent(
    rule: AbsentRule,
    pod: PodFact,
    targets: Mapping[PodKey, Target],
    running: Set[PodKey],
    observed: Observed,
) -> bool:
    """Whether a pod has run for long enough and shows no metrics: every scrape fails, or there is none any more."""
    key = (pod.namespace, pod.name)
    target = targets.get(key)
    starts = [observed.started.get((*key, container)) for container in pod.containers]
    born = max((at for at in starts if at is not None), default=None)
    if target is None or key not in running or born is None or born > observed.now - rule.warm_up - rule.lasting:
        return False
    if np.isnan(target.last):
        return target.was_up
    covered = target.last - target.first >= MIN_COVERED * rule.lasting
    return covered and target.last >= observed.now - STALE_SECONDS


def _others_are_seen(rule: AbsentRule, scrapes: Scrapes, row: int) -> bool:
    """Whether most other targets that were there are there still, in the cluster and in the namespace."""
    spaces = np.array([target.namespace for target in scrapes.workloads])
    for around in (np.ones(len(spaces), dtype=np.bool_), spaces == spaces[row]):
        steady, before = int((scrapes.steady & around).sum()), int((scrapes.known & around).sum()) - 1
        if steady < rule.min_others_share * before:
            return False
    return bool(scrapes.steady.any())


def _finding(
    rule: AbsentRule, target: TargetRef, pods: Iterable[PodFact], last_up: float, now: float, firing: bool
) -> Finding:
    names = tuple(sorted(pod.name for pod in pods))
    since = f"since {clock(moment(last_up))} UTC" if np.isfinite(last_up) else "for a quarter of an hour"
    many = f"{len(names)} pods run and serve" if len(names) > 1 else "its pod runs and serves"
    query = f"sum({Select(rule.metric, of_workload(target))})"
    return Finding(
        type=rule.type,
        target=target,
        firing=firing,
        severity=rule.severity,
        confidence_percent=CONFIDENCE,
        summary=f"{many} no metrics {since}: what they would show is not seen",
        onset=last_up if np.isfinite(last_up) else now - rule.window,
        seen_at=now,
        pods=names,
        metrics=(MetricEvidence(query=query[:768], summary="targets that can be scraped", value="0", unit="targets"),),
    )


def _key(target: TargetRef) -> tuple[str, str, str]:
    return target.namespace, target.kind, target.name
