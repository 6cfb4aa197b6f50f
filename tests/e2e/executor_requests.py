"""What a thief of the executor's token might try; all of it must be refused."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.executor import ID, OTHER_ID, RESTARTED_AT, pause, restart, scale
from tests.e2e.objects import SYSTEM


def _merge(**spec: Any) -> tuple[str, ...]:
    return ("patch", "deployment", "web", "--type=merge", "-p", json.dumps({"spec": spec}))


def _metadata(**metadata: Any) -> tuple[str, ...]:
    return ("patch", "deployment", "web", "--type=merge", "-p", json.dumps({"metadata": metadata}))


def _template(**spec: Any) -> tuple[str, ...]:
    return _merge(template={"spec": spec})


def _json(*operations: tuple[str, str, Any]) -> tuple[str, ...]:
    patch = [{"op": op, "path": path, "value": value} for op, path, value in operations]
    return ("patch", "deployment", "web", "--type=json", "-p", json.dumps(patch))


_CONTAINER = {"name": "app", "image": "example.invalid/evil:1"}
_SHELL = {"name": "app", "image": "example.invalid/app:1", "command": ["sh", "-c", "id"]}
_ENV = {"name": "app", "image": "example.invalid/app:1", "env": [{"name": "A", "value": "b"}]}
_ROOT = {"name": "app", "image": "example.invalid/app:1", "securityContext": {"runAsUser": 0}}
_GRANTED = {"iirp.io/action-id": ID, RESTARTED_AT: "2026-01-01T00:00:00Z"}
_T = "/spec/template"

SHAPE = {
    "image": _template(containers=[_CONTAINER]),
    "image-by-json-patch": _json(("replace", f"{_T}/spec/containers/0/image", "example.invalid/evil:1")),
    "command": _template(containers=[_SHELL]),
    "environment": _template(containers=[_ENV]),
    "run-as-root": _template(containers=[_ROOT]),
    "second-container": _json(("add", f"{_T}/spec/containers/-", {**_CONTAINER, "name": "two"})),
    "init-container": _template(initContainers=[{**_CONTAINER, "name": "init"}]),
    "host-network": _template(hostNetwork=True),
    "host-pid": _template(hostPID=True),
    "host-path": _template(volumes=[{"name": "v", "hostPath": {"path": "/"}}]),
    "secret-volume": _template(volumes=[{"name": "v", "secret": {"secretName": "s"}}]),
    "service-account": _template(serviceAccountName="default"),
    "node-name": _template(nodeName="node-1"),
    "node-selector": _template(nodeSelector={"a": "b"}),
    "tolerations": _template(tolerations=[{"operator": "Exists"}]),
    "priority": _template(priorityClassName="system-cluster-critical"),
    "grace-period": _template(terminationGracePeriodSeconds=0),
    "template-label": _merge(template={"metadata": {"labels": {"extra": "x"}}}),
    "template-annotation": _merge(template={"metadata": {"annotations": {"sidecar.istio.io/inject": "true"}}}),
    "template-annotation-changed": _merge(template={"metadata": {"annotations": {"build": "8"}}}),
    "template-annotation-removed": _merge(template={"metadata": {"annotations": {"build": None}}}),
    "restart-with-image": ("patch", "deployment", "web", "--type=json", "-p", json.dumps([
        {"op": "replace", "path": f"{_T}/spec/containers/0/image", "value": "example.invalid/evil:1"},
        {"op": "add", "path": f"{_T}/metadata/annotations", "value": {"build": "7", **_GRANTED}},
    ])),
    "strategy": _merge(strategy={"type": "Recreate", "rollingUpdate": None}),
    "min-ready": _merge(minReadySeconds=9),
    "history": _merge(revisionHistoryLimit=0),
    "deadline": _merge(progressDeadlineSeconds=1),
    "label": _metadata(labels={"app": "x"}),
    "label-removed": _metadata(labels={"app": None}),
    "annotation": _metadata(annotations={"team": "b"}),
    "annotation-removed": _metadata(annotations={"team": None}),
    "finalizer": _metadata(finalizers=["example.com/hang"]),
    "owner": _metadata(ownerReferences=[{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u"}]),
}  # fmt: skip


TOO_MUCH = {
    "restart-and-scale": (restart(replicas=5), "do one thing only to web in one write"),
    "scale-without-id": (json.dumps({"spec": {"replicas": 5}}), "the executor may not scale web"),
    "restart-without-id": (restart(""), "again for the same action ''"),
    "restarted-at-only": (
        json.dumps({"spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: "x"}}}}}),
        "again for the same action ''",
    ),
    "another-id": (restart(OTHER_ID), f"needs the grant restart.web.{OTHER_ID}"),
    "probe-id": (restart("act-0000000000000000"), "needs the grant restart.web.act-0000000000000000"),
    "wildcard-id": (restart("*"), "needs the grant restart.web.*"),
    "pause-without-id": (
        json.dumps({"spec": {"paused": True}}),
        "the executor may not pause web again for the same action ''",
    ),
    "pause-by-restart-grant": (pause(), f"needs the grant pause.web.{ID}"),
    "pause-and-restart": (restart(paused=True), "do one thing only to web in one write"),
    "scale-by-restart-grant": (scale(3), f"needs the grant scale.web.3.{ID}"),
}


def _raw(verb: str, path: str) -> tuple[str, ...]:
    return (verb, "--raw", path, "-f", "-") if verb in ("create", "replace") else (verb, "--raw", path)


OUTSIDE = {
    "read-secrets": ("get", "secrets"),
    "read-one-secret": ("get", "secret", "x"),
    "read-configmaps": ("get", "configmaps"),
    "read-platform-secrets": ("get", "secrets", "-n", SYSTEM),
    "read-nodes": ("get", "nodes"),
    "read-other-namespace": ("get", "deployments", "-n", "kube-system"),
    "patch-other-namespace": ("patch", "deployment", "x", "-n", "kube-system", "--type=merge", "-p", "{}"),
    "patch-platform": ("patch", "deployment", "iirp-policy", "-n", SYSTEM, "--type=merge", "-p", "{}"),
    "delete-deployment": ("delete", "deployment", "web"),
    "delete-deployments": ("delete", "deployments", "--all"),
    "delete-pods": _raw("delete", "/api/v1/namespaces/{ns}/pods"),
    "delete-namespace": ("delete", "namespace", "default"),
    "scale-subresource": ("scale", "deployment/web", "--replicas=5"),
    "create-deployment": ("create", "deployment", "evil", "--image=example.invalid/evil:1"),
    "create-pod": ("run", "evil", "--image=example.invalid/evil:1"),
    "create-configmap": ("create", "configmap", "x", "--from-literal=a=b"),
    "create-secret": ("create", "secret", "generic", "x", "--from-literal=a=b"),
    "create-role": ("create", "role", "x", "--verb=get", "--resource=secrets"),
    "create-grant": _raw("create", "/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/roles"),
    "create-binding": ("create", "rolebinding", "x", "--clusterrole=admin", "--user=eve"),
    "create-cluster-binding": ("create", "clusterrolebinding", "x", "--clusterrole=cluster-admin", "--user=eve"),
    "create-token": ("create", "token", "iirp-approval", "-n", SYSTEM),
    "own-token": ("create", "token", "iirp-execution", "-n", SYSTEM),
    "create-namespace": ("create", "namespace", "evil"),
    "impersonate": ("get", "deployment", "web", "--as", "alice"),
    "impersonate-admin": ("get", "deployment", "web", "--as", "root", "--as-group", "system:masters"),
    "exec": _raw("create", "/api/v1/namespaces/{ns}/pods/web-0/exec?command=id"),
    "port-forward": _raw("create", "/api/v1/namespaces/{ns}/pods/web-0/portforward"),
    "proxy": _raw("get", "/api/v1/namespaces/{ns}/services/web/proxy/"),
    "pod-logs": _raw("get", "/api/v1/namespaces/{ns}/pods/web-0/log"),
    "evict": _raw("create", "/api/v1/namespaces/{ns}/pods/web-0/eviction"),
    "replace-deployment": _raw("replace", "/apis/apps/v1/namespaces/{ns}/deployments/web"),
    "deployment-status": ("patch", "deployment", "web", "--subresource=status", "--type=merge", "-p", "{}"),
    "edit-policy": ("patch", "actionpolicy", "default", "--type=merge", "-p", "{}"),
    "delete-admission": ("delete", "validatingadmissionpolicy", "iirp-executor"),
    "edit-admission": ("patch", "validatingadmissionpolicy", "iirp-executor", "--type=merge", "-p", "{}"),
    "unbind-admission": ("delete", "validatingadmissionpolicybinding", "iirp-executor"),
    "edit-crd": ("patch", "crd", "approvals.iirp.io", "--type=merge", "-p", "{}"),
    "lift-stop": ("annotate", "namespace", SYSTEM, "iirp.io/emergency-stop-"),
    "sign-certificate": ("certificate", "approve", "x"),
    "delete-incidents": _raw("delete", "/apis/iirp.io/v1alpha1/namespaces/{ns}/incidents"),
}
