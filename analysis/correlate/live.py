"""From the alarms of one evaluation to one candidate per fault. Pure.

Grouping is computed anew each time from what is on; what makes it stable are the Incidents themselves, which come with
every request:

* An Incident that is on counts as a fault of its target even while the target shows nothing, so what its callers show
  meanwhile still leads there.
* A signal that an Incident holds stays with it.
* When the signal that opened an Incident turns out to follow from something deeper, that joins the Incident as its
  ``origin``: it does not open a second one. Only what explains the origin itself can then take its place.
* What is held by two Incidents (opened before it was known that they are one) stays where it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from analysis.contract import NEVER_ALONE, Candidate, OpenIncident, SharedChange, Topology
from analysis.correlate.graph import Calls, dependencies, entity, know
from analysis.correlate.group import Group, correlate
from analysis.correlate.kinds import Rank, family, rank
from analysis.correlate.report import Fault, report
from analysis.correlate.shared import Sharing, sharing
from analysis.correlate.signals import Dependencies, Entity, Signal
from crds.v1alpha1.base import Severity, TargetRef

_WEIGHTS = {severity: weight for weight, severity in enumerate(Severity, start=1)}
_MOMENTS = frozenset({"OOMKilled", "CrashLoop", "Restarted", "Evicted"})
"""Types whose ``last_seen`` is when it last happened, not when it was last looked at."""


@dataclass(frozen=True, slots=True)
class Facets:
    """One name per fault of an entity: two faults of different families (memory, disk) on one workload are two."""

    of: Mapping[tuple[Entity, str], Entity] = field(default_factory=dict)
    """By entity and family: the name; only for entities with more than one."""
    all: Mapping[Entity, frozenset[Entity]] = field(default_factory=dict)

    def name(self, target: TargetRef, kind: str) -> Entity:
        """The name under which a signal is correlated; symptoms and weak signs go with the family seen first."""
        one = entity(target)
        return self.of.get((one, family(kind)), one)

    def expand(self, given: Dependencies) -> Dependencies:
        """Who needs an entity needs all of its facets, and each facet needs what the entity needs."""
        if not self.all:
            return given
        needs: dict[Entity, frozenset[Entity]] = {}
        for one, needed in given.needs.items():
            wide = frozenset().union(*(self.all.get(other, frozenset({other})) for other in needed))
            for name in self.all.get(one, frozenset({one})):
                needs[name] = wide
        return Dependencies(needs)


def incidents(
    alarms: Sequence[Candidate],
    topology: Topology,
    calls: Calls,
    held: Sequence[OpenIncident],
    changes: Sequence[SharedChange] = (),
) -> tuple[Candidate, ...]:
    """One candidate per fault, in a stable order; every alarm is in exactly one, duplicates with their count.
    Evidence that opens nothing alone is beside what its workload shows.

    Args:
        held: Incidents that are on, or that ended within their reopen window.
        changes: of late, that touched several workloads each.
    """
    beside = [alarm for alarm in alarms if alarm.type in NEVER_ALONE]
    alarms = _collapse(alarm for alarm in alarms if alarm.type not in NEVER_ALONE)
    if not alarms:
        return ()
    on = [one for one in held if one.active]
    known = know(topology, [one.target for one in alarms] + [one.target for one in held])
    facets = _facets(alarms, on)
    parts = list(_parts(on))
    strong = {entity(target) for target, kind in _shown(alarms, parts) if rank(kind) is Rank.STRONG}
    common = sharing(changes, beside, known.behind, strong)
    phantoms = [_phantom(*part, facets) for part in parts]
    signals = [_signal(alarm, facets, common) for alarm in alarms] + phantoms
    needs = facets.expand(dependencies(known, alarms, calls))
    groups = correlate(signals, needs, {one.entity for one in phantoms})
    faults = _faults(alarms, groups, held, facets)
    _attach(beside, faults)
    return tuple(report(fault, known.targets, needs) for fault in faults)


def _attach(beside: Iterable[Candidate], faults: Sequence[Fault]) -> None:
    """Evidence goes with the first fault that its workload shows; where it shows none, nothing is said."""
    first: dict[Entity, Fault] = {}
    for fault in faults:
        for alarm in fault.alarms:
            first.setdefault(entity(alarm.target), fault)
    for alarm in beside:
        if (of := first.get(entity(alarm.target))) is not None:
            of.alarms.append(alarm)


def _collapse(alarms: Iterable[Candidate]) -> list[Candidate]:
    """One alarm per fault and rule: the newest word, the earliest onset, all of the count."""
    found: dict[tuple[str, str], list[Candidate]] = {}
    for alarm in alarms:
        found.setdefault((alarm.fingerprint, alarm.rule), []).append(alarm)
    return [_merged(same) if len(same) > 1 else same[0] for same in found.values()]


def _merged(same: Sequence[Candidate]) -> Candidate:
    newest = max(same, key=lambda alarm: alarm.last_seen)
    worst = max((alarm.severity for alarm in same), key=_WEIGHTS.__getitem__)
    onset = min(alarm.onset for alarm in same)
    return newest.model_copy(update={"onset": onset, "severity": worst, "count": sum(alarm.count for alarm in same)})


def _facets(alarms: Iterable[Candidate], on: Iterable[OpenIncident]) -> Facets:
    seen: dict[Entity, dict[str, float]] = {}
    found = [(one.target, one.type, one.onset.timestamp()) for one in alarms]
    found += [(one.target, one.type, one.started_at.timestamp()) for one in on]
    for target, kind, onset in found:
        if rank(kind) is Rank.STRONG:
            families = seen.setdefault(entity(target), {})
            families[family(kind)] = min(onset, families.get(family(kind), onset))
    of: dict[tuple[Entity, str], Entity] = {}
    for one, families in seen.items():
        _, *others = sorted(families, key=lambda name: (families[name], name))
        of |= {(one, name): f"{one}#{name}" for name in others}
    wide: dict[Entity, frozenset[Entity]] = {}
    for (one, _), name in of.items():
        wide[one] = wide.get(one, frozenset({one})) | {name}
    return Facets(of, wide)


def _shown(
    alarms: Iterable[Candidate], parts: Iterable[tuple[OpenIncident, TargetRef]]
) -> Iterator[tuple[TargetRef, str]]:
    yield from ((alarm.target, alarm.type) for alarm in alarms)
    yield from ((target, one.type) for one, target in parts)


def _signal(alarm: Candidate, facets: Facets, common: Sharing) -> Signal:
    again = alarm.last_seen.timestamp() if alarm.type in _MOMENTS else None
    weight = _WEIGHTS[alarm.severity]
    name = facets.name(alarm.target, alarm.type)
    onset, seen = alarm.onset.timestamp(), alarm.last_seen.timestamp()
    return Signal(name, alarm.type, onset, seen, weight, common.marks(alarm), again)


def _parts(on: Iterable[OpenIncident]) -> Iterator[tuple[OpenIncident, TargetRef]]:
    for one in on:
        yield one, one.target
        if one.origin is not None:
            yield one, one.origin


def _phantom(one: OpenIncident, target: TargetRef, facets: Facets) -> Signal:
    started = one.started_at.timestamp()
    return Signal(facets.name(target, one.type), one.type, started, started, _WEIGHTS[one.severity])


def _core(one: OpenIncident, facets: Facets) -> Entity:
    """What the Incident is about by now."""
    return facets.name(one.origin or one.target, one.type)


def _faults(
    alarms: Sequence[Candidate], groups: Sequence[Group], held: Sequence[OpenIncident], facets: Facets
) -> list[Fault]:
    group_of = {one.entity: index for index, group in enumerate(groups) for one in group.signals}
    owners = _owners(groups, held, facets, group_of)
    pins = _pins(held)
    placed: list[tuple[Candidate, int, OpenIncident | None]] = []
    for alarm in alarms:
        name = facets.name(alarm.target, alarm.type)
        index, pinned = group_of[name], pins.get(alarm.fingerprint)
        at_root = name == groups[index].root
        if pinned is not None and not pinned.active and not at_root:
            pinned = None  # it has ended, and what it once held follows from something else this time
        if pinned is not None and _core(pinned, facets) == groups[index].root:
            owners.setdefault(index, pinned)
        placed.append((alarm, index, pinned))
    found: dict[tuple[str, int], Fault] = {}
    for alarm, index, pinned in placed:
        incident = pinned or owners.get(index)
        key = (incident.uid, -1) if incident is not None else ("", index)
        found.setdefault(key, Fault(incident)).add(alarm, groups[index])
    return [found[key] for key in sorted(found)]


def _owners(
    groups: Sequence[Group], held: Sequence[OpenIncident], facets: Facets, group_of: Mapping[Entity, int]
) -> dict[int, OpenIncident]:
    """The Incident that a group's new signals join: that of its root, else the oldest whose core is in it."""
    found: dict[int, list[OpenIncident]] = {}
    for one in held:
        if one.active:
            found.setdefault(group_of[_core(one, facets)], []).append(one)
    return {
        index: min(ones, key=lambda one: (_core(one, facets) != groups[index].root, one.started_at, one.uid))
        for index, ones in found.items()
    }


def _pins(held: Iterable[OpenIncident]) -> dict[str, OpenIncident]:
    """By a signal's fingerprint: the Incident that was opened for it, else one that holds it; what is on goes first."""
    found: dict[str, OpenIncident] = {}
    order = sorted(held, key=lambda one: (not one.active, one.started_at, one.uid))
    for one in order:
        found.setdefault(one.fingerprint, one)
    for one in order:
        for member in one.members:
            found.setdefault(member, one)
    return found
