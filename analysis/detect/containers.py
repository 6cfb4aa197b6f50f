"""One metric of containers beside its limit, joined with the topology; what the container rules share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from analysis.detect.finding import ContainerKey, Observed, PodKey, TargetKey
from analysis.detect.rules import GrowthRule, StepRule
from analysis.windows.block import Block, Bool, Float64
from analysis.windows.robust import newest, row_max, row_min

STALE_SECONDS = 60.0
"""A series whose newest sample is older says nothing about now."""


@dataclass(frozen=True, slots=True)
class Containers:
    """Series that belong to pods of the topology, beside their limits (0 where there is none)."""

    block: Block
    limit: Float64
    started: Float64
    """Unix seconds; NaN where it is not known."""
    recent: Bool
    """Whether there is a sample of just now."""

    @property
    def fresh(self) -> frozenset[PodKey]:
        """Pods with such a sample."""
        return frozenset(
            pod_key(labels) for labels, is_recent in zip(self.block.labels, self.recent, strict=True) if is_recent
        )

    def risen(self, least: Float64) -> Containers:
        """Those that have a limit and stand ``least`` or more above the lowest value of their window now.

        The first look of rules about rises: it costs a hundredth of a fit, and what it leaves out no rule can mean,
        because a baseline is never below the lowest value. ``least: float64[series]``.
        """
        values = self.block.values
        with np.errstate(invalid="ignore"):
            risen = newest(values) - row_min(values) >= least
        rows = self.recent & (self.limit > 0) & risen
        return Containers(self.block.take(rows), self.limit[rows], self.started[rows], self.recent[rows])


def containers(rule: GrowthRule | StepRule, observed: Observed) -> Containers | None:
    """Join a metric with its limit and the containers' starts; None when metric or limit could not be read."""
    block, limits = observed.blocks.get(rule.metric), observed.blocks.get(rule.limit)
    if block is None or limits is None:
        return None
    known = np.array([pod_key(labels) in observed.pods for labels in block.labels], dtype=np.bool_)
    block = block.take(known)
    limit = _highest(limits, block)
    nowhere = float("nan")
    started = np.array(
        [observed.started.get(container_key(labels), nowhere) for labels in block.labels], dtype=np.float64
    )
    last = newest(block.offsets) + block.start
    return Containers(block, np.nan_to_num(limit), started, last >= observed.now - STALE_SECONDS)


def _highest(other: Block, block: Block) -> Float64:
    """Highest value of another metric for each series of ``block``, NaN where there is none. ``float64[series]``."""
    highest = row_max(other.values.astype(np.float64))
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


def sizes(observed: Observed) -> Counter[TargetKey]:
    """How many pods each workload has."""
    workloads = (pod.workload for pod in observed.pods.values())
    return Counter((one.kind, one.namespace, one.name) for one in workloads)
