"""What stands around an incident's target: callees, the Services in front of it, names resolved to objects. Pure."""

from __future__ import annotations

from analysis.contract import ServiceState, WorkloadState
from analysis.logs.named import host_of, named
from analysis.rca.facts import Facts
from analysis.rca.subject import subjects_of
from analysis.rca.suspects import reachable
from crds.v1alpha1.base import TargetRef

MAX_TEMPLATES = 20
"""Of those that are new, most telling first."""


def subjects(facts: Facts) -> tuple[str, ...]:
    """Names of the workloads that the incident is about."""
    return tuple(one.name for one in subjects_of(facts.request))


def callees(facts: Facts) -> tuple[str, ...]:
    """Names of all that the target calls, directly or not, as its metrics and its log have them; sorted."""
    return tuple(sorted({*measured_callees(facts), *_hosts_in_log(facts)} - set(subjects(facts))))


def measured_callees(facts: Facts) -> frozenset[str]:
    """Those of :func:`callees` that metrics show: what anyone can write into a log is enough to look, not to act."""
    calls = facts.neighbours.calls if facts.neighbours is not None else {}
    found = {one for name in subjects(facts) for one in reachable(calls, name)}
    return frozenset({*found, *(facts.upstream or ()), *(facts.upstream_errors or ())} - set(subjects(facts)))


def callers(facts: Facts) -> frozenset[str] | None:
    """Names of the workloads whose metrics show that they call the target; None where there are no such metrics."""
    if facts.neighbours is None:
        return None
    own = set(subjects(facts))
    fronts = {one.name for one in facts.request.services if own & {matched.name for matched in one.matches}}
    return frozenset(name for name, called in facts.neighbours.calls.items() if called & (own | fronts)) - own


def _hosts_in_log(facts: Facts) -> frozenset[str]:
    """Hosts that its log names since the onset and did not before: what cannot be reached has no metrics of calls."""
    texts = [one.example.excerpt() for one in facts.logs.new[:MAX_TEMPLATES]] if facts.logs is not None else []
    space = facts.target.namespace
    return frozenset(host for text in texts for one in named(text, space) if (host := host_of(one)))


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
