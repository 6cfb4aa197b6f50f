"""The executor's writes, and the grants that allow them, as the tests make them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from crds.v1alpha1.digest import rollback_template
from tests.e2e.objects import SYSTEM, account, allowed_soon, binding, create, deployment, must_create, role
from tests.e2e.support import Cluster

ID = "act-0123456789abcdef"
OTHER_ID = "act-fedcba9876543210"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
MISSING_RIGHT = "is forbidden: User"
"""What RBAC says."""

Run = Callable[..., Any]


def executor_of(cluster: Cluster, namespace: str, token: str) -> Run:
    """kubectl with the executor's token, in a namespace with one Deployment ``web``."""
    must_create(cluster, deployment(namespace))

    def run(*args: str, stdin: str | None = None) -> Any:
        return cluster.kubectl("-n", namespace, *args, token=token, stdin=stdin)

    allowed_soon(lambda: run("get", "deployment", "web"), "the executor's opt-in binding to be seen")
    return run


def grant_objects(
    namespace: str, *, name: str = f"iirp-grant-{ID}", resource_name: str = f"restart.web.{ID}"
) -> list[Any]:
    """Role and RoleBinding as the approval controller writes them."""
    rule = {"apiGroups": ["iirp.io"], "resources": ["actions"], "verbs": ["perform"], "resourceNames": [resource_name]}
    bound = binding(namespace, name, name, kind="Role")
    bound["subjects"] = [{"kind": "ServiceAccount", "name": "iirp-execution", "namespace": SYSTEM}]
    return [role(namespace, name, rule), bound]


def grant(cluster: Cluster, namespace: str, resource_name: str, action_id: str = ID) -> None:
    """A grant, written by the identity that writes them."""
    for body in grant_objects(namespace, name=f"iirp-grant-{action_id}", resource_name=resource_name):
        allowed_soon(
            lambda body=body: create(cluster, body, as_user=account("approval")), f"{body['kind']} to be created"
        )


def restart(action_id: str = ID, at: str = "2026-01-01T00:00:00Z", **more: Any) -> str:
    """The restart patch."""
    annotations = {"iirp.io/action-id": action_id, RESTARTED_AT: at}
    return json.dumps({"spec": {"template": {"metadata": {"annotations": annotations}}, **more}})


def pause(action_id: str = ID) -> str:
    """The patch that pauses a rollout."""
    return json.dumps({"metadata": {"annotations": {"iirp.io/action-id": action_id}}, "spec": {"paused": True}})


def rollback(template: dict[str, Any], to: str, action_id: str = ID) -> str:
    """The JSON patch of a rollback."""
    return json.dumps([
        {"op": "replace", "path": "/spec/template", "value": template},
        {"op": "add", "path": "/metadata/annotations/iirp.io~1action-id", "value": action_id},
        {"op": "add", "path": "/metadata/annotations/iirp.io~1rollback-to", "value": to},
    ])  # fmt: skip


def template_of(replica_set: dict[str, Any]) -> dict[str, Any]:
    """The Deployment's pod template that a ReplicaSet keeps."""
    return rollback_template(replica_set)


def pod_template(role: dict[str, Any], replica_set: dict[str, Any]) -> dict[str, Any]:
    """The PodTemplate beside a rollback's grant, as the approval controller writes it; ``role`` as stored."""
    metadata = role["metadata"]
    owner = {key: role[key] for key in ("apiVersion", "kind")} | {key: metadata[key] for key in ("name", "uid")}
    return {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": {"iirp.io/grant": "rollback"},
            "annotations": {"iirp.io/rollback-to": replica_set["metadata"]["name"]},
            "ownerReferences": [owner],
        },
        "template": rollback_template(replica_set),
    }


def scale(replicas: int, action_id: str = ID) -> str:
    """The scale patch."""
    return json.dumps({"metadata": {"annotations": {"iirp.io/action-id": action_id}}, "spec": {"replicas": replicas}})
