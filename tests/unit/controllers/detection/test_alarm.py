"""What turns bad is looked at at once; what merely changes waits for the clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from analysis.contract import ApiSignal
from controllers.detection.alarm import MIN_GAP, RIPE, SETTLE, Alarm, next_look
from controllers.detection.handlers import build
from controllers.detection.inventory import Inventory
from controllers.detection.reconcile import TICK
from controllers.detection.topology import PodStore
from controllers.kube.resources import DEPLOYMENTS, ENDPOINT_SLICES, NODES, PODS, ResourceType
from controllers.runtime.controller import Context
from controllers.runtime.metrics import Metrics
from controllers.runtime.outcome import Key
from controllers.runtime.settings import Settings
from crds.v1alpha1.base import TargetRef
from tests.fakes.analysis import FakeAnalysis
from tests.fakes.kube import START, FakeKube, FakeRecorder
from tests.unit.controllers.detection.cluster import condition, deployment, endpoints, node
from tests.unit.controllers.detection.pods import pod

RUNS: dict[str, Any] = {"name": "app", "restartCount": 0, "state": {"running": {"startedAt": "2026-01-02T03:00:00Z"}}}


def waits(reason: str) -> dict[str, Any]:
    return {"name": "app", "restartCount": 0, "state": {"waiting": {"reason": reason}}}


def killed(minute: int) -> dict[str, Any]:
    ended = {"reason": "OOMKilled", "exitCode": 137, "finishedAt": f"2026-01-02T03:{minute:02}:00Z"}
    return {**RUNS, "restartCount": minute, "lastState": {"terminated": ended}}


def container(state: dict[str, Any], version: int) -> dict[str, Any]:
    return pod(version=version, containers=[state])


def stalled(version: int, **extra: Any) -> dict[str, Any]:
    return deployment(version=version, conditions=[condition("Progressing", "False")], **extra)


def unready(**extra: Any) -> dict[str, Any]:
    body = node("n1", condition("Ready", "Unknown"), **extra)
    body["metadata"]["resourceVersion"] = "2"
    return body


Body = Mapping[str, Any]
PULLS, LOOPS = waits("ErrImagePull"), waits("CrashLoopBackOff")


@pytest.mark.parametrize(
    ("resource", "before", "after", "rings"),
    [
        (PODS, container(RUNS, 1), container(PULLS, 2), True),
        (PODS, container(PULLS, 1), container(PULLS, 2), False),
        (PODS, container(RUNS, 1), container(LOOPS, 2), True),
        (PODS, container(RUNS, 1), container(killed(1), 2), True),
        (PODS, container(killed(1), 1), container(killed(1), 2), False),
        (PODS, container(killed(1), 1), container(killed(2), 2), True),
        (PODS, container(PULLS, 1), container(RUNS, 2), False),
        (PODS, None, container(waits("ContainerCreating"), 1), False),
        (PODS, pod(), pod(version=2, phase="Failed", status={"reason": "Evicted"}), True),
        (ENDPOINT_SLICES, endpoints(ready=2), endpoints(ready=0, unready=2, version=2), True),
        (ENDPOINT_SLICES, endpoints(ready=2), endpoints(ready=1, unready=1, version=2), False),
        (DEPLOYMENTS, deployment(replicas=2), deployment(replicas=0, version=2), True),
        (DEPLOYMENTS, deployment(replicas=2), deployment(replicas=1, version=2), False),
        (DEPLOYMENTS, deployment(), stalled(2), True),
        (DEPLOYMENTS, stalled(1), stalled(2, annotations={"a": "b"}), False),
        (NODES, node("n1", condition("Ready", "True")), unready(), True),
        (NODES, node("n1", condition("Ready", "Unknown")), unready(cordoned=True), False),
    ],
)
def test_only_a_new_trouble_asks_for_a_round(
    resource: ResourceType, before: Body | None, after: Body, rings: bool
) -> None:
    asked: list[float] = []
    alarm = Alarm(lambda: 100.0)
    inventory, pods = Inventory(lambda: START, alarm), PodStore(lambda: START, alarm)
    sink = pods if resource is PODS else inventory.stores[resource]
    if before is not None:
        sink.observe("ADDED", before)
    alarm.bind(asked.append)
    sink.observe("MODIFIED", after)
    assert asked == ([SETTLE] if rings else [])


def test_early_rounds_keep_their_distance() -> None:
    asked: list[float] = []
    now = 100.0
    alarm = Alarm(lambda: now)
    alarm.bind(asked.append)
    alarm.round_ended()
    alarm.compare(frozenset(), frozenset({("NoneReady",)}))
    now += MIN_GAP
    alarm.compare(frozenset(), frozenset({("NoneReady",)}))
    assert asked == [MIN_GAP, SETTLE]


@pytest.mark.parametrize(
    ("age", "seconds"), [(0, RIPE), (1.9, RIPE), (2, 5.0), (600, 5.0), (None, 5.0)], ids=lambda value: str(value)
)
def test_a_state_too_young_to_be_called_is_looked_at_again_soon(age: float | None, seconds: float) -> None:
    since = None if age is None else START - timedelta(seconds=age)
    target = TargetRef(api_version="v1", kind="Service", namespace="shop", name="cart", uid="u")
    state = ApiSignal(type="ZeroEndpoints", reason="SelectsNothing", target=target, at=START, since=since)
    assert next_look([state], START, 5.0) == seconds
    assert next_look([], START, 5.0) == 5.0


def test_the_controller_is_woken_by_what_it_watches() -> None:
    asked: list[tuple[Key, float]] = []
    kube = FakeKube(lambda: START)
    context = Context(
        settings=Settings(),
        kube=kube,
        events=FakeRecorder(),
        metrics=Metrics("detection"),
        analysis=FakeAnalysis(),
        now=lambda: START,
    )
    controller = build(context)
    controller.attach(lambda key, seconds: asked.append((key, seconds)))
    sinks = dict(controller.reflected)
    sinks[ENDPOINT_SLICES].observe(None, endpoints(ready=0, unready=1))
    assert asked == [(TICK, SETTLE)]
