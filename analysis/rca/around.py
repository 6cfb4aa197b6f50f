"""What stands around an incident's target: callees, the Services in front of it, names resolved to objects. Pure."""

from __future__ import annotations

from analysis.contract import ServiceState, WorkloadState
from analysis.rca.facts import Facts
from analysis.rca.subject import subjects_of
from analysis.rca.suspects import reachable
from crds.v1alpha1.base import TargetRef


def subjects(facts: Facts) -> tuple[str, ...]:
    """Names of the workloads that the incident is about."""
    return tuple(one.name for one in subjects_of(facts.request))


def callees(facts: Facts) -> tuple[str, ...]:
    """Names, as the callers' metrics have them, of all that the target calls, directly or not; sorted."""
    calls = facts.neighbours.calls if facts.neighbours is not None else {}
    found = {one for name in subjects(facts) for one in reachable(calls, name)}
    found |= {*(facts.upstream or ()), *(facts.upstream_errors or ())}
    return tuple(sorted(found - set(subjects(facts))))


def workload(facts: Facts, name: str) -> WorkloadState | None:
    """The workload of this name, else the one behind the Service of this name."""
    states = {one.target.name: one for one in facts.request.workloads}
    if name in states:
        return states[name]
    matches = next((one.matches for one in facts.request.services if one.name == name), ())
    return states.get(matches[0].name) if matches else None


def resolve(facts: Facts, name: str) -> TargetRef | None:
    """A workload or Service as a reference; None for a name that is neither, such as a service elsewhere."""
    found = workload(facts, name)
    if found is not None:
        return found.target
    if any(one.name == name for one in facts.request.services):
        return service_ref(facts, name)
    return None


def service_ref(facts: Facts, name: str) -> TargetRef:
    """A Service of the incident's namespace."""
    return TargetRef(api_version="v1", kind="Service", namespace=facts.target.namespace, name=name)


def services(facts: Facts) -> tuple[ServiceState, ...]:
    """Services that the incident may hang on: the target, those in front of it, and those that it calls."""
    names = {facts.target.name, *callees(facts)}
    own = set(subjects(facts))
    return tuple(
        one for one in facts.request.services if one.name in names or own & {matched.name for matched in one.matches}
    )
