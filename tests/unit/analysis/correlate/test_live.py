"""From alarms to one candidate per fault, as they come tick after tick, with the Incidents that exist by then."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analysis.contract import Candidate, OpenIncident, PodFact, ServiceFact, Topology
from analysis.correlate.live import incidents
from analysis.correlate.report import SILENT
from analysis.detect.finding import fingerprint
from crds.v1alpha1.base import Scope, Severity, TargetRef

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SERVICES = ("frontend", "checkout", "catalogue", "payments")
PODS = tuple(
    PodFact(
        namespace="shop",
        name=f"{name}-7c9d8f6b5d-abcd{index}",
        uid=f"{name}{index}",
        workload=TargetRef(kind="Deployment", namespace="shop", name=name, uid=f"uid-{name}"),
        node=f"n{index}",
    )
    for name in SERVICES
    for index in (1, 2)
)
TOPOLOGY = Topology(digest="sha256:" + "0" * 64, pods=PODS)
CALLS = {
    ("shop", "frontend-7c9d8f6b5d-abcd1"): frozenset({"http://checkout:8080", "catalogue.shop.svc.cluster.local"}),
    ("shop", "checkout-7c9d8f6b5d-abcd1"): frozenset({"payments", "}[hostile", ""}),
}


def workload(name: str, kind: str = "Deployment") -> TargetRef:
    return TargetRef(kind=kind, namespace="" if kind == "Node" else "shop", name=name, uid=f"uid-{name}")


def alarm(kind: str, name: str, seconds: float = 0, *, on: str = "Deployment", **changes: Any) -> Candidate:
    target = workload(name, on)
    fields: dict[str, Any] = {
        "type": kind,
        "scope": Scope.WORKLOAD,
        "target": target,
        "fingerprint": fingerprint(kind, Scope.WORKLOAD, target),
        "severity": Severity.MEDIUM,
        "confidence_percent": 90,
        "rule": kind.lower(),
        "summary": f"{kind} of {name}",
        "onset": START + timedelta(seconds=seconds),
        "last_seen": START + timedelta(seconds=seconds),
    }
    return Candidate(**(fields | changes))


def opened(candidate: Candidate, *, active: bool = True, at: float | None = None) -> OpenIncident:
    """The Incident that a candidate has led to."""
    return OpenIncident(
        uid=f"uid-{candidate.type}-{candidate.target.name}",
        fingerprint=candidate.fingerprint,
        type=candidate.type,
        scope=candidate.scope,
        target=candidate.target,
        severity=candidate.severity,
        started_at=candidate.onset if at is None else START + timedelta(seconds=at),
        active=active,
        origin=candidate.origin,
        members=tuple(item.fingerprint for item in (candidate, *candidate.signals) if item.observed),
    )


def group(alarms: Iterable[Candidate], held: Iterable[OpenIncident] = ()) -> tuple[Candidate, ...]:
    return incidents(tuple(alarms), TOPOLOGY, CALLS, tuple(held))


def told(found: Iterable[Candidate]) -> dict[str, set[str]]:
    """``{"MemoryLeak payments": {"OOMKilled payments"}}``."""
    return {
        f"{one.type} {one.target.name}": {f"{item.type} {item.target.name}" for item in one.signals} for one in found
    }


LEAK = [
    alarm("MemoryLeak", "payments", 0),
    alarm("OOMKilled", "payments", 1800),
    alarm("Restarted", "payments", 1800),
    alarm("ZeroEndpoints", "payments", 1802, on="Service"),
    alarm("HighErrorRate", "checkout", 1805),
    alarm("HighErrorRate", "frontend", 1810),
]

CASES: dict[str, tuple[list[Candidate], dict[str, set[str]]]] = {
    "a leak, its kills, its service and its callers": (
        LEAK,
        {
            "MemoryLeak payments": {
                "OOMKilled payments",
                "Restarted payments",
                "ZeroEndpoints payments",
                "HighErrorRate checkout",
                "HighErrorRate frontend",
            }
        },
    ),
    "a slow dependency": (
        [alarm("HighLatency", name, at) for name, at in (("frontend", 0), ("checkout", 5), ("payments", 9))],
        {"HighLatency payments": {"HighLatency checkout", "HighLatency frontend"}},
    ),
    "two faults under one caller": (
        [
            alarm("MemoryLeak", "payments", 0),
            alarm("HighErrorRate", "catalogue", 40),
            alarm("HighErrorRate", "frontend", 45),
        ],
        {"MemoryLeak payments": set(), "HighErrorRate catalogue": {"HighErrorRate frontend"}},
    ),
    "a leak and a full disk of one workload": (
        [alarm("MemoryLeak", "payments", 0), alarm("DiskFull", "payments", 60), alarm("OOMKilled", "payments", 70)],
        {"MemoryLeak payments": {"OOMKilled payments"}, "DiskFull payments": set()},
    ),
    "weak signs go with what is named": (
        [alarm("CPUThrottling", "payments", 0), alarm("MemoryLeak", "payments", 60)],
        {"MemoryLeak payments": {"CPUThrottling payments"}},
    ),
    "scaled to zero, so no pods": (
        [
            alarm("ScaledToZero", "ledger", 0),
            alarm("ZeroEndpoints", "ledger", 2, on="Service"),
        ],
        {"ScaledToZero ledger": {"ZeroEndpoints ledger"}},
    ),
    "neighbours without a reason are two": (
        [alarm("HighErrorRate", "catalogue", 0), alarm("HighErrorRate", "payments", 1)],
        {"HighErrorRate catalogue": set(), "HighErrorRate payments": set()},
    ),
    "a node with a signal": (
        [
            alarm("NodeNotReady", "n1", 0, on="Node"),
            alarm("HighErrorRate", "catalogue", 9, pods=("catalogue-7c9d8f6b5d-abcd1",)),
            alarm("HighErrorRate", "payments", 9, pods=("payments-7c9d8f6b5d-abcd2",)),
        ],
        {"NodeNotReady n1": {"HighErrorRate catalogue"}, "HighErrorRate payments": set()},
    ),
    "nothing": ([], {}),
}


@pytest.mark.parametrize("name", CASES)
def test_one_candidate_per_fault(name: str) -> None:
    alarms, expected = CASES[name]
    for order in (alarms, alarms[::-1]):
        assert told(group(order)) == expected


def test_a_fault_is_as_bad_as_the_worst_that_follows_from_it_and_says_so() -> None:
    (found,) = group([alarm("MemoryLeak", "payments"), alarm("HighErrorRate", "checkout", 9, severity=Severity.HIGH)])
    assert found.severity is Severity.HIGH
    assert found.summary == "MemoryLeak of payments; with it HighErrorRate of checkout"


def test_every_prefix_of_the_story_belongs_to_the_first_incident() -> None:
    """Alarms come one after the other and go again; the Incident that the first one opened stays the only one."""
    held: list[OpenIncident] = []
    shown = [LEAK[:count] for count in range(1, len(LEAK) + 1)] + [LEAK[count:] for count in range(1, len(LEAK))]
    for alarms in shown:
        (found,) = group(alarms, held)
        assert found.fingerprint == LEAK[0].fingerprint
        known = {*(held[0].members if held else ()), *(item.fingerprint for item in found.signals)}
        held = [opened(LEAK[0]).model_copy(update={"members": tuple(known)})]


def test_a_better_primary_joins_the_incident_that_its_consequence_opened() -> None:
    early = alarm("HighLatency", "frontend", 0)
    (first,) = group([early])
    held = [opened(first)]
    (found,) = group([early, alarm("HighLatency", "payments", 20), alarm("HighLatency", "checkout", 10)], held)
    assert found.fingerprint == early.fingerprint
    assert found.origin == workload("payments")
    assert len(found.signals) == 2


def test_an_incident_that_found_its_origin_goes_deeper_but_not_aside() -> None:
    frontend, checkout = alarm("HighLatency", "frontend", 0), alarm("HighLatency", "checkout", 10)
    (first,) = group([frontend])
    (second,) = group([frontend, checkout], [opened(first)])
    assert second.origin == workload("checkout")
    aside = group([frontend, checkout, alarm("DiskFull", "catalogue", 1)], [opened(second)])
    assert {one.target.name for one in aside} == {"frontend", "catalogue"}
    (deeper,) = group([frontend, checkout, alarm("HighLatency", "payments", 20)], [opened(second)])
    assert (deeper.target.name, deeper.origin) == ("frontend", workload("payments"))


def test_what_suffered_from_one_fault_and_then_has_one_of_its_own_gets_an_incident_of_its_own() -> None:
    catalogue, frontend = alarm("HighErrorRate", "catalogue", 0), alarm("HighErrorRate", "frontend", 5)
    (first,) = group([catalogue, frontend])
    both = group([catalogue, frontend, alarm("MemoryLeak", "frontend", 60)], [opened(first)])
    assert told(both) == {"HighErrorRate catalogue": {"HighErrorRate frontend"}, "MemoryLeak frontend": set()}


def test_an_independent_fault_does_not_join_because_a_caller_suffers_from_both() -> None:
    leak, frontend = alarm("MemoryLeak", "payments", 0), alarm("HighErrorRate", "frontend", 20)
    (first,) = group([leak, frontend])
    both = group([leak, frontend, alarm("DiskFull", "catalogue", 21)], [opened(first)])
    assert told(both) == {"MemoryLeak payments": {"HighErrorRate frontend"}, "DiskFull catalogue": set()}


def test_what_two_incidents_hold_stays_where_it_is() -> None:
    checkout, payments = alarm("HighErrorRate", "checkout", 0), alarm("MemoryLeak", "payments", 10)
    held = [opened(checkout), opened(payments)]
    found = group([checkout, payments, alarm("HighErrorRate", "frontend", 12)], held)
    assert told(found) == {"HighErrorRate checkout": set(), "MemoryLeak payments": {"HighErrorRate frontend"}}


def test_callers_of_a_fault_that_shows_nothing_for_now_join_its_incident() -> None:
    (found,) = group([alarm("HighErrorRate", "checkout", 30)], [opened(alarm("OOMKilled", "payments", 0))])
    assert (found.type, found.target.name, found.observed) == ("OOMKilled", "payments", False)
    assert told([found]) == {"OOMKilled payments": {"HighErrorRate checkout"}}


def test_an_ended_incident_takes_back_its_own_fault_and_not_somebody_elses() -> None:
    leak, frontend = alarm("MemoryLeak", "payments", 0), alarm("HighErrorRate", "frontend", 20)
    (first,) = group([leak, frontend])
    ended = [opened(first, active=False)]
    (again,) = group([alarm("MemoryLeak", "payments", 400)], ended)
    assert again.fingerprint == leak.fingerprint
    (other,) = group([alarm("DiskFull", "catalogue", 395), alarm("HighErrorRate", "frontend", 400)], ended)
    assert told([other]) == {"DiskFull catalogue": {"HighErrorRate frontend"}}


def test_a_silent_dependency_is_blamed_and_says_that_it_shows_nothing() -> None:
    pods = tuple(
        PodFact(namespace="shop", name=f"{name}-5d4c8b7f9-abcde", uid=name, workload=workload(name), node=f"n-{name}")
        for name in ("a", "b", "c", "db")
    )
    calls = {("shop", f"{name}-5d4c8b7f9-abcde"): frozenset({"db"}) for name in "abc"}
    topology = TOPOLOGY.model_copy(update={"pods": pods})
    (found,) = incidents([alarm("HighErrorRate", name, at) for at, name in enumerate("abc")], topology, calls, ())
    assert (found.type, found.target.name, found.observed, len(found.signals)) == (SILENT, "db", False, 3)
    assert found.fingerprint == fingerprint(SILENT, Scope.WORKLOAD, workload("db"))


def test_services_and_volumes_lead_to_the_workloads_behind_and_on_them() -> None:
    """The Service has another name than its workload, and the full volume makes its user fail."""
    pods = (
        PodFact(namespace="shop", name="db-0", uid="db", workload=workload("db", "StatefulSet"), claims=("data-db-0",)),
        PodFact(namespace="shop", name="web-5d4c8b7f9-abcde", uid="web", workload=workload("web")),
    )
    service = ServiceFact(namespace="shop", name="postgres", uid="s", workloads=(workload("db", "StatefulSet"),))
    topology = TOPOLOGY.model_copy(update={"pods": pods, "services": (service,)})
    calls = {("shop", "web-5d4c8b7f9-abcde"): frozenset({"postgres.shop:5432"})}
    full = alarm("DiskFilling", "data-db-0", 0, on="PersistentVolumeClaim")
    crash, empty = alarm("CrashLoop", "db", 60, on="StatefulSet"), alarm("ZeroEndpoints", "postgres", 62, on="Service")
    found = incidents([full, crash, empty, alarm("HighErrorRate", "web", 90)], topology, calls, ())
    assert told(found) == {"DiskFilling data-db-0": {"CrashLoop db", "ZeroEndpoints postgres", "HighErrorRate web"}}


@pytest.mark.parametrize("kind", ["LogBurst", "LevelShift"])
def test_evidence_opens_nothing(kind: str) -> None:
    weak = alarm(kind, "payments", -30)
    assert group([weak]) == ()
    assert told(group([weak, alarm("HighErrorRate", "checkout")])) == {"HighErrorRate checkout": set()}
    assert told(group([weak, alarm("HighErrorRate", "payments")])) == {"HighErrorRate payments": {f"{kind} payments"}}
    (candidate,) = group([weak, alarm("HighErrorRate", "payments")])
    assert candidate.onset == START


def test_a_silent_node_becomes_the_origin_of_an_incident_that_is_on() -> None:
    """Restarts of one workload had opened it; now all that runs on the same node fails."""
    (first,) = group([alarm("Restarted", "payments", pods=(PODS[6].name,))])
    on = {name: (PODS[2 * index].name,) for index, name in enumerate(SERVICES)}
    alarms = [alarm("Restarted", name, 5, pods=on[name]) for name in SERVICES]
    (second,) = incidents(tuple(alarms), TOPOLOGY, {}, (opened(first),))
    assert second.target.name == "payments"
    assert second.origin is not None
    assert (second.origin.kind, second.origin.name) == ("Node", "n1")
