"""Faults that share a change or name the same thing are one; those that only look alike stay two."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from analysis.contract import Candidate, OpenIncident, ServiceFact, SharedChange
from analysis.correlate.live import incidents
from tests.unit.analysis.correlate.test_live import START, TOPOLOGY, alarm, opened, told, workload

PAIR = ("catalogue", "payments")
"""Neither needs the other."""


def change(*names: str, at: float = -60, what: str = "ConfigMap app-config written") -> SharedChange:
    moment = START + timedelta(seconds=at)
    return SharedChange(what=what, at=moment, targets=tuple(workload(name) for name in names))


def both(kind: str, other: str = "", gap: float = 20) -> list[Candidate]:
    return [alarm(kind, PAIR[0]), alarm(other or kind, PAIR[1], gap)]


def saying(kind: str, name: str, text: str, at: float = 0) -> Candidate:
    return alarm(kind, name, at, events=(f"2026-03-01T12:00:00+00:00 Event Failed {name}-1 {text}",))


def group(
    alarms: Sequence[Candidate], changes: Sequence[SharedChange] = (), held: Sequence[OpenIncident] = ()
) -> dict[str, set[str]]:
    return told(incidents(alarms, TOPOLOGY, {}, held, changes))


MISSING, OTHER = 'configmap "app-config" not found', 'configmap "other" not found'
GENERIC = "Back-off restarting failed container app in pod"
REFUSED = 'naming host "db"'

TOGETHER: dict[str, tuple[list[Candidate], list[SharedChange]]] = {
    "a ConfigMap that both use": (both("CrashLoop"), [change(*PAIR)]),
    "different symptoms of one change": (both("CrashLoop", "HighErrorRate", gap=200), [change(*PAIR)]),
    "a bad image in both, of one release": (both("ImagePullFailed"), [change(*PAIR, what="release shop rolled out")]),
    "the same missing ConfigMap": ([saying("CrashLoop", name, MISSING) for name in PAIR], []),
    "one cannot start for it, the other cannot mount it": (
        [saying("PendingPods", PAIR[0], MISSING), saying("FailedMount", PAIR[1], MISSING, 90)],
        [],
    ),
    "the same host in the logs of both": (
        [*both("HighErrorRate"), *(alarm("LogBurst", name, events=("cannot reach <*>", REFUSED)) for name in PAIR)],
        [],
    ),
}
APART: dict[str, tuple[list[Candidate], list[SharedChange]]] = {
    "nothing in common": (both("CrashLoop"), []),
    "a change of one of them": (both("CrashLoop"), [change(PAIR[0]), change(PAIR[1], at=-30, what="x written")]),
    "a change of both, long before": (both("CrashLoop"), [change(*PAIR, at=-1500)]),
    "a change of both, afterwards": (both("CrashLoop"), [change(*PAIR, at=300)]),
    "two faults with names, of one release": (both("MemoryLeak", "ImagePullFailed"), [change(*PAIR)]),
    "one with a name, one without, of one release": (both("ImagePullFailed", "HighErrorRate"), [change(*PAIR)]),
    "a leak and its kills beside a crash loop of one release": (
        [alarm("MemoryLeak", PAIR[0]), alarm("CrashLoop", PAIR[0], 50), alarm("CrashLoop", PAIR[1], 50)],
        [change(*PAIR)],
    ),
    "generic words": ([saying("CrashLoop", name, GENERIC) for name in PAIR], []),
    "other things of one kind": (
        [saying("CrashLoop", PAIR[0], MISSING), saying("CrashLoop", PAIR[1], OTHER)],
        [],
    ),
    "the same thing, an hour apart": (
        [saying("CrashLoop", PAIR[0], MISSING), saying("CrashLoop", PAIR[1], MISSING, 3600)],
        [],
    ),
    "volumes of the same name": (
        [saying("FailedMount", name, 'failed for volume "data" : exit status 32') for name in PAIR],
        [],
    ),
    "leaks whose logs name the same host": (
        [*both("MemoryLeak"), *(alarm("LogBurst", name, events=("x", REFUSED)) for name in PAIR)],
        [],
    ),
}


@pytest.mark.parametrize("name", TOGETHER)
def test_what_is_shared_makes_one_incident_and_says_so(name: str) -> None:
    alarms, changes = TOGETHER[name]
    for order in (alarms, alarms[::-1]):
        (found,) = incidents(order, TOPOLOGY, {}, (), changes)
        assert {found.target.name, *(one.target.name for one in found.signals)} == set(PAIR)
        assert found.summary.endswith(")"), "why they are one is said"


@pytest.mark.parametrize("name", APART)
def test_two_faults_stay_two(name: str) -> None:
    alarms, changes = APART[name]
    for order in (alarms, alarms[::-1]):
        assert len(group(order, changes)) == 2


def test_things_of_the_same_name_in_two_namespaces_are_two() -> None:
    one, other = (saying("CrashLoop", name, MISSING) for name in PAIR)
    other = other.model_copy(update={"target": other.target.model_copy(update={"namespace": "staging"})})
    assert len(group([one, other])) == 2


def test_services_fail_with_the_changed_workloads_behind_them() -> None:
    facts = tuple(ServiceFact(namespace="shop", name=f"{it}-svc", uid=it, workloads=(workload(it),)) for it in PAIR)
    alarms = [alarm("ZeroEndpoints", f"{it}-svc", 5, on="Service") for it in PAIR]
    topology = TOPOLOGY.model_copy(update={"services": facts})
    assert len(incidents(alarms, topology, {}, (), [change(*PAIR)])) == 1
    assert len(incidents(alarms, topology, {}, (), [change(PAIR[0])])) == 2


def test_the_second_joins_the_incident_of_the_first_which_keeps_its_name_and_finds_no_deeper_origin() -> None:
    late, early = alarm("CrashLoop", PAIR[1], 40), alarm("CrashLoop", PAIR[0], 0)
    held = [opened(late)]
    (found,) = incidents([early, late], TOPOLOGY, {}, held, [change(*PAIR)])
    assert (found.target.name, found.origin) == (PAIR[1], None)
    assert {one.target.name for one in found.signals} == {PAIR[0]}


def test_a_caller_goes_with_what_it_calls_and_not_with_what_was_changed_with_it() -> None:
    calls = {("shop", "catalogue-7c9d8f6b5d-abcd1"): frozenset({"checkout"})}
    alarms = [alarm("DiskFull", "checkout", 0), *both("HighErrorRate", gap=5)]
    found = told(incidents(alarms, TOPOLOGY, calls, (), [change(*PAIR)]))
    assert found == {"DiskFull checkout": {"HighErrorRate catalogue"}, "HighErrorRate payments": set()}
