"""What somebody can do who holds the executor's, or the approval controller's, token (S1, S2, S5, S6, S10): nothing of use.

Real tokens, real API server. Every request that is expected to fail must fail for a reason of ours, not by accident.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.e2e.objects import (
    SYSTEM,
    account,
    allowed_soon,
    approval,
    binding,
    create,
    deployment,
    must_create,
    resting,
    role,
    scratch_namespace,
)
from tests.e2e.support import Cluster, eventually

ID = "act-0123456789abcdef"
OTHER_ID = "act-fedcba9876543210"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
MISSING_RIGHT = "is forbidden: User"
"""What RBAC says."""
POLICY = "ValidatingAdmissionPolicy 'iirp-executor'"
GRANTS = "ValidatingAdmissionPolicy 'iirp-grants'"

Run = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def quiet(cluster: Cluster) -> Iterator[None]:
    """The approval controller would tidy away grants that no approval asks for."""
    with resting(cluster, "approval"):
        yield


@pytest.fixture(scope="module")
def executor_token(cluster: Cluster) -> str:
    """As the kubelet gives it to the executor's pod."""
    return cluster.ok("create", "token", "iirp-execution", "-n", SYSTEM, "--duration=1h").strip()


@pytest.fixture(scope="module")
def approval_token(cluster: Cluster) -> str:
    """As the kubelet gives it to the approval controller's pod."""
    return cluster.ok("create", "token", "iirp-approval", "-n", SYSTEM, "--duration=1h").strip()


@pytest.fixture
def executor(cluster: Cluster, namespace: str, executor_token: str) -> Run:
    """kubectl with the executor's token, in an opted-in namespace with one Deployment ``web``."""
    return _executor(cluster, namespace, executor_token)


@pytest.fixture(scope="module")
def thief(cluster: Cluster, executor_token: str) -> Iterator[tuple[str, Run]]:
    """The same for requests that must all be refused: one namespace, and a grant to restart ``web`` in it."""
    with scratch_namespace(cluster, "thief") as namespace:
        run = _executor(cluster, namespace, executor_token)
        grant(cluster, namespace, f"restart.web.{ID}")
        dry = ("patch", "deployment", "web", "--type=merge", "-p", restart(), "--dry-run=server")
        allowed_soon(lambda: run(*dry), "the grant to be seen")
        yield namespace, run


def _executor(cluster: Cluster, namespace: str, token: str) -> Run:
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


def scale(replicas: int, action_id: str = ID) -> str:
    """The scale patch."""
    return json.dumps({"metadata": {"annotations": {"iirp.io/action-id": action_id}}, "spec": {"replicas": replicas}})


def test_restart_needs_a_grant_that_spells_it(cluster: Cluster, namespace: str, executor: Run) -> None:
    patch = ("patch", "deployment", "web", "--type=merge", "-p")
    refused = executor(*patch, restart())
    assert POLICY in refused.stderr
    assert (
        f"the executor may not restart web: needs the grant restart.web.{ID} (verb perform on actions.iirp.io)"
        f" in namespace {namespace}" in refused.stderr
    )
    grant(cluster, namespace, f"restart.web.{ID}")
    allowed_soon(lambda: executor(*patch, restart()), "the granted restart")
    assert "again for the same action" in executor(*patch, restart(at="2026-01-01T00:00:09Z")).stderr
    assert "needs the grant" in executor(*patch, restart(OTHER_ID)).stderr
    assert executor(*patch, restart()).returncode == 0, "repeating it changes nothing"
    live = cluster.get("deployment", "web", namespace)
    assert live is not None
    assert live["metadata"]["generation"] == 2


def test_scale_is_bound_to_its_number(cluster: Cluster, namespace: str, executor: Run) -> None:
    patch = ("patch", "deployment", "web", "--type=merge", "-p")
    assert f"needs the grant scale.web.3.{ID}" in executor(*patch, scale(3)).stderr
    grant(cluster, namespace, f"scale.web.3.{ID}")
    allowed_soon(lambda: executor(*patch, scale(3), "--dry-run=server"), "the granted scale")
    assert f"needs the grant scale.web.4.{ID}" in executor(*patch, scale(4)).stderr
    assert "needs the grant" in executor(*patch, restart()).stderr, "a scale does not grant a restart"
    assert executor(*patch, scale(3)).returncode == 0
    cluster.ok("scale", "deployment/web", "--replicas=1", "-n", namespace)
    assert "again for the same action" in executor(*patch, scale(3)).stderr, "a person's later scale stands"


