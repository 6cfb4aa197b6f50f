"""Each action type from plan to effect on real workloads, by approval and by auto tier: kubectl and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from demo.platform import Platform
from tests.e2e.objects import account, resting
from tests.e2e.story import Story
from tests.e2e.support import Cluster, eventually
from tests.e2e.transcript import Transcript

Policy = Callable[..., str]
DISK = "38281.3 MiB of 258019.6 MiB used (15 %), inodes 5 %; 0 files seen"
DONE = ("Executed", "Verified", "Inconclusive", "Ineffective", "Failed", "Denied")


@pytest.fixture
def story(cluster: Cluster, namespace: str, platform: Platform) -> Story:
    """A healthy Deployment of two pods and a declared incident."""
    return Story(cluster, namespace, platform.images["shop"].reference).begin(replicas=2)


def executed(story: Story, plan: str) -> dict[str, Any]:
    """The execution's record, once the plan has ended."""
    body = story.state("actionplan", plan, *DONE, within=180)
    execution: dict[str, Any] = body["status"].get("execution") or {}
    assert execution.get("phase") == "Succeeded", json.dumps(body["status"], indent=1)
    return execution


def revisions(story: Story) -> dict[int, dict[str, Any]]:
    """ReplicaSets by revision."""
    bodies = story.cluster.list("replicasets", story.namespace, f"app.kubernetes.io/name={story.name}")
    return {int(body["metadata"]["annotations"]["deployment.kubernetes.io/revision"]): body for body in bodies}


def _asked(story: Story, kind: str) -> dict[str, Any]:
    """The action, with whatever has to be there for it."""
    match kind:
        case "ScaleDeployment":
            return {"type": kind, "scale": {"replicas": 3}}
        case "Rollback":
            story.cluster.ok("set", "env", f"deploy/{story.name}", "CACHE_SIZE=9000", "-n", story.namespace)
            found = eventually(lambda: r if 2 in (r := revisions(story)) else None, within=60, what="a second revision")
            story.rolled_out()
            return {"type": kind, "rollback": {"replicaSet": found[1]["metadata"]["name"], "revision": 1}}
        case "RunJob":
            story.mount("data")
            return {"type": kind, "job": {"template": "disk-usage", "claim": "data"}}
    return {"type": kind}


@pytest.mark.parametrize("tier", ["AutoLowRisk", "HumanApproval"])
@pytest.mark.parametrize("kind", ["RestartDeployment", "ScaleDeployment", "Rollback", "RunJob"])
def test_each_runs_by_itself_and_by_approval(story: Story, policy: Policy, kind: str, tier: str) -> None:
    policy(tier=tier)
    action = _asked(story, kind)
    by_itself = tier == "AutoLowRisk"
    plan = story.plan(action=action, requester=account("incident") if by_itself else "")
    if not by_itself:
        story.state("approval", plan, "Pending")
        told = Transcript(story.cluster, story.namespace)
        told.run("annotate", "approval", plan, "iirp.io/decision=approve", "iirp.io/reason=look", as_user="alice")
    (result,) = executed(story, plan)["actions"]
    approval = story.cluster.get("approval", plan, story.namespace) or {}
    assert approval["status"]["decidedBy"] == ("policy" if by_itself else "alice")
    if kind == "RunJob":
        assert "largest folders" in result["output"]
        assert story.restarts() == 2, "the first revision had no volume; the look itself rolled nothing out"
        if not by_itself:
            # The folder lies on the node's own disk, which is never as full as it was.
            told.names[result["output"].splitlines()[0]] = DISK
            told.run("get", "aplan", plan)
            told.run("get", "aplan", plan, "-o", "jsonpath={.status.execution.actions[0].output}")
            told.settle("actions.md", "job")
    story.no_grants_left()


