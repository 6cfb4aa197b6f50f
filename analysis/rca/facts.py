"""Everything that is known about one incident, gathered once; the probes only read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from analysis.contract import RcaRequest
from analysis.logs.context import LogContext
from analysis.rca.neighbours import Neighbourhood
from analysis.windows.block import Block, Bool, Float64
from analysis.windows.growth import Growth, measure
from analysis.windows.robust import Features, features, row_max
from analysis.workloads import owns
from crds.v1alpha1.base import TargetRef, Window

WARM_UP_SECONDS = 20.0
LIVE_SECONDS = 60.0
"""A container whose newest sample is older than this at the end of the window was gone by then."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Working set of a namespace's containers over the incident's window.

    ``mine: bool[series]`` marks the living containers of the incident's workload; siblings are the control.
    """

    block: Block
    limit: Float64
    mine: Bool
    own: Bool
    """Containers of the workload, dead ones included."""
    growth: Growth
    before: Features
    """Before the onset."""
    after: Features
    """Since the onset."""
    query: str


AFTER_THE_FACT = frozenset({"OOMKilled", "CrashLoop", "Restarted", "Evicted"})
"""Types whose onset is the end of a process: what led to it lies before."""


def memory_facts(block: Block, limits: Block, target: TargetRef, onset: float, query: str, *, ended: bool) -> Memory:
    """Describe the working set before and since ``onset`` (Unix seconds).

    Args:
        ended: the onset is the end of a process, so growth is looked for in the life before it.
    """
    newest = row_max(limits.values.astype(np.float64))
    key = ("pod", "container")
    by_container = {
        tuple(labels[name] for name in key): value for labels, value in zip(limits.labels, newest, strict=True)
    }
    limit = np.array([by_container.get(tuple(labels[name] for name in key), 0.0) for labels in block.labels])
    looked_at = block.between(block.start, onset) if ended else block
    end = min(onset, block.end) if ended else block.end
    newest_sample = row_max(looked_at.offsets.astype(np.float64)) + block.start
    # pods of earlier rollouts are still in the window; what they did is not what happens now
    with np.errstate(invalid="ignore"):
        live = newest_sample >= end - LIVE_SECONDS
    own = np.array([owns(target, labels["pod"]) for labels in block.labels], dtype=np.bool_)
    return Memory(
        block=block,
        limit=np.nan_to_num(limit.astype(np.float64)),
        mine=own & live,
        own=own,
        growth=measure(looked_at, WARM_UP_SECONDS),
        before=features(block.between(block.start, onset)),
        after=features(block.between(onset, block.end)),
        query=query,
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """One series of a metric probe before and since the onset. NaN where there are no data."""

    name: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Counted:
    """Lines that a log probe found, and in how many seconds it looked."""

    query: str
    before: int | None
    """None where nobody asked: too few have come since the onset to mean anything."""
    before_seconds: float
    after: int
    after_seconds: float


@dataclass(frozen=True, slots=True)
class BeforeAfter:
    """A quantity before and since the onset. Either is NaN when there are no data."""

    before: float
    after: float
    query: str
    trend: float = 0.0
    """Relative change from the first to the second half of the time since the onset."""

    @property
    def change(self) -> float:
        """Relative change; NaN when it cannot be said."""
        return self.after / self.before - 1 if self.before > 0 else float("nan")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the probes read. A part that is None could not be read; ``missing`` says why."""

    request: RcaRequest
    window: Window
    onset: float
    """Unix seconds."""
    memory: Memory | None = None
    traffic: BeforeAfter | None = None
    """Requests per second of the workload."""
    node_free: BeforeAfter | None = None
    """Lowest share of free memory of the pods' nodes."""
    upstream: Mapping[str, BeforeAfter] | None = None
    """95th percentile of the latency of calls to each upstream, in seconds."""
    upstream_errors: Mapping[str, BeforeAfter] | None = None
    """Share of failing calls to each upstream, 0..1."""
    logs: LogContext | None = None
    neighbour_logs: tuple[LogContext, ...] = ()
    """Of what it calls and what calls it, directly."""
    neighbours: Neighbourhood | None = None
    """The other workloads of the namespace, and who calls whom."""
    missing: tuple[str, ...] = ()
    queries: Mapping[str, str] = field(default_factory=dict)
    """By probe: what was asked for it."""
    measured: Mapping[str, tuple[Measured, ...]] = field(default_factory=dict)
    """By metric probe: each series before and since the onset."""
    counted: Mapping[str, Counted] = field(default_factory=dict)
    """By log probe: lines before and since the onset."""

    @property
    def target(self) -> TargetRef:
        """The workload that the incident is about."""
        return self.request.incident.target
