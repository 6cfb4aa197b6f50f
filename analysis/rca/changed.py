"""Probes that ask whether something that the workload depends on was written shortly before the onset."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from analysis.contract import Change, ChangeKind
from analysis.rca.around import callees, callers, subjects, workload
from analysis.rca.context import origin_in_callee
from analysis.rca.facts import Facts
from analysis.rca.observation import Observation, unknown
from analysis.rca.rollouts import before_onset, impact, latest_rollout, may_matter
from analysis.words import clock, moment
from crds.v1alpha1.rcareport import EvidenceKind

READ_FROM: Final = {
    ChangeKind.CONFIG: "configmaps",
    ChangeKind.NETWORK_POLICY: "networkpolicies",
    ChangeKind.QUOTA: "resourcequotas",
}
"""Where changes of a kind are read: without it, none is no answer."""
ONLY_ANNOTATIONS = re.compile(r"annotations [\w./, -]+ changed")
"""How the rca controller describes a rollout that touches nothing but annotations, such as a checksum."""


def config_changed(facts: Facts) -> Observation:
    """Was a ConfigMap that the workload uses written?"""
    own = set(subjects(facts))
    return _changed(
        facts, ChangeKind.CONFIG, "no ConfigMap that it uses was written", lambda one: one.target.name in own
    )


def config_changed_callees_well(facts: Facts) -> Observation:
    """Was its own configuration written, while the metrics of what it calls show nothing that stands out more?

    A timeout of a millisecond, or a wrong path, makes calls fail at the caller: who is called answers as ever.
    """
    written = config_changed(facts)
    elsewhere = origin_in_callee(facts)
    if not written.answer or elsewhere.answer is False:
        return written
    if elsewhere.answer is None:
        return elsewhere
    return replace(elsewhere, answer=False)


def rollout_follows_config(facts: Facts) -> Observation:
    """Was its configuration written, and did the rollout since then only make the pods read it?

    Charts put a checksum of the ConfigMap into an annotation. To roll such a rollout back brings nothing back.
    """
    written, change = config_changed(facts), latest_rollout(facts)
    if not written.answer:
        return written
    follows = change is not None and ONLY_ANNOTATIONS.fullmatch(change.summary) is not None
    return replace(written, answer=follows)


def caller_changed(facts: Facts) -> Observation:
    """Was a workload that calls it rolled out, or its configuration written? It may ask for something else since."""
    names = callers(facts)
    if names is None:
        return unknown("no metrics of who calls it", EvidenceKind.CHANGE)
    found = [
        one
        for one in facts.request.changes
        if one.target.name in names
        and (may_matter(one, facts) or (one.kind is ChangeKind.CONFIG and before_onset(one, facts)))
    ]
    if not found:
        text = "nothing that calls it was changed in the 15 min before the onset"
        return Observation(False, text, kind=EvidenceKind.CHANGE, result=[])
    return _last(found, facts)


def network_policy_changed(facts: Facts) -> Observation:
    """Was a network policy written that selects the workload, or one that it calls?"""
    known = {found.target.name for name in callees(facts) if (found := workload(facts, name)) is not None}
    names = {*subjects(facts), *known}
    words = "no network policy for it, or for what it calls, was written"
    return _changed(facts, ChangeKind.NETWORK_POLICY, words, lambda one: one.target.name in names)


def quota_changed(facts: Facts) -> Observation:
    """Was a quota of the namespace written?"""
    return _changed(facts, ChangeKind.QUOTA, "no quota was written", lambda _: True)


def node_changed(facts: Facts) -> Observation:
    """Did a node of the pods change: not ready, under pressure, cordoned?"""
    return _changed(facts, ChangeKind.NODE, "no node of its pods changed", lambda _: True)


def _changed(facts: Facts, kind: ChangeKind, absent: str, concerns: Callable[[Change], bool]) -> Observation:
    found = [one for one in facts.request.changes if one.kind is kind and concerns(one) and before_onset(one, facts)]
    if not found and READ_FROM.get(kind) in facts.request.unread:
        return unknown(f"{READ_FROM[kind]} were not read", EvidenceKind.CHANGE)
    if not found:
        return Observation(False, f"{absent} in the 15 min before the onset", kind=EvidenceKind.CHANGE, result=[])
    return _last(found, facts)


def _last(found: Sequence[Change], facts: Facts) -> Observation:
    """The newest of these changes, in words."""
    last = max(found, key=lambda one: (one.at, one.target.name, one.reference))
    delay = (moment(facts.onset) - last.at).total_seconds()
    by = f" by {last.actor}" if last.actor else ""
    when = f"{abs(delay):.0f} s {'before' if delay >= 0 else 'after'} the onset"
    elsewhere = last.target.name not in subjects(facts)
    rolled = last.kind is ChangeKind.ROLLOUT
    words = f"{last.target.name} rolled out rev {last.revision}: {last.summary}" if rolled else last.summary
    return Observation(
        True,
        f"{words}{by} at {clock(last.at)}, {when}",
        kind=EvidenceKind.CHANGE,
        strength=impact(last, facts),
        query=last.reference,
        at=last.at,
        result=[last.target.name, last.kind.value, last.summary],
        blames=last.target if elsewhere else None,
    )
