from __future__ import annotations

from typing import Any

import pytest

from controllers.detection.signals import MAX_SIGNALS, api_signals
from controllers.kube.facts import PodRecord, pod_record
from crds.v1alpha1.base import TargetRef
from tests.unit.controllers.detection.pods import pod
from tests.unit.controllers.incident.builders import TARGET, at


def workload(_: PodRecord) -> TargetRef:
    return TARGET


def terminated(reason: str, seconds_ago: float = 60, code: int = 137) -> dict[str, Any]:
    return {"terminated": {"reason": reason, "finishedAt": at(-seconds_ago).isoformat(), "exitCode": code}}


def container(**fields: Any) -> dict[str, Any]:
    return {"name": "app", "restartCount": 0, "state": {"running": {}}, **fields}


@pytest.mark.parametrize(
    ("containers", "status", "expected"),
    [
        ([container()], {}, []),
        ([container(lastState=terminated("OOMKilled"), restartCount=1)], {}, ["OOMKilled", "Restarted"]),
        ([container(state=terminated("OOMKilled"))], {}, ["OOMKilled"]),
        ([container(lastState=terminated("Error", code=1), restartCount=4)], {}, ["Restarted"]),
        ([container(lastState=terminated("OOMKilled", 901), restartCount=1)], {}, []),
        ([container(state={"waiting": {"reason": "CrashLoopBackOff"}})], {}, ["CrashLoop"]),
        ([container(state={"waiting": {"reason": "ImagePullBackOff", "message": "no such tag"}})], {}, ["ImagePull"]),
        ([container(state={"waiting": {"reason": "ErrImagePull"}})], {}, ["ImagePull"]),
        ([container(state={"waiting": {"reason": "ContainerCreating"}})], {}, []),
        (None, {"reason": "Evicted", "message": "disk pressure", "startTime": at(-30).isoformat()}, ["Evicted"]),
        (None, {"reason": "Evicted", "startTime": at(-3000).isoformat()}, []),
    ],
)
def test_what_the_status_shows(
    containers: list[dict[str, Any]] | None, status: dict[str, Any], expected: list[str]
) -> None:
    record = pod_record(pod(containers=containers, status=status))
    assert sorted(item.type for item in api_signals([record], workload, at(0))) == sorted(expected)


def initial(**fields: Any) -> dict[str, Any]:
    return {"name": "migrate", "restartCount": 0, **fields}


@pytest.mark.parametrize(
    ("init", "expected"),
    [
        (initial(state=terminated("Completed", code=0)), set()),
        (initial(state={"waiting": {"reason": "PodInitializing"}}), set()),
        (initial(state={"running": {}}), set()),
        (initial(state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState=terminated("Error"), restartCount=3),
         {"CrashLoop", "Restarted", "PendingPods"}),
        (initial(state={"waiting": {"reason": "ErrImagePull"}}), {"ImagePull"}),
    ],
)  # fmt: skip
def test_an_init_container_in_trouble_is_seen_and_one_that_ended_well_is_not(
    init: dict[str, Any], expected: set[str]
) -> None:
    waiting = [container(state={"waiting": {"reason": "PodInitializing"}})]
    status = {"initContainerStatuses": [init], "startTime": at(-30).isoformat()}
    record = pod_record(pod(phase="Pending", containers=waiting, status=status))
    found = api_signals([record], workload, at(0))
    assert {item.type for item in found} - {"PendingPods"} == expected - {"PendingPods"}
    assert {item.container for item in found if item.type != "PendingPods"} <= {"migrate"}


@pytest.mark.parametrize("reason", ["CreateContainerConfigError", "CreateContainerError"])
def test_a_container_that_cannot_be_created_is_told_apart_from_one_that_takes_its_time(reason: str) -> None:
    waiting = {"waiting": {"reason": reason, "message": 'configmap "nope" not found'}}
    status = {"startTime": at(-45).isoformat()}
    record = pod_record(pod(phase="Pending", containers=[container(state=waiting)], status=status))
    (signal,) = api_signals([record], workload, at(0))
    assert (signal.type, signal.reason, signal.since, signal.container) == ("PendingPods", "NotCreated", at(-45), "app")
    assert "nope" in signal.message


def running(
    name: str, started: float, ready: float | None, *, unready: float | None = None, **fields: Any
) -> PodRecord:
    """Containers that run since `started` seconds ago; ready since `ready`, or not, for `unready` seconds."""
    condition = {"type": "Ready", "status": "False" if ready is None else "True"}
    changed = unready if ready is None else ready
    condition["lastTransitionTime"] = at(-(started if changed is None else changed)).isoformat()
    state = {"running": {"startedAt": at(-started).isoformat()}}
    return pod_record(
        pod(name, containers=[container(state=state)], status={"conditions": [condition]}, **fields)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("old", "waited", "late"),
    [
        pytest.param([(3600, 3590)], 39, False, id="within four times what the sibling took"),
        pytest.param([(3600, 3590)], 41, True, id="longer"),
        pytest.param([(3600, 3590), (3600, 3480)], 300, False, id="the slowest sibling counts"),
        pytest.param([], 900, False, id="nobody to compare with"),
        pytest.param([(3600, None)], 900, False, id="the siblings are not ready either"),
    ],
)
def test_a_pod_is_late_when_it_takes_much_longer_than_its_ready_siblings_took(
    old: list[tuple[float, float | None]], waited: float, late: bool
) -> None:
    siblings = [running(f"old-{n}", *one) for n, one in enumerate(old)]
    found = api_signals([*siblings, running("new", waited, None)], workload, at(0))
    assert [(item.type, item.pod, item.since) for item in found if item.pod == "new"] == (
        [("NotReady", "new", at(-waited))] if late else []
    )


@pytest.mark.parametrize(("unready", "late"), [(2, False), (39, False), (41, True)])
def test_a_pod_that_was_ready_for_an_hour_is_late_from_when_it_ceased_to_be(unready: float, late: bool) -> None:
    """One probe that a busy machine answers late is no incident, however old the pod."""
    found = api_signals([running("other", 3600, 3590), running("this", 3600, None, unready=unready)], workload, at(0))
    assert [(item.type, item.since) for item in found] == ([("NotReady", at(-unready))] if late else [])


def test_siblings_are_those_of_the_same_workload() -> None:
    fast, slow = running("fast", 3600, 3599), running("slow", 300, None)

    def own(record: PodRecord) -> TargetRef:
        return TARGET.model_copy(update={"name": record.name})

    assert api_signals([fast, slow], own, at(0)) == ()


def test_a_signal_says_which_container_how_often_and_when() -> None:
    record = pod_record(pod(containers=[container(lastState=terminated("OOMKilled"), restartCount=3)]))
    signal = next(item for item in api_signals([record], workload, at(0)) if item.type == "OOMKilled")
    assert (signal.pod, signal.container, signal.count, signal.at) == ("payments-5f-1", "app", 3, at(-60))
    assert signal.target == TARGET


def test_a_storm_is_bounded_and_keeps_the_newest() -> None:
    records = [
        pod_record(pod(f"p-{n}", containers=[container(state=terminated("OOMKilled", seconds_ago=n % 900))]))
        for n in range(MAX_SIGNALS + 500)
    ]
    signals = api_signals(records, workload, at(0))
    assert len(signals) == MAX_SIGNALS
    assert signals[-1].at == at(0)
