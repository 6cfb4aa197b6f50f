"""Probes that read rollouts: which one may have caused the incident, how likely, and what it touched."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import timedelta

from analysis.contract import Change, ChangeKind
from analysis.rca.around import subjects
from analysis.rca.context import upstream_fails, upstream_slow
from analysis.rca.facts import Facts
from analysis.rca.memory import since_start, worst
from analysis.rca.observation import Observation
from analysis.units import SIZE, size
from analysis.words import clock, moment
from crds.v1alpha1.rcareport import EvidenceKind

ROLLOUT_BEFORE = timedelta(minutes=15)
ROLLOUT_AFTER = timedelta(seconds=30)
WITH_ROLLOUT = timedelta(minutes=5)
"""What begins this soon after a rollout began with it."""
RESTART_WORDS = "restarted"
"""How the rca controller describes a rollout that changes nothing but the restart annotation."""
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
PROGRAM = re.compile(r"\b(?:image|env|envFrom|command|args|container) ")
"""What decides which program runs, and with what, as the rca controller describes it."""
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
            change for change in facts.request.changes if change.target.name in names and may_matter(change, facts)
        ]
        if changes:
            return max(changes, key=lambda change: (change.at, change.revision))
    return None


def may_matter(change: Change, facts: Facts) -> bool:
    """Whether it is a rollout shortly before the onset that changed something: no creation, no mere restart."""
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


def rollout_has_run(facts: Facts) -> Observation:
    """Has a pod of the new revision run? Of a callee's the incident's own pods say nothing: yes."""
    change = latest_rollout(facts)
    found = rollout_before_onset(facts)
    if change is None or change.target.name not in subjects(facts):
        return found
    mine = [pod for pod in facts.request.pods if pod.revision and change.reference.endswith(f"/{pod.revision}")]
    return replace(found, answer=any(pod.phase == "Running" or pod.restarts for pod in mine))


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
