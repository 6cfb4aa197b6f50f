"""Valid objects of every kind, and the identities that may write them, for tests that speak to the API server alone."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from rbac.grant import namespace_bindings
from tests.e2e.support import Cluster, eventually

SYSTEM = "iirp-system"
API = "iirp.io/v1alpha1"
LABEL = "iirp.io/controller"
AT = "2026-01-01T00:00:00Z"
LATER = "2036-01-01T00:00:00Z"
UID = "11111111-2222-3333-4444-555555555555"
DIGEST = "sha256:" + hashlib.sha256(b"the plan").hexdigest()
OTHER_DIGEST = "sha256:" + hashlib.sha256(b"another plan").hexdigest()
CONTROLLERS = ("detection", "incident", "rca", "policy", "approval", "execution", "feedback")

Body = dict[str, Any]


def account(controller: str) -> str:
    """Username of a controller's ServiceAccount."""
    return f"system:serviceaccount:{SYSTEM}:iirp-{controller}"


def target(namespace: str, **changes: Any) -> Body:
    """A Deployment as incidents and actions name it."""
    return {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": namespace, "name": "web", "uid": UID, **changes}


def incident(namespace: str, name: str = "web-leak-aaaaa", **spec: Any) -> Body:
    """A memory leak of deploy/web."""
    return {
        "apiVersion": API,
        "kind": "Incident",
        "metadata": {"name": name, "namespace": namespace, "labels": {"iirp.io/fingerprint": "0123456789abcdef"}},
        "spec": {
            "fingerprint": "0123456789abcdef",
            "type": "MemoryLeak",
            "scope": "Workload",
            "target": target(namespace),
            "startedAt": AT,
            "detectedAt": AT,
            "detectedBy": {"rule": "memory-leak", "confidencePercent": 90},
            "severity": "high",
            **spec,
        },
    }


def report(namespace: str, name: str = "web-leak-aaaaa", **spec: Any) -> Body:
    """A report on that incident."""
    body = {"incidentRef": {"name": "web-leak-aaaaa", "uid": UID}, "window": {"start": AT, "end": LATER}, **spec}
    return {
        "apiVersion": API,
        "kind": "RCAReport",
        "metadata": {"name": name, "namespace": namespace},
        "spec": body,
    }


def plan(namespace: str, requester: str, name: str = "web-leak-aaaaa-1", **spec: Any) -> Body:
    """A plan that restarts deploy/web."""
    return {
        "apiVersion": API,
        "kind": "ActionPlan",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "incidentRef": {"name": "web-leak-aaaaa", "uid": UID},
            "requestedBy": requester,
            "causeKind": "MemoryLeak",
            "confidencePercent": 84,
            "actions": [{"id": "a1", "type": "RestartDeployment", "target": target(namespace)}],
            "summary": "Restart deploy/web",
            **spec,
        },
    }


def approval(namespace: str, name: str = "web-leak-aaaaa-1", **spec: Any) -> Body:
    """A request for one approval of that plan."""
    return {
        "apiVersion": API,
        "kind": "Approval",
        "metadata": {"name": name, "namespace": namespace, "labels": {"iirp.io/incident": "web-leak-aaaaa"}},
        "spec": {
            "planRef": {"name": "web-leak-aaaaa-1", "uid": UID},
            "planDigest": DIGEST,
            "tier": "HumanApproval",
            "summary": "Restart deploy/web",
            "requestedBy": account("incident"),
            "requiredApprovals": 1,
            "expiresAt": LATER,
            **spec,
        },
    }


def action_policy(name: str, **rule: Any) -> Body:
    """A policy of one rule."""
    body = {"name": "one", "match": {"namespaces": ["nowhere"]}, "tier": "HumanApproval", **rule}
    return {"apiVersion": API, "kind": "ActionPolicy", "metadata": {"name": name}, "spec": {"rules": [body]}}


