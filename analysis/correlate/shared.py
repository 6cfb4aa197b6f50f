"""What signals of different workloads have in common: a change that touched them all, a thing that they all name. Pure.

Sharing is evidence only between faults that have no other reason, so it is kept narrow. A fault with a name of its own
(a leak, a bad image) shares a change only with its like: one release may break two workloads in two ways, and both
have to be seen. What a workload's logs name counts for what it shows as a symptom.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from analysis.contract import Candidate, SharedChange
from analysis.correlate.graph import entity
from analysis.correlate.kinds import Rank, family, rank
from analysis.correlate.signals import Entity, Mark
from analysis.logs.named import named
from analysis.words import clock
from crds.v1alpha1.base import TargetRef

REACH = 600.0
"""Seconds after a change within which what it breaks begins to fail."""
SLACK = 60.0
"""Seconds by which an onset may be put too early: those of slow signals are estimates."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """The changes of late, by what they touched, and what workloads' logs name."""

    changes: Mapping[Entity, Sequence[SharedChange]] = field(default_factory=dict)
    logged: Mapping[Entity, frozenset[str]] = field(default_factory=dict)
    behind: Mapping[Entity, frozenset[Entity]] = field(default_factory=dict)
    """Workloads that a Service leads to: it fails with them."""
    strong: Set[Entity] = frozenset()
    """What shows a fault with a name of its own: its symptoms follow from that."""

    def marks(self, alarm: Candidate) -> frozenset[Mark]:
        """What one alarm may share."""
        space, kind, target = alarm.target.namespace, family(alarm.type), entity(alarm.target)
        things = {thing for text in alarm.events for thing in named(text, space)}
        told = {Mark(space, f"all name {thing}") for thing in things - _self(alarm.target)}
        if rank(alarm.type) is not Rank.STRONG and target in self.strong:
            return frozenset(told)
        if rank(alarm.type) is Rank.SYMPTOM:
            told |= {Mark(space, f"all name {thing}") for thing in self.logged.get(target, frozenset())}
        onset = alarm.onset.timestamp()
        for one in {target, *self.behind.get(target, frozenset())}:
            for change in self.changes.get(one, ()):
                if -SLACK <= onset - change.at.timestamp() <= REACH:
                    told.add(Mark(space, f"{change.what} at {clock(change.at)} UTC", kind))
        return frozenset(told)


def sharing(
    changes: Iterable[SharedChange],
    beside: Iterable[Candidate],
    behind: Mapping[Entity, frozenset[Entity]],
    strong: Set[Entity],
) -> Sharing:
    """``beside``: alarms that are evidence only, such as bursts of log lines."""
    touched: dict[Entity, list[SharedChange]] = {}
    for change in changes:
        for target in change.targets:
            touched.setdefault(entity(target), []).append(change)
    logged: dict[Entity, frozenset[str]] = {}
    for alarm in beside:
        one = entity(alarm.target)
        said = frozenset().union(*(named(text, alarm.target.namespace) for text in alarm.events)) - _self(alarm.target)
        logged[one] = logged.get(one, frozenset()) | said
    return Sharing(touched, logged, behind, strong)


def _self(target: TargetRef) -> frozenset[str]:
    """How its own logs may name it."""
    return frozenset({f'host "{target.name}"'})
