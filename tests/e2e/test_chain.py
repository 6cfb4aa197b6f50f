"""The chain from plan to effect as people use it: kubectl and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from demo.platform import Platform
from tests.e2e.conftest import SYSTEM
from tests.e2e.objects import account
from tests.e2e.story import Story
from tests.e2e.support import Cluster, eventually, kill_container

Policy = Callable[..., str]


@pytest.fixture
def story(cluster: Cluster, namespace: str, platform: Platform) -> Story:
    """A healthy Deployment and a declared incident."""
    return Story(cluster, namespace, platform.images["shop"].reference).begin()


def test_approved_restart_runs_once_under_the_approvers_name(story: Story, policy: Policy) -> None:
    policy()
    plan = story.plan()
    story.state("approval", plan, "Pending")
    assert story.restarts() == 1, "nothing may run before the approval"

    assert story.decide(plan, "approve", "matches staging").returncode == 0

    done = story.state("actionplan", plan, "Executed", "Verified", "Inconclusive", "Ineffective", within=120)
    assert done["status"]["execution"]["phase"] == "Succeeded"
    approval = story.state("approval", plan, "Used")
    assert [(d["by"], d["verdict"], d["reason"]) for d in approval["spec"]["decisions"]] == [
        ("alice", "approve", "matches staging")
    ]
    assert story.restarts() == 2, "exactly one restart"
    template = story.live()["spec"]["template"]["metadata"]["annotations"]
    assert template["iirp.io/action-id"] == done["status"]["execution"]["actions"][0]["actionId"]
    story.no_grants_left()


def test_rejected_plan_changes_nothing(story: Story, policy: Policy) -> None:
    policy()
    plan = story.plan()
    before = story.live()["metadata"]["generation"]
    story.state("approval", plan, "Pending")

    assert story.decide(plan, "reject", "not during the sale").returncode == 0

    assert story.state("actionplan", plan, "Denied")["status"].get("execution") is None
    assert story.state("approval", plan, "Rejected")["status"]["decidedBy"] == "alice"
    assert story.live()["metadata"]["generation"] == before
    assert not story.grants()
    late = story.decide(plan, "approve", as_user="alice")
    assert late.returncode != 0, "a rejected approval cannot be approved afterwards"


def test_approval_expires_and_then_refuses(story: Story, policy: Policy) -> None:
    policy(expiresAfter="1m")
    plan = story.plan()
    story.state("approval", plan, "Expired", within=100)
    assert story.state("actionplan", plan, "Expired")["status"].get("execution") is None

    late = story.decide(plan, "approve")

    assert late.returncode != 0, late.stdout
    assert "xpired" in late.stderr
    assert story.restarts() == 1


def test_stranger_is_refused_by_the_api_server_in_words(story: Story, policy: Policy) -> None:
    policy()
    plan = story.plan()
    story.state("approval", plan, "Pending")
    # eve may edit approvals, but has not the verb approve: RBAC alone would let her annotate.
    story.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "editor"},
            "rules": [
                {"apiGroups": ["iirp.io"], "resources": ["approvals"], "verbs": ["get", "list", "patch", "update"]}
            ],
        }
    )
    story.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "editor"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "editor"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "eve"}],
        }
    )

    refused = story.decide(plan, "approve", as_user="eve")

    assert refused.returncode != 0
    assert "eve may not decide this approval" in refused.stderr
    assert f"verb approve on approvals.iirp.io in namespace {story.namespace}" in refused.stderr
    assert not story.state("approval", plan, "Pending")["spec"].get("decisions")


def test_requester_cannot_approve_the_own_plan(story: Story, policy: Policy) -> None:
    policy()
    plan = story.plan()
    story.state("approval", plan, "Pending")
    refused = story.cluster.kubectl(
        "annotate", "approval", plan, "-n", story.namespace, "iirp.io/decision=approve", "iirp.io/reason=mine"
    )
    assert refused.returncode != 0
    assert "request" in refused.stderr


def test_target_changed_after_approval_voids_it(story: Story, policy: Policy) -> None:
    policy(requiredApprovals=2)
    plan = story.plan()
    story.state("approval", plan, "Pending")
    assert story.decide(plan, "approve").returncode == 0

    story.cluster.ok("set", "env", f"deploy/{story.name}", "-n", story.namespace, "CHANGED=yes")

    story.state("approval", plan, "Void")
    assert story.state("actionplan", plan, "Expired")["status"].get("execution") is None
    assert not story.grants()


def test_no_policy_for_the_namespace_means_nothing_runs(story: Story) -> None:
    plan = story.plan()
    body = story.state("actionplan", plan, "Denied")
    assert body["status"]["tier"] == "Forbidden"
    assert body["status"]["decision"]["message"]


def test_low_risk_scale_runs_by_itself_within_bounds(story: Story, policy: Policy) -> None:
    policy(tier="AutoLowRisk", match={"namespaces": [story.namespace], "actionTypes": ["ScaleDeployment"]})
    plan = story.plan(action={"type": "ScaleDeployment", "scale": {"replicas": 2}}, requester=account("incident"))
    done = story.state("actionplan", plan, "Executed", "Verified", "Inconclusive", "Ineffective", within=120)
    assert done["status"]["tier"] == "AutoLowRisk"
    assert story.live()["spec"]["replicas"] == 2
    story.no_grants_left()


def test_what_a_person_proposes_never_runs_by_itself(story: Story, policy: Policy) -> None:
    policy(tier="AutoLowRisk", match={"namespaces": [story.namespace], "actionTypes": ["ScaleDeployment"]})
    plan = story.plan(action={"type": "ScaleDeployment", "scale": {"replicas": 2}})
    assert story.state("approval", plan, "Pending")["spec"]["requiredApprovals"] == 1
    assert (story.cluster.get("actionplan", plan, story.namespace) or {})["status"]["tier"] == "HumanApproval"
    assert story.live()["spec"]["replicas"] == 1


@pytest.mark.parametrize("controller", ["policy", "approval", "execution"])
def test_controller_killed_in_the_middle_neither_loses_nor_repeats(
    story: Story, policy: Policy, platform: Platform, controller: str
) -> None:
    policy()
    if controller == "policy":
        kill_container(story.cluster, SYSTEM, f"app.kubernetes.io/component={controller}")
        plan = story.plan()
        story.state("approval", plan, "Pending", within=120)
    else:
        plan = story.plan()
        story.state("approval", plan, "Pending")
        kill_container(story.cluster, SYSTEM, f"app.kubernetes.io/component={controller}")
    assert story.decide(plan, "approve").returncode == 0
    if controller == "execution":
        eventually(lambda: story.grants() or story.restarts() > 1, within=60, what="the grant to be written")
        kill_container(story.cluster, SYSTEM, "app.kubernetes.io/component=execution")

    story.state("actionplan", plan, "Executed", "Verified", "Inconclusive", "Ineffective", within=240)

    assert story.restarts() == 2, "the restart took effect exactly once"
    story.no_grants_left(within=90)


def test_namespace_deletion_does_not_hang_with_every_controller_dead(story: Story, policy: Policy) -> None:
    cluster, namespace = story.cluster, story.namespace
    policy()
    plan = story.plan()
    story.state("approval", plan, "Pending")
    controllers = [f"deploy/{d['metadata']['name']}" for d in cluster.list("deployments", SYSTEM, "iirp.io/controller")]
    assert len(controllers) == 7
    cluster.ok("scale", "-n", SYSTEM, "--replicas=0", *controllers)
    try:
        gone = cluster.kubectl("delete", "namespace", namespace, "--timeout=90s", timeout=120)
        assert gone.returncode == 0, gone.stderr
        assert cluster.get("namespace", namespace) is None
    finally:
        cluster.ok("scale", "-n", SYSTEM, "--replicas=1", *controllers)
        cluster.ok("rollout", "status", "-n", SYSTEM, *controllers, "--timeout=180s", timeout=200)
