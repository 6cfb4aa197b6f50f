"""One metric of containers beside its limit, joined with the topology; what the container rules share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.detect.finding import Observed, PodKey
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
    fresh: frozenset[PodKey]


def containers(metric: str, limit_metric: str, observed: Observed) -> Containers | None:
    """Join a metric with its limit; None when either could not be read."""
    block, limits = observed.blocks.get(metric), observed.blocks.get(limit_metric)
    if block is None or limits is None:
        return None
    known = np.array([pod_key(labels) in observed.pods for labels in block.labels], dtype=np.bool_)
    block = block.take(known)
    newest = row_max(limits.values.astype(np.float64))
    by_container = {_container(labels): value for labels, value in zip(limits.labels, newest, strict=True)}
    limit = np.array([by_container.get(_container(labels), 0.0) for labels in block.labels], dtype=np.float64)
    last = row_max(block.offsets.astype(np.float64)) + block.start
    recent = last >= observed.now - STALE_SECONDS
    fresh = frozenset(pod_key(labels) for labels, is_recent in zip(block.labels, recent, strict=True) if is_recent)
    return Containers(block, np.nan_to_num(limit), fresh)


def pod_key(labels: dict[str, str]) -> PodKey:
    """Namespace and name of the pod that a series is about."""
    return labels["namespace"], labels["pod"]


def _container(labels: dict[str, str]) -> tuple[str, str, str]:
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
