"""MCP against a real API server: the endpoints run here, each with the token of its own ServiceAccount only."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.objects import (
    DIGEST,
    LATER,
    SYSTEM,
    account,
    approval,
    create,
    incident,
    must_create,
    plan,
    resting,
    set_status,
)
from tests.e2e.support import Cluster, eventually

httpx2 = pytest.importorskip("httpx2", reason="the MCP SDK is not installed here")
NAME, INCIDENT = "web-leak-aaaaa-1", "web-leak-aaaaa"
AUDIENCE = "iirp-mcp"
EXECUTE = f"system:serviceaccount:{SYSTEM}:iirp-mcp-execute"


@pytest.fixture(scope="module", autouse=True)
def quiet(cluster: Cluster) -> Iterator[None]:
    """Controllers that would answer rest."""
    with resting(cluster, "incident", "rca", "policy", "approval", "execution"):
        yield


@contextmanager
def served(cluster: Cluster, role: str, folder: Path) -> Iterator[str]:
    """One endpoint as a process of its own; yields its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    token = cluster.ok("create", "token", f"iirp-{role}", "-n", SYSTEM).strip()
    env = {key: value for key, value in os.environ.items() if not key.startswith(("IIRP_", "KUBE"))}
    env |= {
        "KUBECONFIG": str(cluster.token_kubeconfig(token)), "IIRP_NAMESPACE": SYSTEM, "IIRP_MCP_PORT": str(port),
        "IIRP_METRICS_PORT": "0", "IIRP_HEALTH_PORT": "0",
    }  # fmt: skip
    log = folder / f"{role}.log"
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "controllers", role], env=env, stdout=out, stderr=out)
    try:
        eventually(lambda: _listens(port) or process.poll() is not None, within=60, what=f"{role} to listen")
        assert process.poll() is None, log.read_text()
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        process.wait(20)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def call(url: str, token: str, tool: str, **arguments: Any) -> tuple[bool, Any]:
    """(is it an error, the answer or its text), by the SDK's own client."""
    from mcp.client.client import Client
    from mcp.client.streamable_http import streamable_http_client

    async def ask() -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            return await client.call_tool(tool, arguments)

    result: Any = asyncio.run(ask())
    return bool(result.is_error), result.content[0].text if result.is_error else result.structured_content


@pytest.fixture
def agent(cluster: Cluster, namespace: str) -> str:
    """Token of a ServiceAccount that holds iirp-agent here, for the audience of the endpoints."""
    cluster.ok("create", "serviceaccount", "agent", "-n", namespace)
    cluster.ok(
        "create",
        "rolebinding",
        "agent",
        "-n",
        namespace,
        "--clusterrole=iirp-agent",
        f"--serviceaccount={namespace}:agent",
    )
    return cluster.ok("create", "token", "agent", "-n", namespace, f"--audience={AUDIENCE}").strip()


@pytest.fixture
def stranger(cluster: Cluster, namespace: str) -> str:
    """Token of a ServiceAccount without any right."""
    cluster.ok("create", "serviceaccount", "stranger", "-n", namespace)
    return cluster.ok("create", "token", "stranger", "-n", namespace, f"--audience={AUDIENCE}").strip()


def proposal(namespace: str) -> dict[str, Any]:
    """Arguments of propose_plan."""
    return {"namespace": namespace, "incident": INCIDENT, "actions": plan(namespace, "x")["spec"]["actions"]}


def test_agents_read_what_rbac_lets_them(
    cluster: Cluster, namespace: str, agent: str, stranger: str, tmp_path: Path
) -> None:
    must_create(cluster, incident(namespace), as_user=account("detection"))
    with served(cluster, "mcp-read", tmp_path) as url:
        error, found = call(url, agent, "list_incidents", namespace=namespace)
        assert not error, found
        assert [row["name"] for row in found["incidents"]] == [INCIDENT]
        error, text = call(url, agent, "list_incidents", namespace="kube-system")
        assert error
        assert "needs the verb list on incidents.iirp.io in namespace kube-system" in text
        assert call(url, stranger, "list_incidents", namespace=namespace)[0]
        for wrong in ("not-a-token", cluster.ok("create", "token", "agent", "-n", namespace).strip()):
            headers = {"Authorization": f"Bearer {wrong}", "Content-Type": "application/json"}
            assert httpx2.post(url, headers=headers, content=b"{}").status_code == 401


