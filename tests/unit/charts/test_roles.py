"""Who may do what: by default nothing is changed anywhere, and what is watched is bounded."""

from __future__ import annotations

from crds.v1alpha1 import ActionPolicy
from tests.unit.charts.helm import controllers, named, render


def test_by_default_nothing_can_be_changed_anywhere() -> None:
    objects = render()
    assert not named(objects, "RoleBinding", "iirp-execution-target")
    assert not named(objects, "RoleBinding", "iirp-approval-grants")
    assert not named(objects, "ClusterRoleBinding", "iirp-execution-target")
    assert not named(objects, "ActionPolicy")


def test_opted_in_namespaces_get_bindings_and_the_default_policy() -> None:
    objects = render(execution={"namespaces": ["shop", "pay"]})
    assert set(named(objects, "RoleBinding", "iirp-execution-target")) == {
        "shop/iirp-execution-target",
        "pay/iirp-execution-target",
    }
    policy = ActionPolicy.from_wire(named(objects, "ActionPolicy")["/default"])
    assert {tuple(rule.match.namespaces) for rule in policy.spec.rules} == {("shop", "pay")}
    assert not named(render(execution={"namespaces": ["shop"]}, policies={"install": False}), "ActionPolicy")


def test_watched_namespaces_bound_what_is_seen() -> None:
    objects = render(watchNamespaces=["shop"])
    assert set(named(objects, "RoleBinding", "iirp-detection")) == {"shop/iirp-detection", "platform/iirp-detection"}
    bound = named(objects, "ClusterRoleBinding", "iirp-detection")
    assert set(bound) == {"/iirp-detection-nodes"}, "nodes belong to no namespace"
    assert named(objects, "ClusterRoleBinding", "iirp-policy-cluster")
    env = controllers(objects)["incident"]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "IIRP_WATCH_NAMESPACES", "value": "shop,platform"} in env
    assert named(render(), "ClusterRoleBinding", "iirp-detection")


def test_helm_test_runs_with_no_right_but_to_list_deployments() -> None:
    objects = [body for body in render() if "helm.sh/hook" in body["metadata"].get("annotations", {})]
    (role,) = (body for body in objects if body["kind"] == "Role")
    (pod,) = (body for body in objects if body["kind"] == "Pod")
    assert role["rules"] == [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list"]}]
    assert pod["spec"]["containers"][0]["args"] == ["selftest"]
    assert pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["spec"]["restartPolicy"] == "Never"