def test_rollback_goes_back_to_the_named_revision(story: Story, policy: Policy) -> None:
    policy()
    good = story.live()["spec"]["template"]
    story.cluster.ok("set", "env", f"deploy/{story.name}", "CACHE_SIZE=9000", "-n", story.namespace)
    found = eventually(lambda: r if 2 in (r := revisions(story)) else None, within=60, what="a second revision")
    name = found[1]["metadata"]["name"]
    plan = story.plan(action={"type": "Rollback", "rollback": {"replicaSet": name, "revision": 1}})
    story.state("approval", plan, "Pending")
    told = Transcript(story.cluster, story.namespace, {name: f"{story.name}-6d4cf56db6"})
    told.run("get", "aplan,appr")
    reason = ("iirp.io/decision=approve", "iirp.io/reason=the last one was good")
    told.run("annotate", "approval", plan, *reason, as_user="alice")
    execution = executed(story, plan)
    told.run("get", "aplan", plan, "-o", "wide")
    told.run(
        "get", "aplan", plan, "-o", "jsonpath={.status.execution.actions[0].before} -> {.status.execution.message}"
    )
    told.lines.append("")
    told.run("rollout", "history", f"deploy/{story.name}")
    told.settle("actions.md", "rollback")
    live = story.live()
    assert live["spec"]["template"] == good
    assert live["metadata"]["annotations"]["iirp.io/rollback-to"] == name
    assert live["metadata"]["annotations"]["iirp.io/action-id"] == execution["actions"][0]["actionId"]
    assert revisions(story)[3]["metadata"]["name"] == name, "the old ReplicaSet was taken up again"
    story.no_grants_left()
    templates = "podtemplates"
    eventually(
        lambda: not story.cluster.list(templates, story.namespace), within=120, what="the PodTemplate to be collected"
    )


@pytest.fixture
def unexplained(cluster: Cluster) -> Iterator[None]:
    """Nothing is recommended meanwhile: every plan is the test's own, or follows from it."""
    with resting(cluster, "rca"):
        yield


@pytest.mark.usefixtures("unexplained")
@pytest.mark.parametrize("tier", ["AutoLowRisk", "HumanApproval"])
def test_a_rollback_that_stalls_is_taken_back(
    cluster: Cluster, namespace: str, platform: Platform, policy: Policy, tier: str
) -> None:
    """The undo is a plan of the platform's own, which policy decides about like about any other."""
    story = Story(cluster, namespace, platform.images["shop"].reference).broken_before().declare()
    condition = {"name": "one-node", "expression": "target.nodes == 1 && action.type == 'Rollback'"}
    policy(tier=tier, match={"namespaces": [namespace], "conditions": [condition]})
    good, found = story.live()["spec"]["template"], revisions(story)
    bad = {"replicaSet": found[1]["metadata"]["name"], "revision": 1}
    plan = story.plan(action={"type": "Rollback", "rollback": bad})
    story.state("approval", plan, "Pending")
    assert story.decide(plan, "approve", "worth a try").returncode == 0
    failed = story.state("actionplan", plan, "Failed", within=120)
    assert failed["status"]["execution"]["reason"] == "RolloutStalled"
    (undo,) = eventually(
        lambda: [one for one in cluster.list("actionplans", namespace) if one["spec"].get("undoes")],
        within=60, what="the plan that takes it back",
    )  # fmt: skip
    name = undo["metadata"]["name"]
    assert undo["spec"]["undoes"]["name"] == plan
    assert undo["spec"]["requestedBy"] == account("incident")
    assert undo["spec"]["actions"][0]["rollback"] == {"replicaSet": found[2]["metadata"]["name"], "revision": 2}
    if tier == "HumanApproval":
        story.state("approval", name, "Pending")
        assert story.live()["spec"]["template"] != good, "nothing is taken back before the approval"
        assert story.decide(name, "approve", "back again").returncode == 0
    executed(story, name)
    assert story.live()["spec"]["template"] == good
    story.rolled_out()
    assert story.state("actionplan", name, "Inconclusive")["status"]["verification"]["reason"] == "Undone"
    assert len(cluster.list("actionplans", namespace)) == 2, "it is tried once"
    story.no_grants_left()