def test_a_proposal_is_the_agents_and_nobody_elses(
    cluster: Cluster, namespace: str, agent: str, stranger: str, tmp_path: Path
) -> None:
    must_create(cluster, incident(namespace), as_user=account("detection"))
    with served(cluster, "mcp-execute", tmp_path) as url:
        error, found = call(url, agent, "propose_plan", **proposal(namespace), dry_run=True)
        assert not error, found
        assert cluster.list("actionplans", namespace) == []
        error, found = call(url, agent, "propose_plan", **proposal(namespace))
        assert not error, found
        assert call(url, stranger, "propose_plan", **proposal(namespace))[0]
    (made,) = cluster.list("actionplans", namespace)
    assert made["spec"]["requestedBy"] == EXECUTE
    assert made["spec"]["onBehalfOf"] == f"system:serviceaccount:{namespace}:agent"


def test_execute_wakes_the_executor_and_changes_nothing_else(
    cluster: Cluster, namespace: str, agent: str, tmp_path: Path
) -> None:
    must_create(cluster, incident(namespace), as_user=account("detection"))
    stored = must_create(cluster, plan(namespace, account("incident")), as_user=account("incident"))
    ref = {"name": NAME, "uid": stored["metadata"]["uid"]}
    must_create(cluster, approval(namespace, planRef=ref), as_user=account("policy"))
    decision = {
        "tier": "HumanApproval", "reason": "ApprovalRequired", "message": "needs 1 approval", "planDigest": DIGEST,
        "requiredApprovals": 1, "decidedAt": "2026-01-01T00:00:00Z", "expiresAt": LATER,
    }  # fmt: skip
    assert not set_status(
        cluster, "ActionPlan", NAME, namespace, account("policy"), state="Approved", decision=decision
    ).returncode
    asked = {"plan": NAME, "namespace": namespace, "digest": DIGEST}
    with served(cluster, "mcp-execute", tmp_path) as url:
        error, text = call(url, agent, "execute_plan", **asked)
        assert error
        assert "is not approved" in text
        assert not set_status(
            cluster, "Approval", NAME, namespace, account("approval"), state="Approved", reason="Approved"
        ).returncode
        error, found = call(url, agent, "execute_plan", **asked)
        assert not error, found
    after = cluster.get("actionplan", NAME, namespace)
    assert after is not None
    assert after["spec"] == stored["spec"]
    assert (
        after["metadata"]["annotations"]["iirp.io/execute-requested-by"] == f"system:serviceaccount:{namespace}:agent"
    )


FORGED = [
    ({"spec": {"summary": "other"}}, "spec is immutable"),
    ({"metadata": {"labels": {"team": "x"}}}, "may change nothing of a plan but the annotations"),
    ({"metadata": {"finalizers": ["example.com/hang"]}}, "may change nothing of a plan but the annotations"),
    ({"metadata": {"annotations": {"other": "x"}}}, "may change nothing of a plan but the annotations"),
    ({"metadata": {"annotations": {"kept": None}}}, "may change nothing of a plan but the annotations"),
]


@pytest.mark.parametrize(("patch", "said"), FORGED)
def test_a_stolen_token_of_the_endpoint_changes_no_plan(
    cluster: Cluster, namespace: str, patch: dict[str, Any], said: str
) -> None:
    body = plan(namespace, account("incident"))
    body["metadata"]["annotations"] = {"kept": "yes"}
    must_create(cluster, body, as_user=account("incident"))
    done = cluster.kubectl(
        "patch", "actionplan", NAME, "-n", namespace, "--type=merge", "-p", json.dumps(patch), as_user=EXECUTE
    )
    assert done.returncode != 0, done.stdout
    assert said in done.stderr


def test_only_the_endpoint_speaks_for_others_and_it_always_does(cluster: Cluster, namespace: str) -> None:
    me = cluster.whoami()
    assert "only the MCP server may" in create(cluster, plan(namespace, me, onBehalfOf="bob")).stderr
    silent = create(cluster, plan(namespace, EXECUTE), as_user=EXECUTE)
    assert "must say in spec.onBehalfOf" in silent.stderr
    must_create(cluster, plan(namespace, EXECUTE, onBehalfOf="bob"), as_user=EXECUTE)
    must_create(cluster, plan(namespace, me, name="own"))
