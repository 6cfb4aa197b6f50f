"""One metric of containers beside its limit, joined with the topology; what the container rules share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.detect.finding import ContainerKey, Observed, PodKey
from analysis.detect.rules import GrowthRule, StepRule
from analysis.windows.block import Block, Bool, Float64
from analysis.windows.robust import row_max
from crds.v1alpha1.base import TargetRef

STALE_SECONDS = 60.0
"""A series whose newest sample is older says nothing about now."""


@dataclass(frozen=True, slots=True)
class Containers:
    """Series that belong to pods of the topology, beside their limits (0 where there is none)."""

    block: Block
    limit: Float64
    started: Float64
    """Unix seconds; NaN where it is not known."""
    fresh: frozenset[PodKey]


def containers(rule: GrowthRule | StepRule, observed: Observed) -> Containers | None:
    """Join a metric with its limit and the containers' starts; None when metric or limit could not be read."""
    block, limits = observed.blocks.get(rule.metric), observed.blocks.get(rule.limit)
    if block is None or limits is None:
        return None
    known = np.array([pod_key(labels) in observed.pods for labels in block.labels], dtype=np.bool_)
    block = block.take(known)
    limit = _newest(limits, block)
    nowhere = float("nan")
    started = np.array(
        [observed.started.get(container_key(labels), nowhere) for labels in block.labels], dtype=np.float64
    )
    last = row_max(block.offsets.astype(np.float64)) + block.start
    recent = last >= observed.now - STALE_SECONDS
    fresh = frozenset(pod_key(labels) for labels, is_recent in zip(block.labels, recent, strict=True) if is_recent)
    return Containers(block, np.nan_to_num(limit), started, fresh)


def _newest(other: Block, block: Block) -> Float64:
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


def pods_of(target: TargetRef, observed: Observed) -> int:
    """How many pods a workload has."""
    return sum(
        (pod.workload.kind, pod.workload.namespace, pod.workload.name) == (target.kind, target.namespace, target.name)
        for pod in observed.pods.values()
    )