def test_rollback_voids_when_the_target_moves_on(story: Story, policy: Policy) -> None:
    policy()
    story.cluster.ok("set", "env", f"deploy/{story.name}", "CACHE_SIZE=9000", "-n", story.namespace)
    found = eventually(lambda: r if 2 in (r := revisions(story)) else None, within=60, what="a second revision")
    rollback = {"replicaSet": found[1]["metadata"]["name"], "revision": 1}
    plan = story.plan(action={"type": "Rollback", "rollback": rollback})
    story.state("approval", plan, "Pending")
    story.cluster.ok("set", "env", f"deploy/{story.name}", "CACHE_SIZE=1", "-n", story.namespace)
    assert story.state("approval", plan, "Void")["status"]["reason"] == "TargetChanged"
    assert not story.grants()


@pytest.mark.parametrize("tier", ["AutoLowRisk", "HumanApproval"])
def test_one_pod_is_replaced(story: Story, policy: Policy, tier: str) -> None:
    policy(tier=tier, match={"namespaces": [story.namespace], "actionTypes": ["RestartPod"]})
    one, other = story.cluster.list("pods", story.namespace, f"app.kubernetes.io/name={story.name}")
    owner = one["metadata"]["ownerReferences"][0]
    target = {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": story.namespace,
        "name": one["metadata"]["name"],
        "uid": one["metadata"]["uid"],
    }
    action = {"type": "RestartPod", "target": target, "owner": {"kind": owner["kind"], "name": owner["name"]}}
    by_itself = tier == "AutoLowRisk"
    # Only the platform's own plans, which follow from a report, may run by themselves.
    plan = story.plan(action=action, requester=account("incident") if by_itself else "")
    if not by_itself:
        story.state("approval", plan, "Pending")
        assert story.decide(plan, "approve", "this one hangs").returncode == 0
    execution = executed(story, plan)
    assert execution["reason"] == "Replaced"
    if by_itself:
        told = Transcript(story.cluster, story.namespace, {target["name"]: f"{story.name}-6d4cf56db6-x7k2q"})
        told.run("get", "aplan,appr")
        told.settle("actions.md", "pod")
    uids = {
        pod["metadata"]["uid"]
        for pod in story.cluster.list("pods", story.namespace, f"app.kubernetes.io/name={story.name}")
    }
    assert one["metadata"]["uid"] not in uids
    assert other["metadata"]["uid"] in uids, "the other pod was left alone"
    story.no_grants_left()


def test_a_rollout_is_paused(story: Story, policy: Policy) -> None:
    policy()
    plan = story.plan(action={"type": "PauseRollout"})
    story.state("approval", plan, "Pending")
    assert story.decide(plan, "approve", "look first").returncode == 0
    assert executed(story, plan)["reason"] == "Paused"
    assert story.live()["spec"]["paused"] is True
    assert story.restarts() == 1


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_stateful_sets_and_daemon_sets_restart(story: Story, policy: Policy, kind: str) -> None:
    policy()
    body = story.live()
    spec = {key: body["spec"][key] for key in ("selector", "template")}
    name = f"{kind.lower()}-a"
    labels = {"app.kubernetes.io/name": name}
    spec = json.loads(json.dumps(spec).replace(f'"{story.name}"', f'"{name}"'))
    more = {"serviceName": name, "replicas": 1} if kind == "StatefulSet" else {}
    metadata = {"name": name, "labels": labels}
    story.apply({"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": {**spec, **more}})
    story.cluster.ok("rollout", "status", f"{kind}/{name}", "-n", story.namespace, "--timeout=90s", timeout=100)
    live = story.cluster.get(kind, name, story.namespace) or {}
    target = {"apiVersion": "apps/v1", "kind": kind, "namespace": story.namespace, "name": name}
    plan = story.plan(action={"type": f"Restart{kind}", "target": {**target, "uid": live["metadata"]["uid"]}})
    story.state("approval", plan, "Pending")
    assert story.decide(plan, "approve").returncode == 0
    identity = executed(story, plan)["actions"][0]["actionId"]
    after = story.cluster.get(kind, name, story.namespace) or {}
    assert after["spec"]["template"]["metadata"]["annotations"]["iirp.io/action-id"] == identity
