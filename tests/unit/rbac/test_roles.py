"""Properties of all roles and policies at once: the invariants S1, S2 and S6 as far as RBAC can hold them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from crds.v1alpha1.actions import ActionType
from rbac.chart import rbac_templates
from rbac.documents import Grantable, Scope, admission_files, documents, grantable, grantables, role_files
from rbac.grant import namespace_bindings

CONTROLLERS = ("detection", "incident", "rca", "policy", "approval", "execution", "feedback")
WRITES = {"create", "update", "patch", "delete", "deletecollection"}
OURS = {"iirp.io", "events.k8s.io"}


def roles() -> list[dict[str, Any]]:
    """Every Role and ClusterRole."""
    return [doc for path in role_files() for doc in documents(path) if doc["kind"] in ("Role", "ClusterRole")]


def rules() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every rule with the name of its role."""
    for role in roles():
        for rule in role["rules"]:
            yield role["metadata"]["name"], rule


def bound(account: str) -> list[Grantable]:
    """What a ServiceAccount holds."""
    return [item for scope in Scope for item in grantables(scope) if item.account == account]


def test_s6_no_wildcards_no_secrets_no_impersonation() -> None:
    for name, rule in rules():
        for key in ("apiGroups", "resources", "verbs", "resourceNames", "nonResourceURLs"):
            assert "*" not in rule.get(key, []), name
        assert not {"secrets", "pods/exec", "pods/attach", "pods/portforward"} & set(rule.get("resources", [])), name
        assert not {"impersonate", "escalate", "bind"} & set(rule["verbs"]), name


def test_s1_only_the_executor_writes_workloads_and_only_where_opted_in() -> None:
    writers = {
        (item.account, item.scope)
        for scope in Scope
        for item in grantables(scope)
        for rule in item.role["rules"]
        if WRITES & set(rule["verbs"]) and not set(rule.get("apiGroups", [])) <= OURS
        # PodTemplates are inert: nothing makes pods from them. Reviews change nothing.
        if not {"rolebindings", "tokenreviews", "subjectaccessreviews", "podtemplates"} & set(rule["resources"])
    }
    assert writers == {("iirp-execution", Scope.OPTED_IN)}


def test_s2_the_executor_can_patch_workloads_and_delete_pods_and_nothing_more() -> None:
    writing = {
        (group, resource, verb)
        for item in bound("iirp-execution")
        if item.scope is Scope.OPTED_IN
        for rule in item.role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in WRITES & set(rule["verbs"])
    }
    assert writing == {
        ("apps", "deployments", "patch"),
        ("apps", "statefulsets", "patch"),
        ("apps", "daemonsets", "patch"),
        ("", "pods", "delete"),
        ("batch", "jobs", "create"),
    }


def test_who_grants_cannot_act_and_who_acts_cannot_grant() -> None:
    held = {
        account: {
            resource
            for item in bound(account)
            for rule in item.role["rules"]
            for resource in rule.get("resources", [])
            if WRITES & set(rule["verbs"]) or "perform" in rule["verbs"]
        }
        for account in ("iirp-approval", "iirp-execution")
    }
    assert held["iirp-approval"] == {
        "approvals/status", "events", "roles", "rolebindings", "podtemplates", "actions",
    }  # fmt: skip
    workloads = {"deployments", "statefulsets", "daemonsets", "pods", "jobs"}
    assert held["iirp-execution"] == {"actionplans/status", "events", *workloads}


def test_config_maps_are_read_in_opted_in_namespaces_only() -> None:
    """RBAC cannot allow their metadata without their values, and many hold what is as good as a password."""
    held = [
        (item.account, item.scope)
        for scope in Scope
        for item in grantables(scope)
        for rule in item.role["rules"]
        if "configmaps" in rule.get("resources", [])
    ]
    assert {scope for _, scope in held} == {Scope.OPTED_IN}
    assert {account for account, _ in held} == {"iirp-rca", "iirp-detection", "iirp-policy"}


def test_revisions_of_workloads_are_read_and_never_written() -> None:
    held = {
        item.account: set(rule["verbs"])
        for scope in Scope
        for item in grantables(scope)
        for rule in item.role["rules"]
        if "controllerrevisions" in rule.get("resources", [])
    }
    assert held == {"iirp-execution": {"get", "list", "watch"}, "iirp-rca": {"get", "list"}}


