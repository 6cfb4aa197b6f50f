"""One metric of containers beside its limit, joined with the topology; what the container rules share."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import numpy as np

from analysis.detect.finding import ContainerKey, Observed, PodKey
from analysis.detect.rules import GrowthRule, StepRule
from analysis.windows.block import Block, Bool, Float64
from analysis.windows.robust import newest, row_max, row_min

STALE_SECONDS = 60.0
"""A series whose newest sample is older says nothing about now."""
EASE = 1 - 1e-9
"""For the rounding of what is added in one place and compared in another."""


@dataclass(frozen=True, slots=True)
class Containers:
    """Series that belong to pods of the topology and have risen, beside their limits."""

    block: Block
    limit: Float64
    started: Float64
    """Unix seconds; NaN where it is not known."""
    fresh: Set[PodKey]
    """Pods with a sample of just now, risen or not."""


def containers(rule: GrowthRule | StepRule, observed: Observed) -> Containers | None:
    """Join a metric with its limit and the containers' starts; None when metric or limit could not be read.

    Only series that have a limit, are alive and have :func:`risen` are joined with the rest and returned.
    """
    block, limits = observed.blocks.get(rule.metric), observed.blocks.get(rule.limit)
    if block is None or limits is None:
        return None
    limit = np.nan_to_num(_highest(limits, block))
    recent = newest(block.offsets) + block.start >= observed.now - STALE_SECONDS
    fresh = seen_pods(rule.metric, block, observed)
    rows = np.flatnonzero(recent & (limit > 0) & risen(block, least_rise(rule, limit)))
    rows = rows[np.array([pod_key(block.labels[row]) in observed.pods for row in rows], dtype=np.bool_)]
    block, nowhere = block.take(rows), float("nan")
    started = [observed.started.get(container_key(labels), nowhere) for labels in block.labels]
    return Containers(block, limit[rows], np.array(started, dtype=np.float64), fresh)


def least_growth(rule: GrowthRule, limit: Float64) -> Float64:
    """Growth that the rule asks for, both ``float64[series]``."""
    return np.maximum(rule.min_growth, rule.min_growth_share * limit)


def least_rise(rule: GrowthRule | StepRule, limit: Float64) -> Float64:
    """How far above the lowest value of its window a series must stand before the rule can call it, by its limit.

    Both ``float64[series]``. Rising in the limit, so the lowest limit leaves out the least.
    """
    if isinstance(rule, GrowthRule):
        return least_growth(rule, limit) / rule.clear_factor
    return EASE * rule.stay_share * rule.min_rise_share * limit


def seen_pods(metric: str, block: Block, observed: Observed) -> Set[PodKey]:
    """Pods with a sample of just now."""
    looked_at = observed.seen.get(metric)
    if looked_at is not None:
        return looked_at
    recent = newest(block.offsets) + block.start >= observed.now - STALE_SECONDS
    return {pod_key(labels) for labels, is_recent in zip(block.labels, recent.tolist(), strict=True) if is_recent}


def risen(block: Block, least: Float64) -> Bool:
    """Series that stand ``least: float64[series]`` or more above the lowest value of their window now.

    The first look of rules about rises. It costs a hundredth of a fit, and what it leaves out no rule can mean, because
    a baseline is never below the lowest value.
    """
    with np.errstate(invalid="ignore"):
        return np.asarray(newest(block.values) - row_min(block.values) >= least, dtype=np.bool_)


def _highest(other: Block, block: Block) -> Float64:
    """Highest value of another metric for each series of ``block``, NaN where there is none. ``float64[series]``."""
    highest = row_max(other.values.astype(np.float64))
    if other.labels == block.labels:  # as it mostly is: agents have both of every container
        return highest
    by_container = {container_key(labels): value for labels, value in zip(other.labels, highest, strict=True)}
    return np.array([by_container.get(container_key(labels), np.nan) for labels in block.labels], dtype=np.float64)


def pod_key(labels: dict[str, str]) -> PodKey:
    """Namespace and name of the pod that a series is about."""
    return labels["namespace"], labels["pod"]


def container_key(labels: dict[str, str]) -> ContainerKey:
    """Namespace, pod and container name of a series."""
    return labels["namespace"], labels["pod"], labels["container"]


def by_workload(block: Block, mask: Bool, observed: Observed) -> list[list[int]]:
    """Rows that are on, grouped by the workload that owns the pod, in a stable order."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for row in np.flatnonzero(mask):
        workload = observed.pods[pod_key(block.labels[row])].workload
        groups.setdefault((workload.namespace, workload.kind, workload.name), []).append(int(row))
    return [groups[key] for key in sorted(groups)]
