"""The whole story with a real leak: noticed before the kernel acts, explained, approved, restarted, verified."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from demo.platform import Platform
from tests.e2e.conftest import SYSTEM
from tests.e2e.story import Story
from tests.e2e.support import Cluster, eventually

Policy = Callable[..., str]


def _incident(cluster: Cluster, namespace: str) -> dict[str, Any] | None:
    found = cluster.list("incidents", namespace)
    return found[0] if found else None


def _oom_killed(cluster: Cluster, namespace: str) -> bool:
    return any(
        status.get("lastState", {}).get("terminated", {}).get("reason") == "OOMKilled"
        for pod in cluster.list("pods", namespace)
        for status in pod["status"].get("containerStatuses", [])
    )


def test_leak_is_called_before_the_kill_and_resolved_after_approval(
    cluster: Cluster, namespace: str, platform: Platform, policy: Policy
) -> None:
    policy()
    story = Story(cluster, namespace, platform.images["shop"].reference, name="payments")
    story.deploy("payments", "catalogue", memory_mib=192)
    story.let_alice_approve()

    story.leak("payments", mib_per_second=0.5)
    # The leak begins with the pod, before there is a normal state to compare with: that takes 100 s of growth and more.
    # The kernel would kill at about six minutes.
    incident = eventually(lambda: _incident(cluster, namespace), within=240, what="an incident to be opened")
    name = incident["metadata"]["name"]
    assert incident["spec"]["type"] == "MemoryLeak"
    assert incident["spec"]["predicted"], "the harm has not happened yet"
    assert (incident["spec"]["target"]["kind"], incident["spec"]["target"]["name"]) == ("Deployment", "payments")
    assert not _oom_killed(cluster, namespace)

    cluster.wait_state("incident", name, namespace, ["AwaitingApproval"], within=90)
    (report,) = cluster.list("rcareports", namespace)
    first = report["status"]["rootCauses"][0]
    assert first["kind"] == "MemoryLeak"
    assert first["evidence"]
    assert first["refuters"], "a query that would have refuted it, executed"
    (plan,) = cluster.list("actionplans", namespace)
    assert plan["spec"]["requestedBy"] == f"system:serviceaccount:{SYSTEM}:iirp-incident"
    assert story.decide(plan["metadata"]["name"], "approve").returncode == 0

    done = cluster.wait_state("incident", name, namespace, ["Resolved", "Escalated", "Closed", "Recovered"], within=300)

    assert (done["status"]["state"], done["status"]["verdict"]) == ("Resolved", "Effective")
    assert not _oom_killed(cluster, namespace)
    sources = [entry["source"] for entry in done["status"]["timeline"]]
    for expected in ("metric", "incident", "rca", "policy", "approval", "action", "verify"):
        assert expected in sources, f"the timeline has no {expected} entry: {sources}"
    times = [entry["at"] for entry in done["status"]["timeline"]]
    assert times == sorted(times), "oldest first"
    assert len(cluster.list("incidents", namespace)) == 1, "one fault, one incident"
    cluster.ok("wait", "--for=condition=Resolved", f"incident/{name}", "-n", namespace, "--timeout=5s")
