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