def deployment(namespace: str, name: str = "web", **spec: Any) -> Body:
    """A Deployment of no pods: what is tested is what the API server lets through."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "annotations": {"team": "a"}},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": {"build": "7"}},
                "spec": {"containers": [{"name": "app", "image": "example.invalid/app:1"}]},
            },
            **spec,
        },
    }


def workload(kind: str, namespace: str, name: str = "web") -> Body:
    """A StatefulSet or DaemonSet that runs no pods."""
    body = deployment(namespace, name)
    spec = {key: value for key, value in body["spec"].items() if key != "replicas" or kind == "StatefulSet"}
    spec["template"]["spec"]["nodeSelector"] = {"nowhere": "true"}
    return {**body, "kind": kind, "spec": {**spec, **({"serviceName": name} if kind == "StatefulSet" else {})}}


def binding(namespace: str, name: str, role: str, *users: str, kind: str = "ClusterRole") -> Body:
    """Binds a role to users in one namespace."""
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": group, "kind": kind, "name": role},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user} for user in users],
    }


def role(namespace: str, name: str, *rules: Body) -> Body:
    """A Role in one namespace."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": name, "namespace": namespace},
        "rules": list(rules),
    }


def create(cluster: Cluster, body: Body, *, as_user: str | None = None, token: str | None = None) -> Any:
    """POST one object; returns the completed kubectl."""
    return cluster.kubectl("create", "-f", "-", stdin=yaml.safe_dump(body), as_user=as_user, token=token)


def must_create(cluster: Cluster, body: Body, *, as_user: str | None = None) -> Body:
    """POST one object that must be accepted, and return it as stored."""
    done = create(cluster, body, as_user=as_user)
    assert done.returncode == 0, done.stderr
    stored = cluster.get(body["kind"], body["metadata"]["name"], body["metadata"].get("namespace"))
    assert stored is not None
    return stored


def allowed_soon(attempt: Callable[[], Any], what: str) -> None:
    """Retry while freshly written RBAC reaches the authorizer; a grant takes some milliseconds to be seen."""
    last: list[str] = []

    def probe() -> bool:
        done = attempt()
        last[:] = [done.stderr.strip()]
        return bool(done.returncode == 0)

    try:
        eventually(probe, within=10, every=0.2, what=what)
    except AssertionError as error:
        raise AssertionError(f"{error}; API server: {last[0]}") from error


@contextmanager
def resting(cluster: Cluster, *controllers: str) -> Iterator[None]:
    """These controllers do not run meanwhile: objects written in their names stay as written."""
    found = {item["metadata"]["labels"]["iirp.io/controller"] for item in cluster.list("deployments", SYSTEM, LABEL)}
    names = [f"deploy/iirp-{name}" for name in controllers if name in found]
    if names:
        selector = f"{LABEL} in ({', '.join(controllers)})"
        cluster.ok("scale", "-n", SYSTEM, "--replicas=0", *names)
        eventually(lambda: not cluster.list("pods", SYSTEM, selector), within=90, what=f"pods of {controllers} to end")
    try:
        yield
    finally:
        if names:
            cluster.ok("scale", "-n", SYSTEM, "--replicas=1", *names)
            cluster.ok("rollout", "status", "-n", SYSTEM, *names, "--timeout=180s", timeout=200)


@contextmanager
def scratch_namespace(cluster: Cluster, name: str) -> Iterator[str]:
    """A namespace that the tests of one module share, opted in to execution."""
    name = f"e2e-{name}-{uuid.uuid4().hex[:5]}"
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    cluster.apply(*namespace_bindings(name, SYSTEM))
    yield name
    cluster.ok("delete", "namespace", name, "--wait=false")


def set_status(cluster: Cluster, kind: str, name: str, namespace: str, user: str | None, **status: Any) -> Any:
    """Server-side apply to the status subresource, as the controllers do it."""
    metadata = {"name": name} | ({"namespace": namespace} if kind != "ActionPolicy" else {})
    body = {"apiVersion": API, "kind": kind, "metadata": metadata, "status": status}
    apply = ("apply", "--server-side", "--force-conflicts", "--subresource=status", "-f", "-")
    return cluster.kubectl(*apply, stdin=json.dumps(body), as_user=user)
