"""Which fault each signal follows from.

A forest, not a clustering: each faulty entity has at most one parent, the one thing it depends on (directly or
through things that show nothing) that was faulty before it or with it. What has no parent, or shows a fault that is
nobody else's, is a fault of its own. So two overlapping faults stay two even when one caller suffers from both, where
linking everything that touches would make them one. A dependency that shows nothing itself is a fault when most of
what needs it fails at the same time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass

from analysis.correlate.kinds import SYMPTOMS
from analysis.correlate.signals import Dependencies, Entity, Mark, Merged, Signal, collapse

SLACK = 60.0
"""Seconds by which a consequence may be noticed before its cause: detectors differ in how long they look."""
REACH = 600.0
"""Seconds after a cause's onset within which a consequence begins."""
TOGETHER = 90.0
"""Seconds within which the users of a silent dependency must fail for it to be blamed."""
MIN_TOGETHER = 3
"""Users that must fail together, …"""
MIN_UNEXPLAINED = 2
"""… those of them whose failure nothing else explains, and …"""
MIN_SHARE = 0.5
"""… the share of all users that they must be."""
MAX_HOPS = 2
"""Dependencies that are looked through: one that shows nothing may stand between."""


@dataclass(frozen=True, slots=True)
class Group:
    """One incident: its root, and all signals that follow from it, earliest first."""

    root: Entity
    """The entity to blame."""
    onset: float
    weight: int
    signals: tuple[Merged, ...]
    observed: bool
    """False when the root shows nothing itself and is blamed for what fails around it."""
    undecided: bool = False
    """True while another that needs the same silent thing fails too: one more of them, and that will be blamed."""
    shared: tuple[str, ...] = ()
    """Why faults that have no other reason are in it together: what they share, in words."""

    @property
    def count(self) -> int:
        """Signals before duplicates were collapsed."""
        return sum(one.count for one in self.signals)


def correlate(
    signals: Iterable[Signal], dependencies: Dependencies, known: Set[Entity] = frozenset()
) -> tuple[Group, ...]:
    """Few groups of many signals, in order of onset; every signal is in exactly one.

    ``known``: entities that have an incident already; of faults that only share something, these come first.
    """
    merged = collapse(signals)
    onset: dict[Entity, float] = {}
    moments: dict[Entity, tuple[float, ...]] = {}
    for one in merged:
        onset[one.entity] = min(one.onset, onset.get(one.entity, one.onset))
        moments[one.entity] = (*moments.get(one.entity, ()), one.onset, one.latest)
    own = {one.entity for one in merged if one.type not in SYMPTOMS}
    parents = {one: None if one in own else _parent(one, onset, moments, dependencies.needs) for one in onset}
    unexplained = frozenset(one for one in onset if one not in own and parents[one] is None)
    silent, undecided = _silent_roots(unexplained, own, onset, dependencies)
    with_silent = onset | silent
    moments |= {one: (at,) for one, at in silent.items()}
    parents |= {one: _parent(one, with_silent, moments, dependencies.needs) for one in unexplained}
    shared = _shared(merged, parents, with_silent, known)
    parents |= {one: first for one, (first, _) in shared.items()}
    roots = {one: _root(one, parents) for one in with_silent}
    groups = _groups(merged, roots, silent.keys(), undecided, shared)
    return tuple(sorted(groups, key=lambda group: (group.onset, group.root)))


def _groups(
    merged: Iterable[Merged],
    roots: Mapping[Entity, Entity],
    silent: Set[Entity],
    undecided: Set[Entity],
    shared: Mapping[Entity, tuple[Entity, str]],
) -> Iterator[Group]:
    """The signals under their roots."""
    found: dict[Entity, list[Merged]] = {}
    for one in merged:
        found.setdefault(roots[one.entity], []).append(one)
    why: dict[Entity, set[str]] = {}
    for other, (_, what) in shared.items():
        why.setdefault(roots[other], set()).add(what)
    for root, members in found.items():
        yield Group(
            root,
            members[0].onset,
            max(one.weight for one in members),
            tuple(members),
            observed=root not in silent,
            undecided=root in undecided,
            shared=tuple(sorted(why.get(root, ()))),
        )


