"""Probes that read changes, traffic, nodes, callees and events."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import timedelta

from analysis.contract import Change, ChangeKind
from analysis.rca.around import resolve, subjects
from analysis.rca.facts import BeforeAfter, Facts
from analysis.rca.memory import since_start, worst
from analysis.rca.observation import Observation, unknown
from analysis.units import SIZE, size
from analysis.words import clock, moment, percent
from crds.v1alpha1.rcareport import EvidenceKind

ROLLOUT_BEFORE = timedelta(minutes=15)
ROLLOUT_AFTER = timedelta(seconds=30)
WITH_ROLLOUT = timedelta(minutes=5)
"""What begins this soon after a rollout began with it."""
RESTART_WORDS = "restarted"
"""How the rca controller describes a rollout that changes nothing but the restart annotation."""
TRAFFIC_GROWTH = 0.3
FOLLOWS_SHARE = 0.5
"""Traffic explains memory when, since the onset, it rises at least by this share of the memory's own rise."""
NODE_FREE_SHARE = 0.08
MIN_FAILING = 0.02
"""Share of calls: fewer that fail more than before are nobody's incident."""
TOUCHED = {
    "image": 1.0,
    "env": 0.9,
    "command": 0.9,
    "args": 0.9,
    "Probe": 0.8,
    "limit": 0.8,
    "DNS policy": 0.8,
    "request": 0.7,
    "volume": 0.7,
    "ports": 0.7,
    "security context": 0.7,
    "service account": 0.7,
}
"""Words of a change's summary → how often such a change breaks something, against a new image."""
TOUCHED_OTHER = 0.5
LIMIT_CHANGE = re.compile(rf"memory limit (?P<before>none|{SIZE}) -> (?P<after>none|{SIZE})(?![A-Za-z0-9.])")
"""How the rca controller describes it; sizes that do not read as such are not judged."""
USUAL_CHANGES = 3
"""A workload that changes more often than this within the window changes all the time: each change says less."""


def latest_rollout(facts: Facts) -> Change | None:
    """The last change within a quarter of an hour before the onset: of a callee that is blamed, else of the target.

    A workload's creation is no change, and a restart changes nothing.
    """
    blamed = {
        one.blames.name
        for one in (upstream_fails(facts), upstream_slow(facts))
        if one.answer and one.blames is not None
    }
    for names in (blamed, set(subjects(facts))):
        changes = [
            change for change in facts.request.changes if change.target.name in names and _may_matter(change, facts)
        ]
        if changes:
            return max(changes, key=lambda change: (change.at, change.revision))
    return None


def _may_matter(change: Change, facts: Facts) -> bool:
    return (
        change.kind is ChangeKind.ROLLOUT
        and change.revision not in {"", "1"}
        and not change.summary.startswith(RESTART_WORDS)
        and before_onset(change, facts)
    )


def before_onset(change: Change, facts: Facts) -> bool:
    """Whether it was made within a quarter of an hour before the onset; clocks may differ by half a minute."""
    onset = moment(facts.onset)
    return onset - ROLLOUT_BEFORE <= change.at <= onset + ROLLOUT_AFTER


def impact(change: Change, facts: Facts) -> float:
    """How likely this change caused it, 0..1: by timing, by what it touched, by how often the workload changes."""
    delay = (moment(facts.onset) - change.at).total_seconds()
    timing = max(0.2, 1.0 - max(delay, 0.0) / ROLLOUT_BEFORE.total_seconds())
    words = (weight for word, weight in TOUCHED.items() if word in change.summary)
    touched = max(words, default=TOUCHED_OTHER) if change.kind is ChangeKind.ROLLOUT else 1.0
    alike = [one for one in facts.request.changes if one.kind is change.kind and one.target.name == change.target.name]
    return timing * touched / math.sqrt(max(1, len(alike) - USUAL_CHANGES + 1))


def rollout_before_onset(facts: Facts) -> Observation:
    """Was the workload, or a callee that is blamed, changed shortly before the onset?"""
    change = latest_rollout(facts)
    if change is None:
        text = "no rollout in the 15 min before the onset"
        return Observation(False, text, kind=EvidenceKind.CHANGE, result=[])
    delay = (moment(facts.onset) - change.at).total_seconds()
    from_start = facts.memory is None or worst(facts.memory) is None or since_start(facts.memory)
    elsewhere = change.target.name not in subjects(facts)
    return Observation(
        True,
        f"{change.target.name + ' ' if elsewhere else ''}rolled out rev {change.revision} at {clock(change.at)}, "
        f"{abs(delay):.0f} s {'before' if delay >= 0 else 'after'} the onset: {change.summary}",
        kind=EvidenceKind.CHANGE,
        strength=impact(change, facts) * (1.0 if from_start else 0.3),
        query=change.reference,
        at=change.at,
        result=[change.target.name, change.revision, change.summary],
        blames=change.target if elsewhere or facts.target.kind == "Service" else None,
    )


PROGRAM = re.compile(r"\b(?:image|env|envFrom|command|args|container) ")
"""What decides which program runs, and with what, as the rca controller describes it."""


def rollout_changed_program(facts: Facts) -> Observation:
    """Did a rollout of the last five minutes before the onset change the program, or what it is started with?"""
    change = latest_rollout(facts)
    found = rollout_before_onset(facts)
    if change is None or moment(facts.onset) - change.at > WITH_ROLLOUT:
        return replace(found, answer=False)
    return replace(found, answer=PROGRAM.search(change.summary) is not None)


def memory_limit_lowered(facts: Facts) -> Observation:
    """Did the rollout just before the onset give the workload less memory, or its first limit?"""
    change = latest_rollout(facts)
    found = LIMIT_CHANGE.search(change.summary) if change is not None else None
    if change is None or found is None:
        return Observation(False, "no rollout has lowered its memory limit", kind=EvidenceKind.CHANGE, result=[])
    before, after = (math.inf if found[side] == "none" else size(found[side]) for side in ("before", "after"))
    return Observation(
        after < before,
        f"{found[0]} with rev {change.revision} at {clock(change.at)}",
        kind=EvidenceKind.CHANGE,
        query=change.reference,
        at=change.at,
        result=[change.revision, found["before"], found["after"]],
    )


def started_with_rollout(facts: Facts) -> Change | None:
    """The rollout that the growth began with, if it has been on since the new pods started."""
    change = latest_rollout(facts)
    if change is None or facts.memory is None or not since_start(facts.memory):
        return None
    return change if (moment(facts.onset) - change.at) <= WITH_ROLLOUT else None


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
