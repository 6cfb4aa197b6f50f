"""Probes that read the working set."""

from __future__ import annotations

import numpy as np

from analysis.rca.facts import Facts, Memory
from analysis.rca.observation import Observation, unknown
from analysis.telemetry.query import differs, duration, equal, selector
from analysis.windows.block import Bool, Float64
from analysis.words import MIB, clock, mib, mib_per_minute, moment
from crds.v1alpha1.rcareport import EvidenceKind

NO_MEMORY = "no container metrics"
MIN_GROWTH_BYTES = 8 * MIB
MIN_TAU = 0.7
RELATED_SHARE = 0.25
"""A sibling that grows at this share of the workload's rate is not untouched."""


def growing(memory: Memory) -> Bool:
    """Containers of any workload whose working set grows steadily. ``bool[series]``."""
    growth = memory.growth
    with np.errstate(invalid="ignore"):
        enough = growth.growth >= np.maximum(MIN_GROWTH_BYTES, 0.03 * memory.limit)
        return np.asarray((growth.slope.low > 0) & (growth.slope.tau >= MIN_TAU) & enough, dtype=np.bool_)


def worst(memory: Memory) -> int | None:
    """Row of the workload's container that grows fastest."""
    rows = np.flatnonzero(growing(memory) & memory.mine)
    return int(rows[np.argmax(memory.growth.slope.value[rows])]) if rows.size else None


def memory_grows(facts: Facts) -> Observation:
    """Does the workload's working set grow steadily?"""
    memory = facts.memory
    if memory is None:
        return unknown(NO_MEMORY)
    row = worst(memory)
    query = f"deriv({memory.query}[{duration(max(60.0, _span(memory, row)))}])"
    rates = memory.growth.slope.value[memory.mine]
    if row is None:
        return Observation(False, "the working set does not grow steadily", query=query, result=rates.tolist())
    growth = memory.growth
    pods = {memory.block.labels[index]["pod"] for index in np.flatnonzero(growing(memory) & memory.mine)}
    alive = {memory.block.labels[index]["pod"] for index in np.flatnonzero(memory.mine & np.isfinite(growth.last))}
    onset = moment(float(growth.onset[row]))
    of_limit = f" of {mib(float(memory.limit[row]))}" if memory.limit[row] > 0 else ""
    return Observation(
        True,
        f"working set grows {mib_per_minute(float(growth.slope.value[row]))} on {len(pods)} of {len(alive)} pods "
        f"since {clock(onset)}, now {mib(float(growth.last[row]))}{of_limit}",
        strength=min(1.0, float(growth.samples[row]) / 6),
        query=query,
        at=onset,
        result=rates.tolist(),
    )


def _span(memory: Memory, row: int | None) -> float:
    return float(memory.growth.span[row]) if row is not None else 300.0


def siblings_flat(facts: Facts) -> Observation:
    """Do the namespace's other workloads stay as they were?"""
    memory = facts.memory
    if memory is None:
        return unknown(NO_MEMORY)
    siblings = ~memory.own & np.isfinite(memory.after.slope.value) & (memory.after.count >= 3)
    if not siblings.any():
        return unknown("no sibling workloads to compare with")
    own = _own_rate(memory)
    if not np.isfinite(own) or own <= 0:
        return unknown("no growth to compare the siblings with")
    rates: Float64 = memory.after.slope.value[siblings]
    alike = int((rates >= RELATED_SHARE * own).sum())
    middle = float(np.median(rates))
    where = selector(
        "container_memory_working_set_bytes", equal("namespace", facts.target.namespace), differs("container", "")
    )
    return Observation(
        alike <= 0.2 * rates.size,
        f"{rates.size - alike} of {rates.size} sibling containers stay flat (median {mib_per_minute(middle)})",
        query=f"deriv({where}[{duration(max(60.0, facts.window.end.timestamp() - facts.onset))}])",
        result=sorted(rates.tolist()),
    )


def siblings_grow_too(facts: Facts) -> Observation:
    """Do most other workloads grow at a similar rate? Then the cause is not in this one."""
    flat = siblings_flat(facts)
    memory = facts.memory
    if flat.answer is None or memory is None:
        return flat
    rates = memory.after.slope.value[~memory.own & np.isfinite(memory.after.slope.value)]
    alike = float((rates >= 0.5 * _own_rate(memory)).mean())
    return Observation(alike >= 0.5, f"{alike:.0%} of the siblings grow alike", query=flat.query, result=flat.result)


def _own_rate(memory: Memory) -> float:
    row = worst(memory)
    if row is not None:
        return float(memory.growth.slope.value[row])
    rates = memory.after.slope.value[memory.mine]
    return float(np.nanmax(rates)) if np.isfinite(rates).any() else float("nan")


def memory_jumped(facts: Facts) -> Observation:
    """Did the working set rise by much within seconds, and not steadily?"""
    memory = facts.memory
    if memory is None:
        return unknown(NO_MEMORY)
    with np.errstate(invalid="ignore"):
        rise = memory.after.level - memory.before.level
        much = memory.mine & (rise >= 0.2 * memory.limit) & (rise >= MIN_GROWTH_BYTES)
        sudden = much & ~growing(memory)
    rows = np.flatnonzero(sudden)
    if not rows.size:
        return Observation(False, "the working set did not jump", query=memory.query, result=rise[memory.mine].tolist())
    row = int(rows[np.argmax(rise[rows])])
    return Observation(
        True,
        f"working set jumped from {mib(float(memory.before.level[row]))} to {mib(float(memory.after.level[row]))} "
        f"within seconds at {clock(moment(facts.onset))}",
        query=memory.query,
        at=moment(facts.onset),
        result=rise[memory.mine].tolist(),
    )


def level_near_limit(facts: Facts) -> Observation:
    """Was the working set steady and close to its limit before anything happened?"""
    memory = facts.memory
    if memory is None:
        return unknown(NO_MEMORY)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = memory.before.level / np.where(memory.limit > 0, memory.limit, np.nan)
        steady = memory.mine & (share >= 0.85) & ~growing(memory)
    known = share[memory.mine & np.isfinite(share)]
    if not known.size:
        return unknown("no memory limit, or no history before the onset")
    return Observation(
        bool(steady.any()),
        f"working set was steady at {float(known.max()):.0%} of its limit",
        query=memory.query,
        result=known.tolist(),
    )


def oom_killed(facts: Facts) -> Observation:
    """Has the kernel killed a container of the workload for memory?"""
    killed = sorted(pod.name for pod in facts.request.pods if pod.last_termination_reason == "OOMKilled")
    if not killed:
        return Observation(False, "no OOM kill", kind=EvidenceKind.STATUS, result=[])
    times = [pod.last_termination_at for pod in facts.request.pods if pod.name in killed and pod.last_termination_at]
    namespace = facts.target.namespace
    return Observation(
        True,
        f"{len(killed)} pods were OOM-killed: {', '.join(killed[:3])}",
        kind=EvidenceKind.STATUS,
        query=f"/api/v1/namespaces/{namespace}/pods/{killed[0]}",
        at=min(times) if times else None,
        result=killed,
    )


def since_start(memory: Memory) -> bool:
    """Whether the growth has been on since the process started: then what was rolled out may be the cause."""
    row = worst(memory)
    return row is not None and float(memory.growth.baseline_span[row]) < 45.0
