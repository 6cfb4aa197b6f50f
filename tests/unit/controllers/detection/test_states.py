"""Which states of services, workloads and nodes are told, and which are as they should be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from analysis.contract import ApiSignal
from controllers.detection.inventory import Inventory
from controllers.detection.states import Memory, state_signals
from controllers.kube.errors import Forbidden, KubeError
from controllers.kube.resources import DEPLOYMENTS, ENDPOINT_SLICES, NODES, SERVICES
from crds.v1alpha1.base import Scope, TargetRef
from tests.fakes.kube import FakeKube
from tests.unit.controllers.detection.cluster import condition, deployment, endpoints, node, service
from tests.unit.controllers.incident.builders import at, incident


class World:
    """An inventory that is fed by watch events, and what it tells."""

    def __init__(self) -> None:
        self.now = at(0)
        self.inventory = Inventory(lambda: self.now)
        self.memory = Memory()

    def see(self, *bodies: dict[str, Any], event: str = "MODIFIED") -> list[ApiSignal]:
        for body in bodies:
            self.store(body).observe(event, body)
        return state_signals(self.inventory.cluster(), self.memory, self.now)

    def store(self, body: dict[str, Any]) -> Any:
        if "endpoints" in body:
            return self.inventory.slices
        if "template" in body["spec"]:
            return self.inventory.deployments
        return self.inventory.services if "selector" in body["spec"] else self.inventory.nodes


def told(signals: list[ApiSignal]) -> list[tuple[str, str, str]]:
    return [(signal.type, signal.reason, signal.target.short()) for signal in signals]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ([endpoints(ready=1, unready=1, version=2)], []),
        ([endpoints(ready=0, unready=2, version=2)], [("ZeroEndpoints", "NotReady", "svc/payments")]),
        (
            [endpoints(ready=0, version=2), service(selector={"app": "payment"}, version=2)],
            [("ZeroEndpoints", "SelectsNothing", "svc/payments")],
        ),
        (
            [endpoints(ready=0, unready=1, version=2), deployment(updated=1, version=2)],
            [("ZeroEndpoints", "Rollout", "svc/payments")],
        ),
        (
            [endpoints(ready=0, version=2), deployment(replicas=0, version=2)],
            [("ZeroEndpoints", "ScaledToZero", "svc/payments"), ("ScaledToZero", "Scaled", "deploy/payments")],
        ),
        ([endpoints(ready=0, version=2), service(version=2, deletionTimestamp="2026-01-02T03:04:05Z")], []),
        ([endpoints(ready=0, version=2), service(selector={}, version=2)], []),
    ],
)
def test_a_service_that_had_endpoints(after: list[dict[str, Any]], expected: list[tuple[str, str, str]]) -> None:
    world = World()
    assert world.see(service(), endpoints(), deployment()) == []
    world.now += timedelta(seconds=5)
    assert told(world.see(*after)) == expected


def test_a_new_service_that_waits_for_its_first_pod_is_nothing_until_a_rollout_would_be_over() -> None:
    world = World()
    fresh = service(created=at(0).isoformat())
    assert world.see(fresh, endpoints(ready=0, unready=2), deployment(updated=0)) == []
    world.now += timedelta(minutes=11)
    assert told(world.see()) == [("ZeroEndpoints", "NeverReady", "svc/payments")]


def test_the_state_is_told_with_its_beginning_as_long_as_it_holds_and_not_after() -> None:
    world = World()
    world.see(service(), endpoints())
    world.now = at(10)
    world.see(endpoints(ready=0, unready=1, version=2))
    world.now = at(40)
    (signal,) = world.see()
    assert (signal.since, signal.at) == (at(10), at(40))
    assert signal.target.uid == "svc-payments"
    assert "0 of 1 endpoints" in signal.message
    assert world.see(endpoints(ready=1, version=3)) == []


def test_a_restarted_controller_learns_from_open_incidents_what_was_up_before() -> None:
    world = World()
    recent = service(created=at(-300).isoformat())
    assert world.see(recent, endpoints(ready=0, unready=1)) == []
    target = TargetRef(api_version="v1", kind="Service", namespace="shop", name="payments", uid="svc-payments")
    world.memory.remember([incident(target=target, scope=Scope.SERVICE)])
    assert told(world.see()) == [("ZeroEndpoints", "NotReady", "svc/payments")]


def test_an_object_made_anew_under_the_same_name_starts_without_a_past() -> None:
    world = World()
    world.see(service(), endpoints(), deployment())
    again = service(version=9, created=at(0).isoformat(), uid="another")
    world.see(service(version=8), event="DELETED")
    assert world.see(again, endpoints(ready=0, unready=1, version=9)) == []


def scaled(manager: str, seconds_ago: float) -> list[dict[str, Any]]:
    fields = {"f:spec": {"f:replicas": {}}}
    return [{"manager": manager, "time": at(-seconds_ago).isoformat(), "fieldsV1": fields, "subresource": "scale"}]


@pytest.mark.parametrize(
    ("manager", "ago", "needed", "expected"),
    [
        ("kubectl", 60, True, "Scaled"),
        ("keda-operator", 60, True, "Autoscaler"),
        ("kubectl", 7 * 86400, True, ""),
        ("kubectl", 60, False, ""),
    ],
)
def test_what_was_scaled_to_zero_before_the_controller_started(
    manager: str, ago: float, needed: bool, expected: str
) -> None:
    world = World()
    fields = scaled(manager, ago)
    body = deployment(replicas=0, created="2025-01-01T00:00:00Z", managedFields=fields)
    signals = world.see(*([service()] if needed else []), body)
    assert [one.reason for one in signals] == ([expected] if expected else [])
    if expected:
        assert signals[0].since == at(-ago)
        assert manager in signals[0].message


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (node("n1", condition("Ready", "True")), ()),
        (node("n1", condition("Ready", "Unknown", "NodeStatusUnknown")), ("NodeNotReady", "NodeStatusUnknown")),
        (node("n1", condition("Ready", "False", "KubeletNotReady"), cordoned=True), ("NodeNotReady", "Cordoned")),
        (node("n1", condition("Ready", "False", "KubeletNotReady"), created=at(-60).isoformat()), ()),
        (node("n1", condition("DiskPressure", "True", "KubeletHasDiskPressure")), ("NodePressure", "DiskPressure")),
        (node("n1", condition("DiskPressure", "False")), ()),
        (
            deployment(conditions=[condition("Progressing", "False", "ProgressDeadlineExceeded")]),
            ("RolloutStalled", "ProgressDeadlineExceeded"),
        ),
        (
            deployment(conditions=[condition("ReplicaFailure", "True", "FailedCreate", message="exceeded quota: q")]),
            ("ReplicaFailure", "QuotaExceeded"),
        ),
        (deployment(conditions=[condition("Progressing", "True", "ReplicaSetUpdated")]), ()),
    ],
)
def test_conditions(body: dict[str, Any], expected: tuple[str, ...]) -> None:
    found = [one for signal in World().see(body) for one in (signal.type, signal.reason)]
    assert found == list(expected)


def test_a_list_fills_the_stores_and_what_may_not_be_read_is_left_out() -> None:
    world, kube = World(), FakeKube()
    for resource, body in ((SERVICES, service()), (ENDPOINT_SLICES, endpoints()), (DEPLOYMENTS, deployment())):
        kube.add_raw(resource, body)
    kube.add_raw(NODES, node())

    def refuse(verb: str, plural: str, *_: str) -> KubeError | None:
        return Forbidden("Forbidden", "no") if (verb, plural) == ("list", "nodes") else None

    kube.fail = refuse
    world.inventory.relist(kube, ("shop",))
    cluster = world.inventory.cluster()
    (fact,) = cluster.service_facts()
    assert [target.short() for target in fact.workloads] == ["deploy/payments"]
    assert cluster.node_facts() == ()
    assert world.inventory.cluster() is cluster, "nothing changed, nothing is derived again"
