from __future__ import annotations

from typing import Any

import pytest

from controllers.kube.errors import Forbidden, KubeError, Unavailable
from controllers.kube.resources import (
    CORE_EVENTS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    NODES,
    PODS,
    REPLICASETS,
    REVISIONS,
    SERVICES,
    STATEFULSETS,
)
from controllers.rca.events import MAX_EVENTS, event_time
from controllers.rca.facts import gather
from crds.v1alpha1.base import TargetRef, Window
from tests.fakes.kube import FakeKube
from tests.unit.controllers.detection.pods import pod
from tests.unit.controllers.incident.builders import TARGET, at
from tests.unit.controllers.rca.workload import LABELS, controller_revision, deployment, managed, replica_set

WINDOW = Window(start=at(-1800), end=at(0))


def event(about: str, seconds: float = -30, number: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": f"e-{about}-{number}", "namespace": "shop"},
        "involvedObject": {"kind": "Pod", "name": about},
        "reason": "OOMKilling",
        "type": "Warning",
        "message": "memory cgroup out of memory",
        "lastTimestamp": at(seconds).isoformat(),
        "count": 3,
        **fields,
    }


def own_pod(name: str, owner: str) -> dict[str, Any]:
    body = pod(name, owner=("ReplicaSet", owner))
    body["metadata"]["labels"] = LABELS
    return body


@pytest.fixture
def kube() -> FakeKube:
    made = FakeKube()
    made.add_raw(DEPLOYMENTS, deployment())
    made.add_raw(REPLICASETS, replica_set(6, "pay:v1.8", at(-9000)))
    made.add_raw(REPLICASETS, replica_set(7, "pay:v1.9", at(-105)))
    made.add_raw(REPLICASETS, replica_set(9, "else:v1", at(-100), owner="uid-other"))
    made.add_raw(PODS, own_pod("payments-7-a", "payments-7"))
    made.add_raw(PODS, own_pod("stranger", "payments-9"))
    made.add_raw(NODES, node())
    return made


def node(**conditions: str) -> dict[str, Any]:
    listed = [{"type": kind, "status": status} for kind, status in {"Ready": "True", **conditions}.items()]
    return {"metadata": {"name": "n1", "namespace": ""}, "status": {"conditions": listed}}


def service(name: str, **selector: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": {"selector": selector}}


def endpoints(name: str, number: int = 0, **pods: bool) -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"{name}-{number}",
            "namespace": "shop",
            "labels": {"kubernetes.io/service-name": name},
        },
        "endpoints": [{"targetRef": {"name": pod}, "conditions": {"ready": ready}} for pod, ready in pods.items()],
    }


def test_only_what_belongs_to_the_workload_is_gathered(kube: FakeKube) -> None:
    kube.add_raw(CORE_EVENTS, event("payments-7-a"))
    kube.add_raw(CORE_EVENTS, event("stranger"))
    kube.add_raw(CORE_EVENTS, event("payments-7-a", -9999, number=1))
    kube.add_raw(CORE_EVENTS, event("payments", -10, reportingComponent="iirp.io/incident"))
    facts = gather(kube, TARGET, WINDOW)
    assert [item.summary for item in facts.changes] == ["image v1.8 -> v1.9"]
    assert [item.name for item in facts.pods] == ["payments-7-a"]
    assert [(item.object, item.count) for item in facts.events] == [("Pod/payments-7-a", 3)]
    assert facts.replicas == 2
    assert facts.missing == []


@pytest.mark.parametrize(
    ("kind", "name", "pods", "about"),
    [
        ("Job", "nightly", ["nightly-aaaaa"], ["Job/nightly", "Pod/nightly-aaaaa"]),
        (
            "CronJob",
            "report",
            ["report-29923627-bbbbb", "report-29923628-ccccc"],
            ["Job/report-29923627", "Pod/report-29923627-bbbbb"],
        ),
    ],
)
def test_a_job_comes_with_the_pods_and_the_events_of_its_runs(
    kube: FakeKube, kind: str, name: str, pods: list[str], about: list[str]
) -> None:
    runs = {"nightly-aaaaa": "nightly", "report-29923627-bbbbb": "report-29923627", "reports-ddddd": "reports"}
    for run, job in {**runs, "report-29923628-ccccc": "report-29923628"}.items():
        body = pod(run, owner=("Job", job), phase="Failed")
        body["metadata"]["labels"] = {"batch.kubernetes.io/job-name": job}
        kube.add_raw(PODS, body)
    ended = pod("report-29923626-eeeee", owner=("Job", "report-29923626"), phase="Succeeded")
    ended["metadata"]["labels"] = {"batch.kubernetes.io/job-name": "report-29923626"}
    kube.add_raw(PODS, ended)
    for job in sorted({*runs.values()}):
        reason = {"involvedObject": {"kind": "Job", "name": job}, "reason": "BackoffLimitExceeded"}
        kube.add_raw(CORE_EVENTS, event(job, **reason))
    kube.add_raw(CORE_EVENTS, event("nightly-aaaaa"))
    kube.add_raw(CORE_EVENTS, event("report-29923627-bbbbb"))
    facts = gather(kube, TargetRef(api_version="batch/v1", kind=kind, namespace="shop", name=name), WINDOW)
    assert [item.name for item in facts.pods] == pods
    assert sorted(item.object for item in facts.events) == about


