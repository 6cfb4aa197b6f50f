"""Everything that a thief of the executor's token could ask for (S1, S2, S5, S6), from what the API server serves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.e2e.executor import ID, OTHER_ID, pause, restart, scale
from tests.e2e.objects import SYSTEM
from tests.safety.api import Api, Who, path_of
from tests.safety.case import EXECUTOR, RBAC, Case
from tests.safety.fields import changes, merged

AREA = "executor's token"
ADMISSION = "admissionregistration.k8s.io/v1"
RBAC_API = "rbac.authorization.k8s.io/v1"
VERBS = {"create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE", "deletecollection": "DELETE"}
NAMED = {
    ("apps/v1", "deployments", "patch"),
    ("apps/v1", "statefulsets", "patch"),
    ("apps/v1", "daemonsets", "patch"),
    ("v1", "pods", "delete"),
    ("batch/v1", "jobs", "create"),
    ("iirp.io/v1alpha1", "actionplans/status", "patch"),
    ("events.k8s.io/v1", "events", "create"),
}
"""What is its work: tried field by field instead of at a name that does not exist."""
HARMLESS = {"selfsubjectreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"}
"""Everybody may ask what they themselves may do; nothing is stored."""
SECRETS = (
    ("v1", "secrets"), ("v1", "configmaps"), ("v1", "serviceaccounts"), ("v1", "nodes"), ("v1", "endpoints"),
    ("v1", "persistentvolumeclaims"), ("v1", "pods/log"), ("v1", "pods/exec"), ("v1", "pods/attach"),
    ("v1", "pods/portforward"), ("v1", "pods/proxy"), ("v1", "services/proxy"), ("v1", "nodes/proxy"),
    (RBAC_API, "roles"), (RBAC_API, "rolebindings"), (RBAC_API, "clusterroles"), (RBAC_API, "clusterrolebindings"),
    (ADMISSION, "validatingwebhookconfigurations"), ("certificates.k8s.io/v1", "certificatesigningrequests"),
    ("coordination.k8s.io/v1", "leases"),
)  # fmt: skip
"""What it may not even read."""


def cases(api: Api, namespace: str, who: Who) -> Iterator[Case]:
    """All requests of a thief in ``namespace``, where a grant to restart ``web`` is in force."""
    yield from shape(namespace, who)
    yield from excess(namespace, who)
    yield from sweep(api, namespace, who)
    yield from reads(namespace, who)
    yield from outside(namespace, who)


def shape(namespace: str, who: Who) -> Iterator[Case]:
    """Every field of a Deployment: alone, smuggled into the granted restart, and by another kind of patch."""
    path = path_of("apps/v1", namespace, "deployments", "web")
    area = f"{AREA}: fields of a Deployment"
    granted = json.loads(restart())
    for name, change in changes().items():
        # The scheme's own checks come before admission: some values are refused by them first in one form of patch.
        yield Case(area, f"{name}, alone", "PATCH", path, change, who=who, by=(EXECUTOR,))
        yield Case(
            area, f"{name}, in the granted restart", "PATCH", path, merged(granted, change), who=who, by=(EXECUTOR,)
        )
        yield Case(area, f"{name}, strategic", "PATCH", path, change, "strategic", who, (EXECUTOR,))
    for how in ("json", "apply"):
        yield Case(area, f"image, {how}", "PATCH", path, _image(how, namespace), how, who, (EXECUTOR, RBAC))


def _image(how: str, namespace: str) -> Any:
    if how == "json":
        return [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "example.invalid/evil:1"}]
    container = {"name": "app", "image": "example.invalid/evil:1"}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": namespace},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }  # fmt: skip


def excess(namespace: str, who: Who) -> Iterator[Case]:
    """More, other or repeated use of what a grant spells; ``other`` is a Deployment that no grant names."""
    area = f"{AREA}: beyond its grant"
    asked = {
        "restart and scale at once": ("web", restart(replicas=5), "do one thing only to web in one write"),
        "scale without an id": ("web", json.dumps({"spec": {"replicas": 5}}), "the executor may not scale web"),
        "restart without an id": ("web", restart(""), "again for the same action ''"),
        "restartedAt alone": (
            "web",
            json.dumps(
                {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "x"}}}}}
            ),
            "again for the same action ''",
        ),
        "an id that nobody granted": ("web", restart(OTHER_ID), f"needs the grant restart.web.{OTHER_ID}"),
        "the probe's id": ("web", restart("act-0000000000000000"), "needs the grant restart.web.act-0000000000000000"),
        "a wildcard for an id": ("web", restart("*"), "needs the grant restart.web.*"),
        "a path for an id": ("web", restart(f"{ID}/../x"), "needs the grant"),
        "an id in capitals": ("web", restart(ID.upper()), "needs the grant"),
        "pause by the restart's grant": ("web", pause(), f"needs the grant pause.web.{ID}"),
        "pause without an id": ("web", json.dumps({"spec": {"paused": True}}), "may not pause web again for"),
        "restart and pause at once": ("web", restart(paused=True), "do one thing only to web in one write"),
        "rollback by the restart's grant": ("web", json.dumps(_rollback()), f"needs the grant rollback.web.web-1.{ID}"),
        "another Deployment": ("other", restart(), f"needs the grant restart.other.{ID}"),
        "scale of another Deployment": ("other", scale(2), "needs the grant scale.other.2"),
    }
    for replicas in (0, 1, 2, 3, 50, 51, 1000, 2147483647):
        asked[f"scale to {replicas} by the restart's grant"] = ("web", scale(replicas), "may not scale web")
    for name, (target, body, says) in asked.items():
        path = path_of("apps/v1", namespace, "deployments", target)
        yield Case(area, name, "PATCH", path, json.loads(body), who=who, by=(EXECUTOR,), says=says)


def _rollback() -> dict[str, Any]:
    marks = {"iirp.io/action-id": ID, "iirp.io/rollback-to": "web-1"}
    evil = {"containers": [{"name": "app", "image": "example.invalid/evil:1"}]}
    return {"metadata": {"annotations": marks}, "spec": {"template": {"spec": evil}}}


def sweep(api: Api, namespace: str, who: Who) -> Iterator[Case]:
    """Every verb that changes something, on every resource and subresource that this API server serves."""
    for version in ("v1", *_group_versions(api)):
        root = path_of(version, "", "")
        for resource in api.get(root)["resources"]:
            plural, _, sub = resource["name"].partition("/")
            for verb in VERBS:
                if verb not in resource["verbs"] or plural in HARMLESS or (version, resource["name"], verb) in NAMED:
                    continue
                yield _swept(version, namespace if resource["namespaced"] else "", plural, sub, verb, who)


def _group_versions(api: Api) -> Iterator[str]:
    for group in api.get("/apis")["groups"]:
        yield group["preferredVersion"]["groupVersion"]


def _swept(version: str, namespace: str, plural: str, sub: str, verb: str, who: Who) -> Case:
    collection = verb == "deletecollection" or (verb == "create" and not sub)
    path = path_of(version, namespace, plural, "" if collection else "x", sub)
    label = f"{verb} {plural}{'/' + sub if sub else ''} ({version})"
    return Case(
        f"{AREA}: every verb on every kind", label, VERBS[verb], path, {}, who=who, by=(RBAC, EXECUTOR), dry=True
    )


def reads(namespace: str, who: Who) -> Iterator[Case]:
    """What holds secrets, or opens a way out, is not even readable: here, in the platform's namespace, everywhere."""
    for where in (namespace, SYSTEM, "kube-system", ""):
        for version, resource in SECRETS:
            plural, _, sub = resource.partition("/")
            path = path_of(version, where, plural, "x" if sub else "", sub)
            yield Case(
                f"{AREA}: reading", f"get {resource} in {where or 'the cluster'}", "GET", path, who=who, by=(RBAC,)
            )