def test_grant_holds_for_its_deployment_its_namespace_and_its_time(
    cluster: Cluster, namespace: str, executor: Run
) -> None:
    must_create(cluster, deployment(namespace, "other"))
    grant(cluster, namespace, f"restart.web.{ID}")
    allowed_soon(
        lambda: executor("patch", "deployment", "web", "--type=merge", "-p", restart(), "--dry-run=server"), "the grant"
    )
    assert "restart.other" in executor("patch", "deployment", "other", "--type=merge", "-p", restart()).stderr
    cluster.ok("delete", "role,rolebinding", f"iirp-grant-{ID}", "-n", namespace)

    def refused_again() -> bool:
        done = executor("patch", "deployment", "web", "--type=merge", "-p", restart(), "--dry-run=server")
        return "needs the grant" in done.stderr

    eventually(refused_again, within=10, every=0.2, what="the withdrawn grant to be refused")


@pytest.mark.parametrize("where", ["platform", "workload"])
def test_emergency_stop_is_held_by_the_api_server(cluster: Cluster, namespace: str, executor: Run, where: str) -> None:
    grant(cluster, namespace, f"restart.web.{ID}")
    dry = ("patch", "deployment", "web", "--type=merge", "-p", restart(), "--dry-run=server")
    allowed_soon(lambda: executor(*dry), "the granted restart")
    stopped = SYSTEM if where == "platform" else namespace
    cluster.ok("annotate", "namespace", stopped, "iirp.io/emergency-stop=drill")
    try:
        eventually(
            lambda: "emergency stop: namespace " + stopped in executor(*dry).stderr,
            within=10,
            every=0.2,
            what="the stop",
        )
    finally:
        cluster.ok("annotate", "namespace", stopped, "iirp.io/emergency-stop-")
    allowed_soon(lambda: executor(*dry), "the restart after the stop is lifted")


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
    "paused": _merge(paused=True),
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


@pytest.mark.parametrize("request_", list(SHAPE.values()), ids=list(SHAPE))
def test_deployment_keeps_its_shape_even_beside_a_grant(thief: tuple[str, Run], request_: tuple[str, ...]) -> None:
    _, run = thief
    done = run(*request_)
    assert done.returncode != 0, done.stdout
    assert POLICY in done.stderr
    assert "the executor may not change web but for spec.replicas and the restart annotations" in done.stderr


TOO_MUCH = {
    "restart-and-scale": (restart(replicas=5), "restart and scale web in one write"),
    "scale-without-id": (json.dumps({"spec": {"replicas": 5}}), "the executor may not scale web"),
    "restart-without-id": (restart(""), "again for the same action ''"),
    "restarted-at-only": (
        json.dumps({"spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: "x"}}}}}),
        "again for the same action ''",
    ),
    "another-id": (restart(OTHER_ID), f"needs the grant restart.web.{OTHER_ID}"),
    "probe-id": (restart("act-0000000000000000"), "needs the grant restart.web.act-0000000000000000"),
    "wildcard-id": (restart("*"), "needs the grant restart.web.*"),
    "scale-by-restart-grant": (scale(3), f"needs the grant scale.web.3.{ID}"),
}


@pytest.mark.parametrize(("patch", "message"), list(TOO_MUCH.values()), ids=list(TOO_MUCH))
def test_a_grant_covers_nothing_but_its_action(thief: tuple[str, Run], patch: str, message: str) -> None:
    _, run = thief
    done = run("patch", "deployment", "web", "--type=merge", "-p", patch)
    assert POLICY in done.stderr
    assert message in done.stderr


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
    "delete-pod": _raw("delete", "/api/v1/namespaces/{ns}/pods/web-0"),
    "delete-pods": _raw("delete", "/api/v1/namespaces/{ns}/pods"),
    "delete-namespace": ("delete", "namespace", "default"),
    "scale-subresource": ("scale", "deployment/web", "--replicas=5"),
    "create-deployment": ("create", "deployment", "evil", "--image=example.invalid/evil:1"),
    "create-job": ("create", "job", "evil", "--image=example.invalid/evil:1"),
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


@pytest.mark.parametrize("request_", list(OUTSIDE.values()), ids=list(OUTSIDE))
def test_everything_else_is_forbidden(thief: tuple[str, Run], request_: tuple[str, ...]) -> None:
    namespace, run = thief
    done = run(*(part.replace("{ns}", namespace) for part in request_), stdin="{}")
    assert done.returncode != 0, done.stdout
    assert MISSING_RIGHT in done.stderr, done.stderr


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
    cluster: Cluster, thief: tuple[str, Run], approval_token: str, spoil: Callable[[list[Any]], Any]
) -> None:
    namespace, _ = thief
    wrong = grant_objects(namespace)
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