def test_the_end_of_pods_comes_along_where_their_workload_is_gone(kube: FakeKube) -> None:
    kube.add_raw(DEPLOYMENTS, deployment() | {"metadata": {"name": "cart", "namespace": "shop", "uid": "u"}})
    stopped = {"reason": "Killing", "type": "Normal", "message": "Stopping container app"}
    for name in ("cart-5d8f7c9b6d-x2x4z", "orders-7b9c4d5f68-q8q9w", "cart-db-7b9c4d5f68-q8q9w", "queue-0"):
        kube.add_raw(CORE_EVENTS, event(name, **stopped))
    kube.add_raw(CORE_EVENTS, event("orders-7b9c4d5f68-aaaaa", reason="Pulled", type="Normal"))
    events = gather(kube, TARGET, WINDOW).neighbour_events
    assert sorted(item.object for item in events) == [
        "Pod/cart-db-7b9c4d5f68-q8q9w",
        "Pod/orders-7b9c4d5f68-q8q9w",
        "Pod/queue-0",
    ]


def test_a_storm_of_events_is_bounded_and_keeps_the_newest(kube: FakeKube) -> None:
    for number in range(MAX_EVENTS + 20):
        kube.add_raw(CORE_EVENTS, event("payments-7-a", -1000 + number, number))
    events = gather(kube, TARGET, WINDOW).events
    assert len(events) == MAX_EVENTS
    assert events[-1].at == at(-1000 + MAX_EVENTS + 19)


@pytest.mark.parametrize("denied", ["replicasets", "pods", "events", "deployments"])
def test_what_may_not_be_read_is_named_and_the_rest_is_still_gathered(kube: FakeKube, denied: str) -> None:
    def refuse(verb: str, plural: str, *_: str) -> KubeError | None:
        return Forbidden("Forbidden", f"cannot {verb} {plural}") if plural == denied else None

    kube.fail = refuse
    (missing,) = gather(kube, TARGET, WINDOW).missing
    assert f"cannot list {denied}" in missing


@pytest.fixture
def stateful() -> FakeKube:
    """StatefulSet ``shop/payments``, of which one pod was replaced by a new revision so far."""
    made = FakeKube()
    made.add_raw(NODES, node())
    made.add_raw(STATEFULSETS, deployment())
    made.add_raw(REVISIONS, controller_revision(6, "pay:v1.8", at(-9000)))
    made.add_raw(REVISIONS, controller_revision(7, "pay:v1.9", at(-105)))
    for number, revision in enumerate(("payments-6", "payments-7")):
        body = pod(f"payments-{number}", owner=("StatefulSet", "payments"))
        body["metadata"]["labels"] = LABELS | {"controller-revision-hash": revision}
        made.add_raw(PODS, body)
    return made


STATEFUL = TARGET.model_copy(update={"kind": "StatefulSet"})


def test_the_rollout_of_a_stateful_set_is_a_change_and_its_pods_say_their_revision(stateful: FakeKube) -> None:
    facts = gather(stateful, STATEFUL, WINDOW)
    assert [(one.target.kind, one.summary) for one in facts.changes] == [("StatefulSet", "image v1.8 -> v1.9")]
    assert [(one.name, one.revision) for one in facts.pods] == [
        ("payments-0", "payments-6"),
        ("payments-1", "payments-7"),
    ]
    assert facts.changes[0].reference.endswith("/payments-7")
    assert facts.missing == []


def test_revisions_that_may_not_be_read_are_named(stateful: FakeKube) -> None:
    stateful.fail = lambda verb, plural, *_: Forbidden("Forbidden", "no") if plural == "controllerrevisions" else None
    facts = gather(stateful, STATEFUL, WINDOW)
    assert facts.missing == ["controllerrevisions: Forbidden: no"]
    assert [one.name for one in facts.pods] == ["payments-0", "payments-1"]


def test_revisions_are_asked_for_only_where_something_keeps_them(kube: FakeKube) -> None:
    kube.fail = lambda verb, plural, *_: Forbidden("Forbidden", "no") if plural == "controllerrevisions" else None
    assert gather(kube, TARGET, WINDOW).missing == []


