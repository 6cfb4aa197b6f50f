from __future__ import annotations

from typing import Any

import pytest

from analysis.contract import ChangeKind
from controllers.kube.errors import Forbidden, KubeError
from controllers.kube.objects import config_maps_of
from controllers.kube.resources import CONFIG_MAPS, DEPLOYMENTS, NETWORK_POLICIES, NODES, PODS, QUOTAS, REPLICASETS
from controllers.rca.facts import gather
from crds.v1alpha1.base import Window
from tests.fakes.kube import FakeKube
from tests.unit.controllers.detection.pods import pod
from tests.unit.controllers.incident.builders import TARGET, at
from tests.unit.controllers.rca.workload import LABELS, deployment, replica_set

WINDOW = Window(start=at(-1800), end=at(0))
POD_SPEC = {
    "initContainers": [{"name": "i", "envFrom": [{"configMapRef": {"name": "init"}}]}],
    "containers": [
        {
            "name": "app",
            "envFrom": [{"configMapRef": {"name": "env"}}, {"secretRef": {"name": "password"}}],
            "env": [
                {"name": "A", "value": "1"},
                {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "keys", "key": "b"}}},
                {"name": "C", "valueFrom": {"secretKeyRef": {"name": "password", "key": "c"}}},
            ],
        }
    ],
    "volumes": [
        {"name": "v", "configMap": {"name": "files"}},
        {"name": "s", "secret": {"secretName": "password"}},
        {"name": "p", "projected": {"sources": [{"configMap": {"name": "mixed"}}, {"secret": {"name": "password"}}]}},
    ],
}


def written(
    name: str, fields: dict[str, Any], when: float = -60, by: str = "kubectl-edit", **body: Any
) -> dict[str, Any]:
    """An object made a day ago and written since."""
    entries = [
        {"manager": "helm", "time": at(-86400).isoformat(), "fieldsV1": fields},
        {"manager": by, "time": at(when).isoformat(), "fieldsV1": fields},
    ]
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "resourceVersion": "7"}
    return {"metadata": {**metadata, "creationTimestamp": at(-86400).isoformat(), "managedFields": entries}, **body}


@pytest.fixture
def kube() -> FakeKube:
    made = FakeKube()
    body = deployment()
    body["spec"]["template"] = {"metadata": {"labels": LABELS}, "spec": POD_SPEC}
    made.add_raw(DEPLOYMENTS, body)
    made.add_raw(REPLICASETS, replica_set(7, "pay:v1.9", at(-9000)))
    return made


def told(kube: FakeKube, kind: ChangeKind) -> list[tuple[str, str, str, float]]:
    found = [one for one in gather(kube, TARGET, WINDOW).changes if one.kind is kind]
    return [(one.target.name, one.summary, one.actor, (one.at - at(0)).total_seconds()) for one in found]


def test_every_way_to_use_a_config_map_is_known_and_no_secret_is() -> None:
    assert config_maps_of({"spec": {"template": {"spec": POD_SPEC}}}) == {"init", "env", "keys", "files", "mixed"}


def test_a_config_map_tells_who_wrote_which_keys_and_no_value(kube: FakeKube) -> None:
    fields = {"f:data": {"f:CACHE_SIZE": {}, "f:BANK_URL": {}}}
    kube.add_raw(CONFIG_MAPS, written("env", fields, data={"CACHE_SIZE": "hunter2"}))
    kube.add_raw(CONFIG_MAPS, written("unused", fields))
    kube.add_raw(CONFIG_MAPS, written("files", {"f:metadata": {"f:labels": {}}}))
    (change,) = told(kube, ChangeKind.CONFIG)
    assert change == ("payments", "ConfigMap env written: keys BANK_URL, CACHE_SIZE", "kubectl-edit", -60.0)


def test_config_maps_are_asked_for_their_metadata_alone(kube: FakeKube) -> None:
    kube.add_raw(CONFIG_MAPS, written("env", {"f:data": {"f:A": {}}}, data={"A": "hunter2"}))
    read: list[str] = []
    whole = kube.get_raw

    def get_raw(resource: Any, *where: str) -> dict[str, Any]:
        read.append(resource.plural)
        return whole(resource, *where)

    kube.get_metadata = lambda resource, *where: {"metadata": whole(resource, *where)["metadata"]}  # type: ignore[method-assign]
    kube.get_raw = get_raw  # type: ignore[method-assign,assignment]
    assert told(kube, ChangeKind.CONFIG)
    assert "configmaps" not in read


@pytest.mark.parametrize(
    ("selector", "concerned"),
    [({}, ["payments"]), ({"matchLabels": LABELS}, ["payments"]), ({"matchLabels": {"app": "bank"}}, [])],
)
def test_a_network_policy_concerns_the_pods_that_it_selects(
    kube: FakeKube, selector: dict[str, Any], concerned: list[str]
) -> None:
    spec = {"podSelector": selector, "policyTypes": ["Egress"]}
    kube.add_raw(NETWORK_POLICIES, written("deny", {"f:spec": {}}, spec=spec))
    assert [name for name, *_ in told(kube, ChangeKind.NETWORK_POLICY)] == concerned


def test_a_quota_tells_its_limits(kube: FakeKube) -> None:
    kube.add_raw(QUOTAS, written("small", {"f:spec": {}}, spec={"hard": {"pods": "2", "limits.cpu": "1"}}))
    assert told(kube, ChangeKind.QUOTA) == [
        ("small", "ResourceQuota small written: limits.cpu 1, pods 2", "kubectl-edit", -60.0)
    ]


def test_a_node_tells_when_it_was_cordoned_and_what_it_became(kube: FakeKube) -> None:
    own = pod("payments-7-a", owner=("ReplicaSet", "payments-7"))
    own["metadata"]["labels"] = LABELS
    kube.add_raw(PODS, own)
    conditions = [
        {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "lastTransitionTime": at(-30).isoformat()},
        {"type": "DiskPressure", "status": "False", "reason": "x", "lastTransitionTime": at(-90000).isoformat()},
    ]
    body = written("n1", {"f:spec": {"f:unschedulable": {}}}, -50, "kubectl-cordon", spec={"unschedulable": True})
    body["metadata"]["namespace"] = ""
    kube.add_raw(NODES, {**body, "status": {"conditions": conditions}})
    assert told(kube, ChangeKind.NODE) == [
        ("n1", "node n1: cordoned", "kubectl-cordon", -50.0),
        ("n1", "node n1: Ready became False (KubeletNotReady)", "", -30.0),
    ]


def test_a_config_map_that_is_not_there_is_no_missing_data_but_a_refusal_is_said_once(kube: FakeKube) -> None:
    assert gather(kube, TARGET, WINDOW).missing == []

    def refuse(verb: str, plural: str, *_: str) -> KubeError | None:
        return Forbidden("Forbidden", f"cannot {verb} {plural}") if plural == "configmaps" else None

    kube.fail = refuse
    refused = gather(kube, TARGET, WINDOW)
    assert refused.missing == ["configmaps: Forbidden: who wrote them is read where `iirp grant` opted in"]
    assert refused.unread == {"configmaps"}
