"""Grants are exact, come from the approval controller alone, and are all that it can write (S2).

A real token, a real API server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.e2e.executor import ID, MISSING_RIGHT, OTHER_ID, grant, grant_objects, restart
from tests.e2e.objects import (
    SYSTEM,
    account,
    allowed_soon,
    approval,
    create,
    deployment,
    must_create,
    resting,
    role,
    scratch_namespace,
)
from tests.e2e.support import Cluster

GRANTS = "ValidatingAdmissionPolicy 'iirp-grants'"


@pytest.fixture(scope="module", autouse=True)
def quiet(cluster: Cluster) -> Iterator[None]:
    """The approval controller would tidy away grants that no approval asks for."""
    with resting(cluster, "approval"):
        yield


@pytest.fixture(scope="module")
def approval_token(cluster: Cluster) -> str:
    """As the kubelet gives it to the approval controller's pod."""
    return cluster.ok("create", "token", "iirp-approval", "-n", SYSTEM, "--duration=1h").strip()


@pytest.fixture(scope="module")
def opted_in(cluster: Cluster, approval_token: str) -> Iterator[str]:
    """A namespace for requests that must all be refused."""
    with scratch_namespace(cluster, "grants") as namespace:
        listed = ("get", "roles", "-n", namespace)
        allowed_soon(lambda: cluster.kubectl(*listed, token=approval_token), "the opt-in binding to be seen")
        yield namespace


WRONG_GRANTS: dict[str, Callable[[list[Any]], Any]] = {
    "another-verb": lambda o: o[0]["rules"][0].update(verbs=["get"]),
    "wildcard-verb": lambda o: o[0]["rules"][0].update(verbs=["*"]),
    "another-resource": lambda o: o[0]["rules"][0].update(resources=["approvals"]),
    "another-group": lambda o: o[0]["rules"][0].update(apiGroups=["apps"]),
    "every-action": lambda o: o[0]["rules"][0].pop("resourceNames"),
    "two-actions": lambda o: o[0]["rules"][0]["resourceNames"].append(f"restart.db.{ID}"),
    "two-rules": lambda o: o[0]["rules"].append(dict(o[0]["rules"][0])),
    "no-rule": lambda o: o[0].update(rules=[]),
    "free-text": lambda o: o[0]["rules"][0].update(resourceNames=["anything"]),
    "action-of-another-id": lambda o: o[0]["rules"][0].update(resourceNames=[f"restart.web.{ID}"]),
    "another-name": lambda o: o[0]["metadata"].update(name="innocent"),
    "no-action-id": lambda o: o[0]["metadata"].update(name="iirp-grant-x"),
}
WRONG_BINDINGS: dict[str, Callable[[list[Any]], Any]] = {
    "to-a-person": lambda o: o[1].update(
        subjects=[{"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"}]
    ),
    "to-itself": lambda o: o[1]["subjects"][0].update(name="iirp-approval"),
    "to-another-namespace": lambda o: o[1]["subjects"][0].update(namespace="default"),
    "to-two": lambda o: o[1]["subjects"].append({"kind": "ServiceAccount", "name": "default", "namespace": "default"}),
    "of-another-role": lambda o: o[1]["roleRef"].update(name=f"iirp-grant-{OTHER_ID}"),
    "of-a-cluster-role": lambda o: o[1]["roleRef"].update(kind="ClusterRole", name="iirp-execution-target"),
    "of-cluster-admin": lambda o: o[1]["roleRef"].update(kind="ClusterRole", name="cluster-admin"),
    "named-otherwise": lambda o: o[1]["metadata"].update(name="innocent"),
}


@pytest.mark.parametrize("spoil", list(WRONG_GRANTS.values()), ids=list(WRONG_GRANTS))
def test_only_exact_grants_can_be_written(
    cluster: Cluster, opted_in: str, approval_token: str, spoil: Callable[[list[Any]], Any]
) -> None:
    wrong = grant_objects(opted_in)
    wrong[0]["metadata"]["name"] = f"iirp-grant-{OTHER_ID}"
    wrong[0]["rules"][0]["resourceNames"] = [f"restart.web.{OTHER_ID}"]
    spoil(wrong)
    done = create(cluster, wrong[0], token=approval_token)
    assert done.returncode != 0, done.stdout
    assert "attempting to grant" in done.stderr or GRANTS in done.stderr, done.stderr


@pytest.mark.parametrize("spoil", list(WRONG_BINDINGS.values()), ids=list(WRONG_BINDINGS))
def test_grants_bind_the_executor_and_nobody_else(
    cluster: Cluster, namespace: str, approval_token: str, spoil: Callable[[list[Any]], Any]
) -> None:
    objects = grant_objects(namespace)
    allowed_soon(lambda: create(cluster, objects[0], token=approval_token), "the grant's Role")
    spoil(objects)
    done = create(cluster, objects[1], token=approval_token)
    assert done.returncode != 0, done.stdout
    assert "attempting to grant" in done.stderr or GRANTS in done.stderr or "not found" in done.stderr, done.stderr


def test_approval_controller_touches_no_workload_and_changes_no_grant(
    cluster: Cluster, namespace: str, approval_token: str
) -> None:
    must_create(cluster, deployment(namespace))
    must_create(cluster, approval(namespace), as_user=account("policy"))
    grant(cluster, namespace, f"restart.web.{ID}")

    def run(*args: str) -> Any:
        return cluster.kubectl("-n", namespace, *args, token=approval_token)

    for args in (
        ("patch", "deployment", "web", "--type=merge", "-p", restart()),
        ("delete", "deployment", "web"),
        ("get", "secrets"),
        ("get", "pods"),
        ("patch", "role", f"iirp-grant-{ID}", "--type=merge", "-p", '{"rules":[]}'),
        ("create", "clusterrole", "x", "--verb=get", "--resource=pods"),
        ("annotate", "approval", "web-leak-aaaaa-1", "iirp.io/decision=approve"),
    ):
        done = run(*args)
        assert done.returncode != 0, args
        assert MISSING_RIGHT in done.stderr, done.stderr
    must_create(cluster, role(namespace, "people", {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}))
    assert "grants are named iirp-grant-<action-id>" in run("delete", "role", "people").stderr
    assert run("delete", "role", f"iirp-grant-{ID}").returncode == 0


def test_not_even_an_administrator_writes_a_grant(cluster: Cluster, namespace: str) -> None:
    for body in grant_objects(namespace):
        done = cluster.kubectl("create", "-f", "-", stdin=yaml.safe_dump(body))
        assert f"{cluster.whoami()} may not write iirp-grant-{ID}" in done.stderr
