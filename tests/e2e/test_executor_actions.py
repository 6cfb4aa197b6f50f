"""Rollback, pause, single pods, StatefulSets and DaemonSets with the executor's token: what a grant lets through, and
nothing else (S1, S2, S5). A real token, a real API server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from kubernetes.config import new_client_from_config

from tests.e2e.executor import (
    ID,
    OTHER_ID,
    Run,
    executor_of,
    grant,
    grant_objects,
    pause,
    pod_template,
    restart,
    rollback,
    scale,
    template_of,
)
from tests.e2e.executor_variants import ROLLBACK_TEMPLATES, spoiled
from tests.e2e.objects import (
    account,
    allowed_soon,
    create,
    deployment,
    must_create,
    resting,
    scratch_namespace,
    workload,
)
from tests.e2e.support import Cluster, eventually

POLICY = "ValidatingAdmissionPolicy 'iirp-executor'"
ROLLBACK_POLICY = "ValidatingAdmissionPolicy 'iirp-executor-rollback'"
PATCH = ("patch", "deployment", "web", "--type=json", "-p")


@pytest.fixture(scope="module", autouse=True)
def quiet(cluster: Cluster) -> Iterator[None]:
    """The approval controller would tidy away grants that no approval asks for."""
    with resting(cluster, "approval"):
        yield


@dataclass(frozen=True)
class Answer:
    """In the shape of a completed kubectl."""

    returncode: int
    stderr: str


@dataclass(frozen=True)
class Room:
    """A namespace with a Deployment at its second revision, and a grant to roll it back to the first."""

    namespace: str
    run: Run
    first: dict[str, Any]
    second: dict[str, Any]

    @property
    def granted(self) -> str:
        """The patch that the grant covers."""
        return rollback(template_of(self.first), self.first["metadata"]["name"])


@pytest.fixture(scope="module")
def room(cluster: Cluster, executor_token: str) -> Iterator[Room]:
    """One for all requests that must be refused."""
    with scratch_namespace(cluster, "rollback") as namespace:
        yield make_room(cluster, namespace, executor_of(cluster, namespace, executor_token))


def make_room(cluster: Cluster, namespace: str, run: Run) -> Room:
    first = revision(cluster, namespace, 1)
    cluster.ok("set", "image", "deployment/web", "app=example.invalid/app:2", "-n", namespace)
    room = Room(namespace, run, first, revision(cluster, namespace, 2))
    assert f"needs the grant rollback.web.{first['metadata']['name']}.{ID}" in run(*PATCH, room.granted).stderr
    grant_rollback(cluster, namespace, first)
    allowed_soon(lambda: run(*PATCH, room.granted, "--dry-run=server"), "the granted rollback")
    return room


def revision(cluster: Cluster, namespace: str, number: int) -> dict[str, Any]:
    """The ReplicaSet of that revision, once it is there."""

    def found() -> dict[str, Any] | None:
        for body in cluster.list("replicasets", namespace):
            if body["metadata"]["annotations"].get("deployment.kubernetes.io/revision") == str(number):
                return body
        return None

    return eventually(found, within=30, what=f"revision {number}")


def grant_rollback(cluster: Cluster, namespace: str, to: dict[str, Any]) -> None:
    """Role, PodTemplate and RoleBinding in the approval controller's order."""
    role, binding = grant_objects(namespace, resource_name=f"rollback.web.{to['metadata']['name']}.{ID}")
    writer = account("approval")
    allowed_soon(lambda: create(cluster, role, as_user=writer), "the Role")
    stored = cluster.get("role", f"iirp-grant-{ID}", namespace)
    assert stored is not None
    must_create(cluster, pod_template(stored, to), as_user=writer)
    must_create(cluster, binding, as_user=writer)


def test_rollback_writes_the_granted_revision_once(cluster: Cluster, namespace: str, executor: Run) -> None:
    room = make_room(cluster, namespace, executor)
    assert executor(*PATCH, room.granted).returncode == 0
    live = cluster.get("deployment", "web", namespace)
    assert live is not None
    assert live["spec"]["template"]["spec"] == room.first["spec"]["template"]["spec"]
    eventually(
        lambda: revision(cluster, namespace, 3)["metadata"]["name"] == room.first["metadata"]["name"],
        within=30,
        what="the ReplicaSet of the first revision to be taken up again",
    )
    cluster.ok("set", "image", "deployment/web", "app=example.invalid/app:3", "-n", namespace)
    again = executor(*PATCH, room.granted)
    assert again.returncode != 0, "a person's later rollout stands"
    assert POLICY in again.stderr