def outside(namespace: str, who: Who) -> Iterator[Case]:
    """Other namespaces, other identities, the platform's own guards, and its own escape hatches."""
    area = f"{AREA}: outside its namespace and role"
    for name, (method, path) in _escapes(namespace, "iirp-execution").items():
        yield Case(
            area, name, method, path, None if method == "GET" else {}, who=who, by=(RBAC, EXECUTOR), dry=method != "GET"
        )


def _escapes(namespace: str, me: str) -> dict[str, tuple[str, str]]:
    """Method and path of each way out."""
    return {
        "patch a Deployment in kube-system": ("PATCH", path_of("apps/v1", "kube-system", "deployments", "x")),
        "patch a Deployment in default": ("PATCH", path_of("apps/v1", "default", "deployments", "x")),
        "patch the policy controller": ("PATCH", path_of("apps/v1", SYSTEM, "deployments", "iirp-policy")),
        "patch itself": ("PATCH", path_of("apps/v1", SYSTEM, "deployments", me)),
        "token of the approval controller": (
            "POST",
            path_of("v1", SYSTEM, "serviceaccounts", "iirp-approval", "token"),
        ),
        "token of its own": ("POST", path_of("v1", SYSTEM, "serviceaccounts", me, "token")),
        "token of a workload": ("POST", path_of("v1", namespace, "serviceaccounts", "default", "token")),
        "escalate its own role": ("PATCH", path_of(RBAC_API, "", "clusterroles", f"{me}-target")),
        "bind itself to cluster-admin": ("POST", path_of(RBAC_API, "", "clusterrolebindings")),
        "bind itself to admin here": ("POST", path_of(RBAC_API, namespace, "rolebindings")),
        "kubelet through the node": ("POST", path_of("v1", "", "nodes", "x", "proxy/run/ns/pod/app")),
        "remove the policy on itself": (
            "DELETE",
            path_of(ADMISSION, "", "validatingadmissionpolicies", "iirp-executor"),
        ),
        "loosen the policy on itself": (
            "PATCH",
            path_of(ADMISSION, "", "validatingadmissionpolicies", "iirp-executor"),
        ),
        "unbind the policy on itself": (
            "DELETE",
            path_of(ADMISSION, "", "validatingadmissionpolicybindings", "iirp-executor"),
        ),
        "unbind the kill switch": (
            "DELETE",
            path_of(ADMISSION, "", "validatingadmissionpolicybindings", "iirp-executor-stop"),
        ),
        "lift the emergency stop": ("PATCH", path_of("v1", "", "namespaces", SYSTEM)),
        "lift the stop of the namespace": ("PATCH", path_of("v1", "", "namespaces", namespace)),
        "edit the CRD of approvals": (
            "PATCH",
            path_of("apiextensions.k8s.io/v1", "", "customresourcedefinitions", "approvals.iirp.io"),
        ),
        "write an ActionPolicy": ("POST", path_of("iirp.io/v1alpha1", "", "actionpolicies")),
        "the API server's profiles": ("GET", "/debug/pprof/heap"),
        "the API server's configuration": ("GET", "/configz"),
        "the API server's metrics": ("GET", "/metrics"),
        "the API server's logs": ("GET", "/logs/"),
    }


def impersonation(namespace: str, token: str) -> Iterator[Case]:
    """The executor's token with somebody else's name on top."""
    path = path_of("apps/v1", namespace, "deployments", "web")
    for name in (
        "alice",
        "system:admin",
        f"system:serviceaccount:{SYSTEM}:iirp-approval",
        "system:kube-controller-manager",
    ):
        who = Who(name, name, token=token)
        yield Case(f"{AREA}: outside its namespace and role", f"impersonate {name}", "GET", path, who=who, by=(RBAC,))