def test_an_outage_is_not_taken_for_absence(kube: FakeKube) -> None:
    kube.fail = lambda *_: Unavailable("ApiServerUnavailable", "gone")
    with pytest.raises(Unavailable):
        gather(kube, TARGET, WINDOW)


def test_a_namesake_created_since_is_not_taken_for_the_target(kube: FakeKube) -> None:
    facts = gather(kube, TARGET.model_copy(update={"uid": "uid-before"}), WINDOW)
    assert facts.pods == ()
    assert "created anew" in facts.missing[0]


def test_the_services_that_select_the_workload_come_with_their_endpoints(kube: FakeKube) -> None:
    with_template = deployment()
    with_template["spec"]["template"] = {"metadata": {"labels": LABELS}}
    kube.add_raw(DEPLOYMENTS, with_template)
    kube.add_raw(SERVICES, service("payments", **LABELS))
    kube.add_raw(SERVICES, service("typo", app="paymnets"))
    kube.add_raw(SERVICES, service("by-hand"))
    kube.add_raw(ENDPOINT_SLICES, endpoints("payments", 0, a=True, b=False))
    kube.add_raw(ENDPOINT_SLICES, endpoints("payments", 1, a=True))
    found = {item.name: item for item in gather(kube, TARGET, WINDOW).services}
    assert set(found) == {"payments", "typo"}
    assert (found["payments"].ready, found["payments"].not_ready) == (1, 1)
    assert [one.name for one in found["payments"].matches] == ["payments"]
    assert found["typo"].matches == ()


def test_an_incident_of_a_service_is_about_the_workloads_behind_it(kube: FakeKube) -> None:
    with_template = deployment()
    with_template["spec"]["template"] = {"metadata": {"labels": LABELS}}
    kube.add_raw(DEPLOYMENTS, with_template)
    kube.add_raw(SERVICES, service("pay", **LABELS))
    target = TargetRef(api_version="v1", kind="Service", namespace="shop", name="pay")
    facts = gather(kube, target, WINDOW)
    assert [item.name for item in facts.pods] == ["payments-7-a"]
    assert [item.target.name for item in facts.changes] == ["payments"]


def test_an_incident_of_a_claim_is_about_who_mounts_it(kube: FakeKube) -> None:
    stateful = deployment()
    stateful["metadata"]["name"] = "db"
    stateful["spec"]["volumeClaimTemplates"] = [{"metadata": {"name": "data"}}]
    kube.add_raw(STATEFULSETS, stateful)
    target = TargetRef(api_version="v1", kind="PersistentVolumeClaim", namespace="shop", name="data-db-0")
    facts = gather(kube, target, WINDOW)
    assert facts.replicas == 2
    assert next(one.claims for one in facts.workloads if one.target.name == "db") == ("data-db-0", "data-db-1")


def test_changes_of_neighbours_and_their_warnings_come_along(kube: FakeKube) -> None:
    other = deployment()
    other["metadata"] |= {
        "name": "bank",
        "uid": "uid-bank",
        "managedFields": [managed("kubectl", -60, {"f:replicas": {}})],
    }
    kube.add_raw(DEPLOYMENTS, other)
    kube.add_raw(CORE_EVENTS, event("bank-1"))
    kube.add_raw(CORE_EVENTS, event("bank", number=1, type="Normal", reason="ScalingReplicaSet"))
    kube.add_raw(CORE_EVENTS, event("bank", number=2, type="Normal", reason="Pulled"))
    facts = gather(kube, TARGET, WINDOW)
    assert [(item.target.name, item.summary) for item in facts.changes] == [
        ("payments", "image v1.8 -> v1.9"),
        ("bank", "replicas set to 2"),
    ]
    assert [item.reason for item in facts.neighbour_events] == ["ScalingReplicaSet", "OOMKilling"]
    assert facts.events == ()


def test_a_node_says_what_is_wrong_with_it(kube: FakeKube) -> None:
    kube.add_raw(NODES, node(MemoryPressure="True", DiskPressure="False"))
    (found,) = gather(kube, TARGET, WINDOW).nodes
    assert found.ready
    assert found.problems[0].startswith("MemoryPressure since")
    assert len(found.problems) == 1


def test_a_single_pod_is_gathered_by_name(kube: FakeKube) -> None:
    target = TargetRef(api_version="v1", kind="Pod", namespace="shop", name="stranger")
    assert [item.name for item in gather(kube, target, WINDOW).pods] == ["stranger"]


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"series": {"lastObservedTime": at(5).isoformat()}, "lastTimestamp": at(1).isoformat()}, 5),
        ({"lastTimestamp": None, "eventTime": at(3).isoformat()}, 3),
        ({"lastTimestamp": at(1).isoformat()}, 1),
    ],
)
def test_an_events_time_is_when_it_last_happened(fields: dict[str, Any], seconds: float) -> None:
    assert event_time(event("x", **fields)) == at(seconds)
