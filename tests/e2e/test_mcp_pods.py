"""The chart's MCP pods: ready, reached through their Services, and each as far as its own ServiceAccount goes."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from demo.platform import Platform
from tests.e2e.objects import SYSTEM, resting
from tests.e2e.story import Story
from tests.e2e.support import Cluster
from tests.e2e.test_mcp import AUDIENCE, EXECUTE, call

PORT = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")
DONE = ("Executed", "Verified", "Inconclusive", "Ineffective", "Failed", "Denied")


@contextmanager
def forwarded(cluster: Cluster, role: str) -> Iterator[str]:
    """The URL of an endpoint through ``kubectl port-forward``, as the docs say."""
    command = ["kubectl", "--kubeconfig", str(cluster.kubeconfig), "port-forward", "-n", SYSTEM]
    process = subprocess.Popen([*command, f"service/iirp-{role}", ":8082"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = PORT.match(process.stdout.readline())
        assert found, f"kubectl port-forward ended with {process.wait(10)}"
        yield f"http://127.0.0.1:{found[1]}/mcp"
    finally:
        process.terminate()
        process.wait(20)


def agent_of(cluster: Cluster, namespace: str, *resources: str) -> str:
    """Token of an agent that may use these verbs on these resources here: ``verbs:resource``."""
    name = f"agent-{len(resources)}"
    cluster.ok("create", "serviceaccount", name, "-n", namespace)
    for number, item in enumerate(resources):
        verbs, resource = item.split(":")
        role = f"{name}-{number}"
        cluster.ok("create", "role", role, "-n", namespace, f"--verb={verbs}", f"--resource={resource}.iirp.io")
        cluster.ok(
            "create", "rolebinding", role, "-n", namespace, f"--role={role}", f"--serviceaccount={namespace}:{name}"
        )
    return cluster.ok("create", "token", name, "-n", namespace, f"--audience={AUDIENCE}").strip()


@pytest.mark.parametrize("role", ["mcp-read", "mcp-execute"])
def test_its_pod_is_ready(cluster: Cluster, role: str) -> None:
    cluster.ok("rollout", "status", "-n", SYSTEM, f"deploy/iirp-{role}", "--timeout=120s", timeout=130)


def test_agents_read_and_have_an_approved_plan_carried_out(
    cluster: Cluster, namespace: str, platform: Platform, policy: object
) -> None:
    assert callable(policy)
    policy()
    story = Story(cluster, namespace, platform.images["shop"].reference).begin()
    reader = agent_of(cluster, namespace, "get,list:incidents")
    actor = agent_of(cluster, namespace, "get,list:incidents", "get,list,execute:actionplans")
    with forwarded(cluster, "mcp-read") as url:
        error, found = call(url, reader, "list_incidents", namespace=namespace)
        assert not error, found
        assert [row["name"] for row in found["incidents"]] == [story.name]
        assert call(url, reader, "list_plans", namespace=namespace)[0], "incidents is all that RBAC gives this one"
    plan = story.plan()
    story.state("approval", plan, "Pending")
    digest = (cluster.get("approval", plan, namespace) or {})["spec"]["planDigest"]
    asked = {"plan": plan, "namespace": namespace, "digest": digest}
    with forwarded(cluster, "mcp-execute") as url, resting(cluster, "execution"):
        error, text = call(url, actor, "execute_plan", **asked)
        assert error
        assert "is not approved" in text
        assert story.decide(plan, "approve", "matches staging").returncode == 0
        story.state("approval", plan, "Approved")
        error, text = call(url, reader, "execute_plan", **asked)
        assert error
        assert "needs the verb execute on actionplans.iirp.io" in text
        error, text = call(url, actor, "execute_plan", **{**asked, "digest": "sha256:" + "0" * 64})
        assert error
        error, found = call(url, actor, "execute_plan", **asked)
        assert not error, found
        assert story.restarts() == 1, "the endpoint wakes the executor, and does nothing itself"
    done = story.state("actionplan", plan, *DONE, within=180)
    assert done["status"]["execution"]["phase"] == "Succeeded"
    annotations = done["metadata"]["annotations"]
    assert annotations["iirp.io/execute-requested-by"] == f"system:serviceaccount:{namespace}:agent-2"
    assert story.restarts() == 2, "exactly one restart"


def test_the_pods_token_is_no_executors(cluster: Cluster, namespace: str) -> None:
    for verb, resource in (("patch", "deployments"), ("delete", "pods"), ("get", "secrets"), ("approve", "approvals")):
        told = cluster.kubectl("auth", "can-i", verb, resource, "-n", namespace, as_user=EXECUTE)
        assert told.stdout.strip() == "no", f"{verb} {resource}"
