from __future__ import annotations

from typing import Any

import pytest

from controllers.rca.surroundings import MAX_MATCHES, service_states, workload_state
from crds.v1alpha1.base import TargetRef
from tests.unit.controllers.rca.workload import deployment

PODS_PORTS = [{"name": "http", "containerPort": 8080}, {"containerPort": 9090}]


def workload(ports: list[dict[str, Any]]) -> tuple[TargetRef, dict[str, Any]]:
    template = {"metadata": {"labels": {"app": "payments"}}, "spec": {"containers": [{"name": "a", "ports": ports}]}}
    body = {**deployment(), "spec": {"template": template}}
    return TargetRef(kind="Deployment", namespace="shop", name="payments"), body


def service(*ports: dict[str, Any], selector: str = "payments") -> dict[str, Any]:
    metadata = {
        "name": "payments",
        "namespace": "shop",
        "creationTimestamp": "2026-01-02T03:00:00Z",
        "managedFields": [
            {"manager": "helm", "time": "2026-01-02T03:00:00Z", "fieldsV1": {"f:spec": {"f:selector": {}}}},
            {"manager": "kubectl-patch", "time": "2026-01-02T04:00:00Z", "fieldsV1": {"f:spec": {"f:ports": {}}}},
        ],
    }
    return {"metadata": metadata, "spec": {"selector": {"app": selector}, "ports": list(ports)}}


@pytest.mark.parametrize(
    ("ports", "declared", "said"),
    [
        pytest.param([{"port": 80, "targetPort": "http"}], PODS_PORTS, "", id="by name"),
        pytest.param([{"port": 80, "targetPort": 9090}], PODS_PORTS, "", id="by number"),
        pytest.param([{"port": 8080}], PODS_PORTS, "", id="the port itself when no target is named"),
        pytest.param([{"port": 80, "targetPort": "web"}], PODS_PORTS, "port 80 leads to web", id="no such name"),
        pytest.param([{"port": 80, "targetPort": 9999}], PODS_PORTS, "port 80 leads to 9999", id="no such number"),
        pytest.param([{"port": 80}], PODS_PORTS, "port 80 leads to 80", id="the port itself is not served"),
        pytest.param([{"port": 80, "targetPort": 9999}], [], "", id="pods that declare no ports are not judged"),
    ],
)
def test_a_service_port_that_leads_nowhere_is_said(
    ports: list[dict[str, Any]], declared: list[dict[str, Any]], said: str
) -> None:
    (state,) = service_states([service(*ports)], [], [workload(declared)])
    assert state.unserved.startswith(said)
    assert bool(state.unserved) == bool(said)


def test_who_wrote_the_ports_last_is_known() -> None:
    (state,) = service_states([service({"port": 80, "targetPort": 9999})], [], [workload(PODS_PORTS)])
    assert (state.changed_by, str(state.changed_at)) == ("kubectl-patch", "2026-01-02 04:00:00+00:00")
    assert "the pods declare http 8080, unnamed 9090" in state.unserved


def test_a_service_that_selects_nothing_is_not_judged_by_ports() -> None:
    (state,) = service_states([service({"port": 80}, selector="other")], [], [workload(PODS_PORTS)])
    assert (state.matches, state.unserved) == ((), "")


@pytest.mark.parametrize(("replicas", "known"), [(0, 0), (2, 2), (2**31 - 1, MAX_MATCHES)])
def test_the_claims_of_a_stateful_set_are_as_many_as_fit_however_many_replicas_are_asked_for(
    replicas: int, known: int
) -> None:
    target = TargetRef(kind="StatefulSet", namespace="shop", name="db")
    spec = {"replicas": replicas, "volumeClaimTemplates": [{"metadata": {"name": "data"}}]}
    assert workload_state(target, {"spec": spec}).claims == tuple(f"data-db-{n}" for n in range(known))
