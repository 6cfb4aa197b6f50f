"""Warning events: which are kept, whom they lead to, and when they count as over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from analysis.contract import ApiSignal
from controllers.detection.warnings import MAX_EVENTS, Surroundings, Warnings
from controllers.kube.facts import PodRecord, pod_record
from crds.v1alpha1.base import TargetRef
from tests.unit.controllers.detection.pods import pod
from tests.unit.controllers.incident.builders import TARGET, at


def event(
    reason: str = "FailedMount",
    *,
    kind: str = "Pod",
    name: str = "payments-5f-1",
    uid: str = "e1",
    ago: float = 10,
    count: int = 5,
    **fields: Any,
) -> dict[str, Any]:
    return {
        "metadata": {"uid": uid, "namespace": "shop", "name": f"{name}.{uid}"},
        "involvedObject": {"kind": kind, "namespace": "shop", "name": name, "uid": ""},
        "type": "Warning",
        "reason": reason,
        "message": "timed out",
        "count": count,
        "firstTimestamp": at(-100).isoformat(),
        "lastTimestamp": at(-ago).isoformat(),
        **fields,
    }


def workload(_: PodRecord) -> TargetRef:
    return TARGET


def told(*events: dict[str, Any], ready: str = "False") -> list[ApiSignal]:
    warnings = Warnings(lambda: at(0))
    for one in events:
        warnings.observe("ADDED", one)
    known = pod_record(pod(status={"conditions": [{"type": "Ready", "status": ready}]}))
    around = Surroundings({("shop", known.name): known}, workload, {"rs": TARGET}.get)
    return warnings.signals(around)


def test_a_warning_says_whose_what_since_when_and_how_often() -> None:
    (one,) = told(event())
    assert (one.type, one.reason, one.pod, one.count, one.target) == (
        "Event",
        "FailedMount",
        "payments-5f-1",
        5,
        TARGET,
    )
    assert (one.since, one.at) == (at(-100), at(-10))


@pytest.mark.parametrize(
    ("job", "kind", "name"),
    [
        ("nightly", "Job", "nightly"),
        ("nightly-29345600", "CronJob", "nightly"),
        ("nightly-2934", "Job", "nightly-2934"),
    ],
)
def test_the_runs_of_a_cronjob_are_one_target(job: str, kind: str, name: str) -> None:
    (one,) = told(event("BackoffLimitExceeded", kind="Job", name=job))
    assert (one.target.kind, one.target.name, one.target.api_version) == (kind, name, "batch/v1")


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (event(type="Normal"), 0),
        (event(ago=1000), 0),
        (event(name="gone"), 0),
        (event(kind="Incident"), 0),
        (event(kind="StatefulSet", name="db"), 1),
        (event(kind="ReplicaSet", involvedObject={"kind": "ReplicaSet", "name": "r", "uid": "rs"}), 1),
        (event(kind="ReplicaSet", involvedObject={"kind": "ReplicaSet", "name": "r", "uid": "unknown"}), 0),
        (event(firstTimestamp=None, lastTimestamp=None, eventTime=at(-5).isoformat()), 1),
        (event(series={"count": 9, "lastObservedTime": at(-1).isoformat()}), 1),
    ],
)
def test_which_are_told(body: dict[str, Any], count: int) -> None:
    assert len(told(body)) == count


def test_a_pod_that_is_ready_got_over_it() -> None:
    assert told(event(), ready="True") == []


def test_a_repetition_replaces_and_a_deletion_or_a_list_without_it_ends() -> None:
    warnings = Warnings(lambda: at(0))
    around = Surroundings({}, workload, {}.get)
    body = event(kind="StatefulSet", name="db")
    warnings.observe("ADDED", body)
    warnings.observe("MODIFIED", {**body, "count": 8})
    assert [one.count for one in warnings.signals(around)] == [8]
    warnings.observe("DELETED", body)
    assert warnings.signals(around) == []
    warnings.observe("ADDED", body)
    warnings.retain("shop", set())
    assert warnings.signals(around) == []


def test_it_is_bounded_and_forgets() -> None:
    now = [at(0)]
    warnings = Warnings(lambda: now[0])
    around = Surroundings({}, workload, {}.get)
    for number in range(MAX_EVENTS + 50):
        warnings.observe("ADDED", event(kind="StatefulSet", name="db", uid=str(number)))
    assert len(warnings._kept) == MAX_EVENTS
    now[0] += timedelta(minutes=16)
    assert warnings.signals(around) == []


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "Job", "PersistentVolumeClaim", "?\n"])
@pytest.mark.parametrize("name", ["UPPER", "../x", "a b-29345600", "x" * 300, "\x00"])
def test_an_event_about_what_cannot_be_says_nothing_and_hides_no_other(kind: str, name: str) -> None:
    (one,) = told(event(kind=kind, name=name, uid="odd"), event())
    assert one.target == TARGET
