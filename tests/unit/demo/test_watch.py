"""The driver's looks at the cluster: its own namespace only, nothing where the API server does not answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controllers.kube.errors import Unavailable
from controllers.kube.resources import NAMESPACES, PODS, resource_type
from crds.v1alpha1 import Approval, Incident
from demo.driver import watch
from demo.driver.watch import OutOfMemory, Watch
from tests.fakes.kube import FakeKube
from tests.unit.demo.test_chain import approval, incident

INCIDENTS, APPROVALS = resource_type(Incident), resource_type(Approval)


@pytest.fixture
def kube(monkeypatch: pytest.MonkeyPatch) -> FakeKube:
    fake = FakeKube()
    monkeypatch.setattr(watch, "connect", lambda _kubeconfig: fake)
    return fake


def look(namespace: str) -> Watch:
    return Watch(Path("admin"), namespace)


def elsewhere(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "metadata": {**body["metadata"], "namespace": "other"}}


def killed(pod: str) -> dict[str, Any]:
    ended = {"terminated": {"reason": "OOMKilled", "finishedAt": "2026-01-01T10:05:00Z"}}
    return {
        "metadata": {"name": pod, "namespace": "shop"},
        "status": {"containerStatuses": [{"state": {"running": {}}, "lastState": ended}]},
    }


@pytest.mark.parametrize(("namespace", "incidents"), [("shop", ["payments-1"]), ("", ["elsewhere-1", "payments-1"])])
def test_a_listing_is_of_one_namespace_or_of_all(kube: FakeKube, namespace: str, incidents: list[str]) -> None:
    kube.add_raw(INCIDENTS, incident())
    kube.add_raw(INCIDENTS, elsewhere(incident("elsewhere-1", "u2")))
    kube.add_raw(APPROVALS, elsewhere(approval("elsewhere-1-1", "Pending")))
    listing = look(namespace).listing()
    assert sorted(item["metadata"]["name"] for item in listing["incidents"]) == incidents
    assert len(listing["approvals"]) == (0 if namespace else 1)
    assert (listing["rcareports"], listing["actionplans"]) == ([], [])


def test_an_api_server_that_is_away_for_a_moment_is_no_result_and_no_failure(kube: FakeKube) -> None:
    kube.add_raw(INCIDENTS, incident())
    seen = look("shop")
    kube.fail = lambda *_: Unavailable("ApiServerUnavailable", "does not answer")
    assert seen.chain("payments", ["MemoryLeak"], set()) is None
    kube.fail = lambda *_: None
    found = seen.chain("payments", ["MemoryLeak"], set())
    assert found is not None
    assert found.name == "payments-1"


def test_a_kill_stays_known_after_its_pod_is_gone(kube: FakeKube) -> None:
    kube.add_raw(PODS, killed("payments-x"))
    seen = look("shop")
    expected = {OutOfMemory("payments-x", "2026-01-01T10:05:00Z")}
    assert seen.kills() == expected
    kube.objects.clear()
    assert seen.kills() == expected


def test_namespaces_are_found_by_a_label_whatever_its_value(kube: FakeKube) -> None:
    for name, labels in (("sc-1", {"iirp.io/scenario": "leak"}), ("shop", {"team": "a"})):
        kube.add_raw(NAMESPACES, {"metadata": {"name": name, "labels": labels}})
    assert look("").namespaces("iirp.io/scenario") == {"sc-1"}


def test_waiting_until_all_is_gone_ends_at_its_deadline(kube: FakeKube) -> None:
    seen = look("shop")
    assert seen.wait_gone(0)
    kube.add_raw(INCIDENTS, incident())
    assert not seen.wait_gone(-1)
