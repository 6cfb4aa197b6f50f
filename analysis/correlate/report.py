"""How a fault with its signals is told: what it is named after, how bad it is, what else belongs to it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from analysis.contract import Candidate, OpenIncident
from analysis.correlate.graph import entity
from analysis.correlate.group import Group
from analysis.correlate.impact import impact
from analysis.correlate.kinds import PASSED_ON, Rank, rank
from analysis.correlate.signals import Dependencies, Entity
from analysis.detect.finding import fingerprint
from analysis.words import line, moment
from crds.v1alpha1.base import Scope, TargetRef

MAX_SIGNALS = 200
"""Listed with one candidate, the most telling."""
MAX_NAMED = 4
SILENT = "DependencyFailure"
"""Type of a fault that shows itself only in what needs the target."""
RULE = "correlation"
_SCOPES = {"Node": Scope.NODE, "PersistentVolumeClaim": Scope.VOLUME, "Service": Scope.SERVICE, "Pod": Scope.POD}


class Fault:
    """What was put together: the Incident it belongs to, if there is one, and the alarms with their groups."""

    def __init__(self, incident: OpenIncident | None) -> None:
        self.incident = incident
        self.alarms: list[Candidate] = []
        self.groups: list[Group] = []

    def add(self, alarm: Candidate, group: Group) -> None:
        """One more alarm of it."""
        self.alarms.append(alarm)
        if group not in self.groups:
            self.groups.append(group)


def report(fault: Fault, targets: Mapping[Entity, TargetRef], dependencies: Dependencies) -> Candidate:
    """The candidate of one fault."""
    ordered = sorted(fault.alarms, key=_telling)
    roots = {group.root.partition("#")[0]: group for group in fault.groups}
    if fault.incident is not None:
        head = _head_of_incident(fault.incident, ordered)
        origin = _origin(fault.incident, roots, targets)
    else:
        (root, group), origin = next(iter(roots.items())), None
        head = _head_of_group(root, group, ordered, targets)
    others = [alarm for alarm in ordered if alarm.fingerprint != head.fingerprint]
    severity, felt = impact(ordered)
    return head.model_copy(
        update={
            "severity": severity,
            "impact": felt,
            "origin": origin,
            "provisional": fault.incident is None and _may_be_passed_on(fault, dependencies),
            "signals": tuple(others[:MAX_SIGNALS]),
            "summary": line(_summary(head.summary, others, fault)),
        }
    )


def _may_be_passed_on(fault: Fault, dependencies: Dependencies) -> bool:
    """Whether a moment more may show that something else is to blame."""
    if any(group.undecided for group in fault.groups) and all(rank(one.type) >= Rank.SYMPTOM for one in fault.alarms):
        return True
    needs = any(dependencies.needs.get(group.root) for group in fault.groups)
    return needs and all(alarm.type in PASSED_ON for alarm in fault.alarms)


def _telling(alarm: Candidate) -> tuple[Rank, datetime, int, str]:
    """The better it names a fault and the earlier it was, the more telling."""
    return rank(alarm.type), alarm.onset, -alarm.confidence_percent, alarm.fingerprint


def _origin(
    incident: OpenIncident, roots: Mapping[Entity, Group], targets: Mapping[Entity, TargetRef]
) -> TargetRef | None:
    core = entity(incident.origin or incident.target)
    below = {root: group for root, group in roots.items() if not group.shared}  # sharing says nothing of depth
    deeper = [root for root, group in below.items() if root != core and core in _entities(group)]
    return _target(deeper[0], targets) if deeper else incident.origin


def _target(root: Entity, targets: Mapping[Entity, TargetRef]) -> TargetRef:
    """What shows nothing, such as a node, is known by its name only."""
    kind, namespace, name = root.split("/", 2)
    return targets.get(root) or TargetRef(api_version="v1", kind=kind, namespace=namespace, name=name)


def _entities(group: Group) -> set[Entity]:
    return {one.entity.partition("#")[0] for one in group.signals}


def _head_of_incident(incident: OpenIncident, ordered: list[Candidate]) -> Candidate:
    found = next((alarm for alarm in ordered if alarm.fingerprint == incident.fingerprint), None)
    if found is not None:
        return found
    return Candidate(
        type=incident.type,
        scope=incident.scope,
        target=incident.target,
        fingerprint=incident.fingerprint,
        severity=incident.severity,
        confidence_percent=max(alarm.confidence_percent for alarm in ordered),
        rule=ordered[0].rule,
        rule_version=ordered[0].rule_version,
        summary=ordered[0].summary,
        onset=incident.started_at,
        last_seen=ordered[0].last_seen,
        observed=False,
    )


def _head_of_group(
    root: Entity, group: Group, ordered: list[Candidate], targets: Mapping[Entity, TargetRef]
) -> Candidate:
    own = next((alarm for alarm in ordered if entity(alarm.target) == root), None)
    if own is not None:
        return own
    target = _target(root, targets)
    scope = _SCOPES.get(target.kind, Scope.WORKLOAD)
    failing = sorted({alarm.target.name for alarm in ordered})
    return Candidate(
        type=SILENT,
        scope=scope,
        target=target,
        fingerprint=fingerprint(SILENT, scope, target),
        severity=ordered[0].severity,
        confidence_percent=60,
        rule=RULE,
        rule_version=ordered[0].rule_version,
        summary=f"{len(failing)} that need {target.short()} began to fail together: {', '.join(failing[:MAX_NAMED])}",
        onset=moment(group.onset),
        last_seen=ordered[0].last_seen,
        observed=False,
    )


def _summary(said: str, others: list[Candidate], fault: Fault) -> str:
    if not others:
        return said
    named = list(dict.fromkeys(f"{alarm.type} of {alarm.target.name}" for alarm in others))
    more = f" and {len(named) - MAX_NAMED} more" if len(named) > MAX_NAMED else ""
    shared = [what for group in fault.groups for what in group.shared]
    why = f" ({shared[0]})" if shared else ""
    return f"{said}; with it {', '.join(named[:MAX_NAMED])}{more}{why}"