@pytest.mark.parametrize("change", list(ROLLBACK_TEMPLATES.values()), ids=list(ROLLBACK_TEMPLATES))
def test_rollback_to_nothing_but_the_granted_template(room: Room, change: Callable[[Any], Any]) -> None:
    template = spoiled(template_of(room.first), change)
    done = room.run(*PATCH, rollback(template, room.first["metadata"]["name"]))
    assert done.returncode != 0, done.stdout
    assert ROLLBACK_POLICY in done.stderr
    assert "its pod template differs from the approved one" in done.stderr


def test_rollback_to_no_other_revision_and_with_nothing_beside_it(cluster: Cluster, room: Room) -> None:
    name, other = room.first["metadata"]["name"], room.second["metadata"]["name"]
    third = spoiled(template_of(room.second), ROLLBACK_TEMPLATES["another-image"])
    refused = {
        rollback(third, name): "differs from the approved one",
        # Two policies refuse this; which one the API server names first is up to it.
        rollback(template_of(room.first), other): "the executor may not roll back web",
        rollback(template_of(room.first), name, OTHER_ID): f"needs the grant rollback.web.{name}.{OTHER_ID}",
        with_more(room.granted, "/spec/replicas", 5): "do one thing only to web in one write",
        with_more(room.granted, "/spec/paused", True): "do one thing only to web in one write",
        with_more(room.granted, "/spec/minReadySeconds", 5): "may not change web but for",
        with_more(room.granted, "/metadata/labels/app", "x"): "may not change web but for",
    }
    for patch, message in refused.items():
        done = room.run(*PATCH, patch)
        assert done.returncode != 0, patch
        assert message in done.stderr, done.stderr
    template = json.loads(room.granted)[0]["value"]
    silent = json.dumps([{"op": "replace", "path": "/spec/template", "value": template}])
    assert "may not change web but for" in room.run(*PATCH, silent).stderr, "without its id a rollback is no rollback"


def with_more(patch: str, path: str, value: Any) -> str:
    return json.dumps([*json.loads(patch), {"op": "add", "path": path, "value": value}])


def test_nobody_rewrites_what_a_rollback_may_write(cluster: Cluster, room: Room, executor_token: str) -> None:
    name = f"iirp-grant-{ID}"
    patch = ("patch", "podtemplate", name, "-n", room.namespace, "--type=merge", "-p", '{"metadata":{"labels":null}}')
    assert "may not write iirp-grant-" in cluster.denied(*patch), "not even an administrator"
    assert "forbidden" in cluster.denied(*patch, token=executor_token)
    # Without it a rollback would be compared with nothing.
    for which in (["podtemplate", name], ["podtemplates", "--all"]):
        assert "may not write iirp-grant-" in cluster.denied("delete", *which, "-n", room.namespace)
    body = pod_template(cluster.get("role", name, room.namespace) or {}, room.second)
    body["metadata"]["name"] = f"iirp-grant-{OTHER_ID}"
    assert "may not write iirp-grant-" in create(cluster, body).stderr
    unowned = {**body, "metadata": {**body["metadata"], "ownerReferences": []}}
    assert "owned by the grant's Role" in create(cluster, unowned, as_user=account("approval")).stderr