def test_no_role_of_the_platform_may_approve() -> None:
    may = {name for name, rule in rules() if "approve" in rule["verbs"]}
    assert may == {"iirp-approver"}


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_each_controller_has_its_own_account_and_roles(controller: str) -> None:
    (path,) = [path for path in role_files() if path.stem == controller]
    accounts = [doc for doc in documents(path) if doc["kind"] == "ServiceAccount"]
    assert [doc["metadata"]["name"] for doc in accounts] == [f"iirp-{controller}"]
    held = [role for doc in documents(path) if (role := grantable(doc))]
    assert {role.account for role in held} == {f"iirp-{controller}"}


@pytest.mark.parametrize("path", admission_files(), ids=lambda path: path.stem)
def test_policies_fail_closed_and_are_bound_to_deny(path: Any) -> None:
    found = {(doc["kind"], doc["metadata"]["name"]): doc["spec"] for doc in documents(path)}
    policies = {key: spec for key, spec in found.items() if key[0].endswith("Policy")}
    assert policies
    for (kind, name), spec in policies.items():
        assert spec["failurePolicy"] == "Fail"
        bound_by = found[f"{kind}Binding", name]
        assert bound_by["policyName"] == name
        if kind.startswith("Validating"):
            assert "Deny" in bound_by["validationActions"]
            assert all(rule.get("message") or rule.get("messageExpression") for rule in spec["validations"]), name


def test_the_executor_may_look_at_exactly_the_policies_that_there_are() -> None:
    names = {
        doc["metadata"]["name"]
        for path in admission_files()
        for doc in documents(path)
        if doc["kind"].endswith("Policy")
    }
    listed = {
        name
        for item in bound("iirp-execution")
        for rule in item.role["rules"]
        if "admissionregistration.k8s.io" in rule.get("apiGroups", [])
        for name in rule["resourceNames"]
    }
    assert listed == names


def test_namespace_bindings_opt_one_namespace_in() -> None:
    found = namespace_bindings("shop", "platform")
    assert {(item["roleRef"]["name"], item["subjects"][0]["name"]) for item in found} == {
        ("iirp-execution-target", "iirp-execution"),
        ("iirp-execution-stateful", "iirp-execution"),
        ("iirp-execution-pods", "iirp-execution"),
        ("iirp-execution-jobs", "iirp-execution"),
        ("iirp-approval-grants", "iirp-approval"),
        ("iirp-policy-target", "iirp-policy"),
        ("iirp-rca-config", "iirp-rca"),
        ("iirp-detection-config", "iirp-detection"),
    }
    for item in found:
        assert item["kind"] == "RoleBinding"
        assert item["metadata"]["namespace"] == "shop"
        assert item["subjects"][0]["namespace"] == "platform"


@pytest.mark.parametrize(
    ("actions", "left_out"),
    [
        ((), set()),
        (("Rollback",), {"iirp-execution-stateful", "iirp-execution-pods", "iirp-execution-jobs"}),
        (("RestartPod",), {"iirp-execution-stateful", "iirp-execution-jobs"}),
        (("RestartDeployment", "ScaleStatefulSet"), {"iirp-execution-pods", "iirp-execution-jobs"}),
        (("RunJob",), {"iirp-execution-stateful", "iirp-execution-pods"}),
    ],
)
def test_a_namespace_opts_in_to_single_types(actions: tuple[str, ...], left_out: set[str]) -> None:
    every = {item["roleRef"]["name"] for item in namespace_bindings("shop")}
    assert every - {item["roleRef"]["name"] for item in namespace_bindings("shop", actions=actions)} == left_out


def test_roles_name_types_that_there_are() -> None:
    named = {kind for item in grantables(Scope.OPTED_IN) for kind in item.actions}
    assert named <= {kind.value for kind in ActionType}


def test_templates_name_no_namespace_of_ours() -> None:
    for path, text in rbac_templates("# header\n").items():
        assert "iirp-system" not in text, path


def test_contradicting_annotations_are_refused() -> None:
    body = yaml.safe_load("{kind: Role, metadata: {name: x, annotations: {iirp.io/bind: cluster}}}")
    with pytest.raises(ValueError, match=r"x: iirp\.io/bind needs a ClusterRole"):
        grantable(body)