def _silent_roots(
    unexplained: Set[Entity], own: Set[Entity], onset: Mapping[Entity, float], dependencies: Dependencies
) -> tuple[dict[Entity, float], Set[Entity]]:
    """Dependencies without a signal of their own whose users fail together, and since when; users that may be next.

    Users that another user's failure explains are evidence too: on a bad node, callers fail as their callees do. What
    shows a fault of its own is none.
    """
    found: dict[Entity, float] = {}
    undecided: set[Entity] = set()
    for needed, users in dependencies.used_by().items():
        if needed in onset or sum(one in unexplained for one in users) < MIN_UNEXPLAINED:
            continue
        failed = sorted((onset[one], one in unexplained) for one in users if one in onset and one not in own)
        best, first = _together(failed)
        if best >= MIN_TOGETHER and best >= MIN_SHARE * len(users):
            found[needed] = first
        elif best:
            undecided.update(one for one in users if one in unexplained and first <= onset[one] <= first + TOGETHER)
    return found, undecided


def _together(failed: list[tuple[float, bool]]) -> tuple[int, float]:
    """The most moments that lie within ``TOGETHER`` seconds, enough of them unexplained, and the first of them."""
    best, first, start, open_ = 0, 0.0, 0, 0
    for end, (moment, is_unexplained) in enumerate(failed):
        open_ += is_unexplained
        while moment - failed[start][0] > TOGETHER:
            open_ -= failed[start][1]
            start += 1
        if open_ >= MIN_UNEXPLAINED and end - start + 1 > best:
            best, first = end - start + 1, failed[start][0]
    return best, first


def _parent(
    one: Entity,
    onset: Mapping[Entity, float],
    moments: Mapping[Entity, tuple[float, ...]],
    needs: Mapping[Entity, frozenset[Entity]],
) -> Entity | None:
    """The nearest faulty dependency that was first, and of those as near the one that struck closest before."""
    level, seen = {one}, {one}
    for _ in range(MAX_HOPS):
        level = {needed for entity in level for needed in needs.get(entity, frozenset())} - seen
        seen |= level
        delays = {other: _delay(moments[other], onset[one]) for other in level if other in onset}
        able = [(delay, other) for other, delay in delays.items() if delay is not None]
        if able:
            return min(able)[1]
        level -= onset.keys()
    return None


def _delay(cause: Iterable[float], consequence: float) -> float | None:
    """Seconds between the nearest moment of the cause and the consequence; None when none of them can have led to it.

    An entity's first signal may be old (a leak) when the one that hurts others (the kill) has just come.
    """
    fitting = [abs(consequence - at) for at in cause if -SLACK <= consequence - at <= REACH]
    return min(fitting, default=None)


def _shared(
    merged: tuple[Merged, ...],
    parents: Mapping[Entity, Entity | None],
    onset: Mapping[Entity, float],
    known: Set[Entity],
) -> dict[Entity, tuple[Entity, str]]:
    """Faults without another reason that share something belong to the first of them: to which, and why."""
    by_mark: dict[Mark, set[Entity]] = {}
    for one in merged:
        if parents.get(one.entity) is None:
            for mark in one.marks:
                by_mark.setdefault(mark, set()).add(one.entity)
    found: dict[Entity, tuple[Entity, str]] = {}
    for mark in sorted(by_mark):
        first, *others = sorted(by_mark[mark], key=lambda one: (one not in known, onset[one], one))
        for other in others:
            if abs(onset[other] - onset[first]) <= REACH:
                found.setdefault(other, (first, mark.what))
    return found


def _root(one: Entity, parents: Mapping[Entity, Entity | None]) -> Entity:
    """Follow parents to the end; a circle (things that need each other) ends at its smallest member."""
    path = [one]
    while (parent := parents.get(path[-1])) is not None:
        if parent in path:
            return min(path[path.index(parent) :])
        path.append(parent)
    return path[-1]