KINDS = {"StatefulSet": "statefulset", "DaemonSet": "daemonset"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_grant_holds_for_its_kind(cluster: Cluster, namespace: str, executor: Run, kind: str) -> None:
    must_create(cluster, workload(kind, namespace))
    patch = ("patch", KINDS[kind], "web", "--type=merge", "-p", restart())
    needed = f"restart-{KINDS[kind]}.web.{ID}"
    grant(cluster, namespace, f"restart.web.{ID}")
    allowed_soon(
        lambda: executor("patch", "deployment", "web", "--type=merge", "-p", restart(), "--dry-run=server"), "the grant"
    )
    assert f"needs the grant {needed}" in executor(*patch).stderr, "a Deployment's grant is none for another kind"
    cluster.ok("delete", "role,rolebinding", f"iirp-grant-{ID}", "-n", namespace)
    grant(cluster, namespace, needed)
    allowed_soon(lambda: executor(*patch), "the granted restart")
    image = json.dumps({"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "evil"}]}}}})
    assert "may not change web but for" in executor(*patch[:-1], image).stderr


def test_a_statefulset_is_scaled_to_the_granted_number(cluster: Cluster, namespace: str, executor: Run) -> None:
    must_create(cluster, workload("StatefulSet", namespace))
    patch = ("patch", "statefulset", "web", "--type=merge", "-p")
    grant(cluster, namespace, f"scale-statefulset.web.1.{ID}")
    allowed_soon(lambda: executor(*patch, scale(1), "--dry-run=server"), "the granted scale")
    assert f"needs the grant scale-statefulset.web.2.{ID}" in executor(*patch, scale(2)).stderr
    assert executor(*patch, scale(1)).returncode == 0


def test_a_rollout_is_paused_and_never_resumed(cluster: Cluster, namespace: str, executor: Run) -> None:
    patch = ("patch", "deployment", "web", "--type=merge", "-p")
    assert f"needs the grant pause.web.{ID}" in executor(*patch, pause()).stderr
    grant(cluster, namespace, f"pause.web.{ID}")
    allowed_soon(lambda: executor(*patch, pause()), "the granted pause")
    resume = json.dumps({"metadata": {"annotations": {"iirp.io/action-id": OTHER_ID}}, "spec": {"paused": False}})
    assert "the executor may not resume the rollout of web: that is for people" in executor(*patch, resume).stderr


def delete_pod(cluster: Cluster, token: str, namespace: str, name: str, **options: Any) -> Answer:
    """DELETE with these options; kubectl has no word for preconditions."""
    client = new_client_from_config(str(cluster.token_kubeconfig(token)))
    answer = client.call_api(
        "DELETE",
        f"{client.configuration.host}/api/v1/namespaces/{namespace}/pods/{name}",
        header_params={"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
        body={"kind": "DeleteOptions", "apiVersion": "v1", **options},
        _request_timeout=(5, 30),
    )
    return Answer(0 if answer.status < 300 else 1, answer.read().decode())


def test_one_pod_goes_by_its_uid(cluster: Cluster, namespace: str, executor: Run, executor_token: str) -> None:
    cluster.ok("scale", "deployment/web", "--replicas=2", "-n", namespace)
    one, two = eventually(
        lambda: found if len(found := cluster.list("pods", namespace)) == 2 else None, within=30, what="two pods"
    )
    name, uid = one["metadata"]["name"], one["metadata"]["uid"]
    exact = {"preconditions": {"uid": uid}}
    assert (
        f"needs the grant delete-pod.{name}.{uid}"
        in delete_pod(cluster, executor_token, namespace, name, **exact).stderr
    )
    grant(cluster, namespace, f"delete-pod.{name}.{uid}")
    allowed_soon(
        lambda: delete_pod(cluster, executor_token, namespace, name, **exact, dryRun=["All"]), "the granted deletion"
    )
    refused = {
        "by its UID as a precondition": [{}, {**exact, "gracePeriodSeconds": 0}, {**exact, "gracePeriodSeconds": 1}],
        "does not match the UID": [{"preconditions": {"uid": two["metadata"]["uid"]}}],
    }
    for message, requests in refused.items():
        for options in requests:
            assert message in delete_pod(cluster, executor_token, namespace, name, **options).stderr, options
    other = {"preconditions": {"uid": two["metadata"]["uid"]}}
    assert (
        "needs the grant delete-pod"
        in delete_pod(cluster, executor_token, namespace, two["metadata"]["name"], **other).stderr
    )
    assert "forbidden" in executor("delete", "pods", "--all").stderr
    assert delete_pod(cluster, executor_token, namespace, name, **exact).returncode == 0
    gone = {"metadata": {"uid": uid}}
    eventually(
        lambda: gone["metadata"]["uid"] not in [pod["metadata"]["uid"] for pod in cluster.list("pods", namespace)],
        within=60,
        what="the pod to be gone",
    )
    assert len(cluster.list("pods", namespace)) == 2, "its controller made another"


def test_a_pod_that_nobody_would_replace_stays(cluster: Cluster, namespace: str, executor_token: str) -> None:
    container = {"name": "app", "image": "example.invalid/app:1"}
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "alone", "namespace": namespace},
        "spec": {"containers": [container]},
    }
    uid = must_create(cluster, body)["metadata"]["uid"]
    grant(cluster, namespace, f"delete-pod.alone.{uid}")
    done = delete_pod(cluster, executor_token, namespace, "alone", preconditions={"uid": uid})
    assert "no controller would make another pod" in done.stderr


def test_deleting_the_platforms_namespace_freezes_nobody(cluster: Cluster, namespace: str) -> None:
    """A policy whose parameter is gone must not deny: it would deny everybody, everywhere."""
    must_create(cluster, deployment(namespace, "bystander"))
    for name in ("iirp-executor-stop", "iirp-executor-rollback"):
        binding = cluster.get("validatingadmissionpolicybinding", name)
        assert binding is not None
        assert binding["spec"]["paramRef"]["parameterNotFoundAction"] == "Allow"
