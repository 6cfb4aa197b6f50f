"""Probes that read traffic, nodes, callees and events."""

from __future__ import annotations

import math
from dataclasses import replace

from analysis.rca.around import resolve, subjects
from analysis.rca.facts import BeforeAfter, Facts
from analysis.rca.memory import worst
from analysis.rca.observation import Observation, unknown
from analysis.words import clock, moment, percent
from crds.v1alpha1.rcareport import EvidenceKind

TRAFFIC_GROWTH = 0.3
FOLLOWS_SHARE = 0.5
"""Traffic explains memory when, since the onset, it rises at least by this share of the memory's own rise."""
NODE_FREE_SHARE = 0.08
MIN_FAILING = 0.02
"""Share of calls: fewer that fail more than before are nobody's incident."""


def traffic_grew(facts: Facts) -> Observation:
    """Does the workload get markedly more requests than before the onset?"""
    traffic = facts.traffic
    if traffic is None or not math.isfinite(traffic.change):
        return unknown("no request metrics of this workload")
    return Observation(
        traffic.change >= TRAFFIC_GROWTH,
        f"requests {percent(traffic.change)} ({traffic.before:.1f} to {traffic.after:.1f} per second)",
        query=traffic.query,
        result=[traffic.before, traffic.after],
    )


def traffic_explains_growth(facts: Facts) -> Observation:
    """Does the traffic rise together with the memory? A constant load does not explain memory that grows."""
    grew = traffic_grew(facts)
    row = worst(facts.memory) if facts.memory else None
    if not grew.answer or facts.memory is None or row is None or facts.traffic is None:
        return grew
    growth = facts.memory.growth
    last, base = float(growth.last[row]), float(growth.base[row])
    memory_trend = last / ((last + base) / 2) - 1
    explained = facts.traffic.trend >= FOLLOWS_SHARE * memory_trend
    then = f"then {percent(facts.traffic.trend)} while memory {percent(memory_trend)}"
    return replace(grew, answer=explained, summary=f"{grew.summary}, {then}")


def memory_outgrows_traffic(facts: Facts) -> Observation:
    """Does the memory go on growing while the traffic does not?"""
    explained = traffic_explains_growth(facts)
    if explained.answer is None or facts.memory is None or worst(facts.memory) is None:
        return unknown("the memory does not grow") if explained.answer is not None else explained
    return replace(explained, answer=not explained.answer)


def node_short_of_memory(facts: Facts) -> Observation:
    """Is a node of the workload's pods short of memory?"""
    free = facts.node_free
    if free is None or not math.isfinite(free.after):
        return unknown("no node metrics")
    return Observation(
        free.after < NODE_FREE_SHARE,
        f"nodes had at least {free.after:.0%} of their memory free",
        query=free.query,
        result=[free.before, free.after],
    )


def upstream_slow(facts: Facts) -> Observation:
    """Have calls to another service become much slower?"""
    known = {name: pair for name, pair in (facts.upstream or {}).items() if math.isfinite(pair.after)}
    if not known:
        return unknown("no metrics of calls to other services")
    name, pair = max(known.items(), key=lambda item: (_slowdown(item[1]), item[0]))
    return Observation(
        _slowdown(pair) >= 2.0 and pair.after >= 0.3,
        f"calls to {name}: 95th percentile {pair.before:.2f} s before, {pair.after:.2f} s since the onset",
        query=pair.query,
        at=moment(facts.onset),
        result={key: [value.before, value.after] for key, value in sorted(known.items())},
        blames=resolve(facts, name),
    )


def upstream_fails(facts: Facts) -> Observation:
    """Do more of the calls to another service fail than before?"""
    known = {name: pair for name, pair in (facts.upstream_errors or {}).items() if math.isfinite(pair.after)}
    if not known:
        return unknown("no metrics of calls to other services")
    name, pair = max(known.items(), key=lambda item: (_more(item[1]), item[1].after, item[0]))
    return Observation(
        _more(pair) >= MIN_FAILING,
        f"of calls to {name}, {pair.after:.0%} fail since the onset"
        + (f" ({pair.before:.0%} before)" if math.isfinite(pair.before) else ""),
        query=pair.query,
        at=moment(facts.onset),
        result={key: [value.before, value.after] for key, value in sorted(known.items())},
        blames=resolve(facts, name),
    )


def _more(pair: BeforeAfter) -> float:
    return pair.after - (pair.before if math.isfinite(pair.before) else 0.0)


def _slowdown(pair: BeforeAfter) -> float:
    return pair.after / pair.before if pair.before > 0 else 0.0


def origin_in_callee(facts: Facts) -> Observation:
    """Do the metrics of the workloads that it calls, directly or not, explain the incident better than its own?"""
    neighbours = facts.neighbours
    name = subjects(facts)[0]
    if neighbours is None or name not in neighbours.signals.entities:
        return unknown("no metrics of this workload and the ones that it calls")
    found = neighbours.origin(name, facts.onset)
    result = [[one.entity, one.strength] for one in found]
    if not found:
        return Observation(False, "neither its metrics nor those of what it calls changed", result=result)
    first = found[0]
    lead = first.accusations[0]
    kind = neighbours.signals.kinds[lead.row]
    return Observation(
        first.entity != name,
        f"of it and what it calls, {first.entity} stands out: {kind} {lead.score:.0f} times its ordinary range up "
        f"since {clock(moment(lead.onset))}",
        query=neighbours.queries[kind],
        at=moment(lead.onset),
        result=result,
        blames=resolve(facts, first.entity),
    )


def signals_point_elsewhere(facts: Facts) -> Observation:
    """Do the incident's signals together point at something deeper than its target, by detection's own grouping?"""
    origin = facts.request.incident.origin
    if origin is None or origin.name == facts.target.name:
        return Observation(False, "its signals point at nothing but the target", kind=EvidenceKind.STATUS, result=[])
    return Observation(
        True,
        f"its signals together point at {origin.short()}, the deepest of what failed",
        kind=EvidenceKind.STATUS,
        result=[origin.kind, origin.name],
        blames=resolve(facts, origin.name) or origin,
    )


def warning_events(facts: Facts) -> Observation:
    """Has Kubernetes itself warned about the workload?"""
    warnings = sorted(
        (one for one in facts.request.events if one.type == "Warning"), key=lambda one: (one.at, one.reason)
    )
    if not warnings:
        return Observation(False, "no warning events", kind=EvidenceKind.EVENT, result=[])
    last = warnings[-1]
    return Observation(
        True,
        f"{last.reason} ×{last.count}: {last.message}",
        kind=EvidenceKind.EVENT,
        strength=0.5,
        query=last.reference,
        at=last.at,
        result=[[one.reason, one.object, one.count] for one in warnings],
    )
