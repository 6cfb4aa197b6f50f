"""Which changes are told as shared: those that touched several workloads at once, lately, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from controllers.detection.changes import MAX_READS, READ_AGAIN, ConfigWrites, shared_changes
from controllers.kube.errors import Forbidden
from controllers.kube.objects import WorkloadRecord, workload_record
from controllers.kube.resources import CONFIG_MAPS
from tests.fakes.kube import FakeKube
from tests.unit.controllers.detection.cluster import OLD, deployment, head
from tests.unit.controllers.incident.builders import at

NOW = at(0)
HELM = {"annotations": {"meta.helm.sh/release-name": "shop"}}
ARGO = {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/a"}}
FLUX = {"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}
LABEL = {"labels": {"app.kubernetes.io/instance": "shop"}}
ENV = {"containers": [{"name": "app", "envFrom": [{"configMapRef": {"name": "app-config"}}]}]}
VOLUME = {"volumes": [{"name": "c", "configMap": {"name": "app-config"}}]}


def fields(seconds_ago: float | None, owned: dict[str, Any], subresource: str = "") -> list[dict[str, Any]]:
    time = OLD if seconds_ago is None else at(-seconds_ago).isoformat()
    return [{"manager": "m", "time": time, "fieldsV1": owned, "subresource": subresource}]


def workload(
    name: str,
    rolled_out: float | None = None,
    spec: dict[str, Any] | None = None,
    owned: dict[str, Any] | None = None,
    **meta: Any,
) -> WorkloadRecord:
    """A Deployment whose template (or ``owned``) was written so many seconds ago; None: at its creation."""
    body = deployment(
        name, managedFields=fields(rolled_out, owned or {"f:spec": {"f:template": {}}}), **{"uid": name, **meta}
    )
    body["spec"]["template"]["spec"] = spec or {}
    return workload_record(body, "Deployment")


def config_map(name: str = "app-config", seconds_ago: float | None = 60, **extra: Any) -> dict[str, Any]:
    owned = extra.pop("owned", {"f:data": {"f:url": {}}})
    return {"metadata": head(name, managedFields=fields(seconds_ago, owned), **{"uid": f"cm-{name}", **extra})}


def told(workloads: list[WorkloadRecord], *config_maps: dict[str, Any]) -> list[tuple[str, str]]:
    found = shared_changes(workloads, writes(*config_maps).among(workloads, {"shop"}), NOW)
    return [(one.what, " ".join(sorted(target.name for target in one.targets))) for one in found]


def writes(*config_maps: dict[str, Any], now: Callable[[], datetime] = lambda: NOW) -> ConfigWrites:
    kube = FakeKube(now)
    for body in config_maps:
        kube.add_raw(CONFIG_MAPS, body)
    return ConfigWrites(kube, now)


@pytest.mark.parametrize(
    ("meta", "what"),
    [(HELM, "Helm release"), (ARGO, "Argo CD application"), (FLUX, "Flux Kustomization"), (LABEL, "release")],
)
def test_a_release_that_rolled_out_several_at_once(meta: dict[str, Any], what: str) -> None:
    workloads = [workload("a", 100, **meta), workload("b", 60, **meta), workload("c", 30, **meta)]
    assert told(workloads) == [(f"{what} shop rolled out", "a b c")]


ALONE: dict[str, list[WorkloadRecord]] = {
    "one of the release": [workload("a", 60, **HELM), workload("b", None, **HELM)],
    "one after the other": [workload("a", 60, **HELM), workload("b", 600, **HELM)],
    "long ago": [workload("a", 4000, **HELM), workload("b", 4000, **HELM)],
    "installed": [workload("a", None, **HELM), workload("b", None, **HELM)],
    "no release": [workload("a", 60), workload("b", 60)],
    "another release": [workload("a", 60, **HELM), workload("b", 60, **FLUX)],
    "another namespace": [workload("a", 60, **HELM), workload("b", 60, namespace="staging", **HELM)],
    "scaled": [workload(it, 60, owned={"f:spec": {"f:replicas": {}}}, **HELM) for it in "ab"],
}


@pytest.mark.parametrize("name", ALONE)
def test_what_touched_one_workload_alone_is_not_told(name: str) -> None:
    assert told(ALONE[name]) == []


USERS = [workload("a", spec=ENV), workload("b", spec=VOLUME), workload("c")]


def test_a_config_map_that_several_use() -> None:
    assert told(USERS, config_map()) == [("ConfigMap app-config written", "a b")]


@pytest.mark.parametrize(
    ("workloads", "body"),
    [
        (USERS[1:], config_map()),
        (USERS, config_map("other")),
        (USERS, config_map(namespace="staging")),
        (USERS, config_map(seconds_ago=None)),
        (USERS, config_map(seconds_ago=4000)),
        (USERS, config_map(owned={"f:metadata": {"f:annotations": {}}})),
    ],
    ids=["one user", "another one", "of another namespace", "created", "long ago", "its annotations"],
)
def test_other_writes_of_config_maps_are_not_told(workloads: list[WorkloadRecord], body: dict[str, Any]) -> None:
    assert told(workloads, body) == []


def test_each_is_asked_for_now_and_then_and_only_where_something_fails() -> None:
    now = [NOW]
    seen = writes(config_map(), now=lambda: now[0])
    assert seen.among(USERS, {"elsewhere"}) == []
    (first,) = seen.among(USERS, {"shop"})
    del seen.kube.objects[CONFIG_MAPS.plural, "shop", "app-config"]  # type: ignore[attr-defined]
    assert seen.among(USERS, {"shop"}) == [first], "what was read a moment ago is not read again"
    now[0] += READ_AGAIN
    assert seen.among(USERS, {"shop"}) == []


def test_a_round_reads_a_bounded_number() -> None:
    names = [f"c{number}" for number in range(MAX_READS + 5)]
    spec = {"volumes": [{"name": name, "configMap": {"name": name}} for name in names]}
    users = [workload("a", spec=spec), workload("b", spec=spec)]
    seen = writes(*(config_map(name) for name in names))
    assert [len(seen.among(users, {"shop"})) for _ in range(2)] == [MAX_READS, len(names)]


def test_one_that_may_not_be_read_stops_nothing() -> None:
    seen = writes(config_map())
    seen.kube.fail = lambda *_: Forbidden("Forbidden", "configmaps")  # type: ignore[attr-defined]
    assert seen.among(USERS, {"shop"}) == []
