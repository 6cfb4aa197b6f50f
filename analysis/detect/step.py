"""A sudden rise of a container's metric that stays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.detect.containers import STALE_SECONDS, Containers, by_workload, containers, pod_key
from analysis.detect.finding import Evaluation, Finding, Observed
from analysis.detect.rules import StepRule
from analysis.telemetry.query import equal, selector
from analysis.windows.block import BIRTH_GAP_SECONDS, Block, Float64, pack
from analysis.windows.robust import median
from analysis.words import measure as as_measure
from analysis.words import mib
from analysis.workloads import pod_matcher
from crds.v1alpha1.base import Severity
from crds.v1alpha1.detection import MetricEvidence


@dataclass(frozen=True, slots=True)
class Step:
    """The largest rise within a few seconds. ``float64[series]`` each, times in Unix seconds."""

    at: Float64
    jump: Float64
    """The rise within those seconds; ``after - before`` compares all that was seen on both sides."""
    before: Float64
    after: Float64
    last: Float64
    last_at: Float64
    history: Float64
    """Seconds of data before the rise."""


def largest_step(block: Block, within: float, warm_up: float, started: Float64) -> Step:
    """The largest rise between samples at most ``within`` seconds apart, with the medians on both sides."""
    x, y, count = pack(block)
    none = np.full(x.shape[0], np.nan)
    if x.shape[0] == 0 or x.shape[1] < 2:
        return Step(none, none, none, none, none, none, none)
    seen_late = np.where(x[:, 0] > BIRTH_GAP_SECONDS, x[:, 0] + warm_up, 0.0)
    born = np.where(np.isfinite(started), np.maximum(started - block.start + warm_up, 0.0), seen_late)
    rises = np.full(x.shape, -np.inf)
    for lag in (1, 2):  # a jump may fall between two samples or across one
        apart = x[:, lag:] - x[:, :-lag]
        with np.errstate(invalid="ignore"):
            allowed = (apart <= within) & (x[:, :-lag] >= born[:, None])
        rises[:, lag:] = np.maximum(rises[:, lag:], np.where(allowed, y[:, lag:] - y[:, :-lag], -np.inf))
    at = rises.argmax(axis=1)[:, None]
    found = np.isfinite(np.take_along_axis(rises, at, axis=1)[:, 0])
    columns = np.arange(x.shape[1])[None, :]
    before = median(np.where((columns < at - 1) & (x >= born[:, None]), y, np.nan))
    after = median(np.where(columns >= at, y, np.nan))
    last = np.maximum(count - 1, 0)[:, None]
    moment_of = np.take_along_axis(x, at, axis=1)[:, 0]
    return Step(
        at=np.where(found, moment_of + block.start, np.nan),
        jump=np.take_along_axis(rises, at, axis=1)[:, 0],
        before=before,
        after=after,
        last=np.take_along_axis(y, last, axis=1)[:, 0],
        last_at=np.take_along_axis(x, last, axis=1)[:, 0] + block.start,
        history=moment_of - np.maximum(x[:, 0], born),
    )


def evaluate_step(rule: StepRule, observed: Observed) -> Evaluation | None:
    """Containers whose metric has jumped and stays up, one finding per workload; None without data."""
    data = containers(rule, observed)
    if data is None:
        return None
    window = data.block.tail(rule.window)
    step = largest_step(window, rule.within, rule.warm_up, data.started)
    with np.errstate(invalid="ignore"):
        rise = step.after - step.before
        firing = np.logical_and.reduce(
            (
                data.limit > 0,
                step.last_at >= observed.now - STALE_SECONDS,
                step.history >= rule.baseline,
                rise >= rule.min_rise_share * data.limit,
                step.jump >= rule.min_jump_share * rise,
                step.after >= rule.min_level_share * data.limit,
                step.last >= step.before + rule.stay_share * rise,
            )
        )
    findings = tuple(_step_finding(rule, data, step, rows, observed) for rows in by_workload(window, firing, observed))
    return Evaluation(findings, data.fresh)


def _step_finding(rule: StepRule, data: Containers, step: Step, rows: list[int], observed: Observed) -> Finding:
    worst = max(rows, key=lambda row: (step.after[row] / data.limit[row], -row))
    labels = data.block.labels[worst]
    pods = tuple(sorted({data.block.labels[row]["pod"] for row in rows}))
    share = float(step.after[worst] / data.limit[worst])
    where = selector(
        rule.metric,
        equal("namespace", labels["namespace"]),
        pod_matcher(observed.pods[pod_key(labels)].workload),
        equal("container", labels["container"]),
    )
    rose = f"{mib(float(step.before[worst]))} to {mib(float(step.after[worst]))}"
    return Finding(
        type=rule.type,
        target=observed.pods[pod_key(labels)].workload,
        firing=True,
        severity=Severity.HIGH if share >= 0.9 else rule.severity,
        confidence_percent=min(95, 60 + round(35 * share)),
        summary=f"working set jumped from {rose} on {len(pods)} pods, {share:.0%} of the limit",
        onset=min(float(step.at[row]) for row in rows),
        seen_at=max(float(step.last_at[row]) for row in rows),
        pods=pods,
        metrics=(MetricEvidence(query=where, summary=rose, value=as_measure(float(step.after[worst])), unit="bytes"),),
    )
