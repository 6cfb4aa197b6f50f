"""Which changes are told as shared: those that touched several workloads at once, lately, and nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from controllers.detection.changes import MAX_WRITES, ConfigWrites, shared_changes
from controllers.kube.objects import WorkloadRecord, workload_record
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


def told(workloads: list[WorkloadRecord], *config_maps: dict[str, Any], now: datetime = NOW) -> list[tuple[str, str]]:
    writes = ConfigWrites(lambda: now)
    for body in config_maps:
        writes.observe("MODIFIED", body)
    found = shared_changes(workloads, writes.recent(), now)
    return [(one.what, " ".join(sorted(target.name for target in one.targets))) for one in found]


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


def test_what_is_deleted_or_no_longer_listed_or_old_is_forgotten() -> None:
    now = [NOW]
    writes = ConfigWrites(lambda: now[0])
    for name in ("a", "b", "c"):
        writes.observe(None, config_map(name))
    writes.observe("DELETED", config_map("a"))
    writes.retain("elsewhere", set())
    writes.retain(None, {"cm-c"})
    assert [one.name for one in writes.recent()] == ["c"]
    now[0] += timedelta(hours=1)
    assert writes.recent() == []


def test_the_number_of_writes_that_are_kept_is_bounded() -> None:
    writes = ConfigWrites(lambda: NOW)
    for number in range(MAX_WRITES + 10):
        writes.observe("MODIFIED", config_map(f"n{number}"))
    assert len(writes.recent()) == MAX_WRITES
