"""The objects that the requests are about: namespaces, people with their roles, Deployments, grants."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rbac.grant import namespace_bindings
from tests.e2e.executor import ID, OTHER_ID, grant_objects, restart
from tests.e2e.objects import SYSTEM, binding, deployment, role
from tests.e2e.support import eventually
from tests.safety.api import Api, Body, Reply, Who, path_of

WORKLOADS = ("deployments", "statefulsets", "daemonsets", "pods")
PLURALS = {
    "Deployment": "deployments", "Role": "roles", "RoleBinding": "rolebindings", "Approval": "approvals",
    "ActionPlan": "actionplans", "Incident": "incidents", "RCAReport": "rcareports", "Namespace": "namespaces",
    "ActionPolicy": "actionpolicies", "ServiceAccount": "serviceaccounts", "StatefulSet": "statefulsets",
    "DaemonSet": "daemonsets", "PodTemplate": "podtemplates", "PersistentVolume": "persistentvolumes",
    "PersistentVolumeClaim": "persistentvolumeclaims",
}  # fmt: skip


def account(name: str, namespace: str = SYSTEM) -> Who:
    """A ServiceAccount, impersonated with the groups that its token would carry."""
    user = f"system:serviceaccount:{namespace}:{name}"
    return Who(
        f"{namespace}/{name}",
        user,
        ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"),
    )


def person(name: str, *groups: str) -> Who:
    """A user, impersonated."""
    return Who(name, name, (*groups, "system:authenticated"))


def collection(body: dict[str, Any]) -> str:
    """Where objects of this kind are created."""
    return path_of(body["apiVersion"], body["metadata"].get("namespace", ""), PLURALS[body["kind"]])


def create(api: Api, body: dict[str, Any], who: Who | None = None) -> dict[str, Any]:
    """POST that must be accepted soon: fresh RBAC takes some milliseconds to be seen."""
    done = soon(
        lambda: api.send("POST", collection(body), body=body, **({"who": who} if who else {})),
        f"{body['kind']} to be created",
    )
    return done.body


def soon(attempt: Callable[[], Reply], what: str) -> Reply:
    """Retry until it is allowed."""
    last: list[Reply] = []

    def probe() -> bool:
        last[:] = [attempt()]
        return last[0].code < 300

    try:
        eventually(probe, within=15, every=0.2, what=what)
    except AssertionError as error:
        raise AssertionError(f"{error}; API server: {last[0].code} {last[0].message}") from error
    return last[0]


@contextmanager
def namespace(api: Api, purpose: str) -> Iterator[str]:
    """A namespace of its own, opted in to execution; its deletion is not waited for."""
    name = f"safety-{purpose}-{uuid.uuid4().hex[:5]}"
    create(api, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for body in namespace_bindings(name, SYSTEM):
        create(api, body)
    try:
        yield name
    finally:
        api.send("DELETE", path_of("v1", "", "namespaces", name))


def grant(api: Api, namespace: str, action_id: str, resource_name: str) -> None:
    """Role and RoleBinding as the approval controller writes them."""
    for body in grant_objects(namespace, name=f"iirp-grant-{action_id}", resource_name=resource_name):
        create(api, body, account("iirp-approval"))


def workload(api: Api, namespace: str) -> None:
    """Deployments ``web`` and ``other`` of no pods, and a grant to restart ``web``."""
    for name in ("web", "other"):
        create(api, deployment(namespace, name))
    grant(api, namespace, ID, f"restart.web.{ID}")
    # A second one without its binding, for those who would like to bind it otherwise.
    body = grant_objects(namespace, name=f"iirp-grant-{OTHER_ID}", resource_name=f"restart.web.{OTHER_ID}")[0]
    create(api, body, account("iirp-approval"))


def grant_in_force(api: Api, namespace: str, executor: Who) -> None:
    """Until the executor could do what was granted: else every refusal below would prove nothing."""
    path = path_of("apps/v1", namespace, "deployments", "web")
    body: Body = json.loads(restart())
    soon(lambda: api.send("PATCH", path, who=executor, body=body, dry=True), f"the grant of {ID} to be seen")


def people(api: Api, namespace: str) -> None:
    """adam administers the namespace, eve edits approvals."""
    verbs = {"apiGroups": ["iirp.io"], "resources": ["approvals"], "verbs": ["get", "patch", "update"]}
    create(api, role(namespace, "editor", verbs))
    create(api, binding(namespace, "editors", "editor", "eve", kind="Role"))
    create(api, binding(namespace, "admins", "admin", "adam"))


def fingerprint(api: Api, *namespaces: str) -> dict[str, str]:
    """Path → generation or content of everything that a forbidden request could have changed."""
    seen = {}
    for space in namespaces:
        for version, plural in (
            ("apps/v1", "deployments"), ("apps/v1", "statefulsets"), ("apps/v1", "daemonsets"), ("v1", "pods"),
            ("iirp.io/v1alpha1", "approvals"), ("iirp.io/v1alpha1", "actionplans"), ("iirp.io/v1alpha1", "incidents"),
            ("rbac.authorization.k8s.io/v1", "roles"), ("rbac.authorization.k8s.io/v1", "rolebindings"),
            ("v1", "podtemplates"), ("v1", "secrets"), ("batch/v1", "jobs"),
        ):  # fmt: skip
            for item in api.get(path_of(version, space, plural))["items"]:
                item["metadata"].pop("managedFields", None)
                item["metadata"].pop("resourceVersion", None)
                key = f"{space}/{plural}/{item['metadata']['name']}"
                seen[key] = str({k: v for k, v in item.items() if plural not in WORKLOADS or k != "status"})
    return seen
