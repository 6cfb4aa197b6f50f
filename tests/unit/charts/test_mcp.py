"""The MCP endpoints: off until asked for, and neither is the executor."""

from __future__ import annotations

from tests.unit.charts.helm import NAMESPACE, named, render


def test_agents_come_in_only_where_the_values_say_so() -> None:
    assert not [body for body in render() if "mcp" in body["metadata"]["name"]]
    objects = render(mcp={"read": {"enabled": True}}, networkPolicy={"enabled": True})
    names = {(body["kind"], body["metadata"]["name"]) for body in objects if "mcp" in body["metadata"]["name"]}
    assert ("Deployment", "iirp-mcp-read") in names
    assert not [name for _, name in names if "execute" in name]
    callers = named(objects, "NetworkPolicy", "iirp-mcp-read-callers")[f"{NAMESPACE}/iirp-mcp-read-callers"]
    assert callers["spec"]["ingress"][0]["from"] == [{"podSelector": {}}]


def test_the_execute_endpoint_is_not_the_executor() -> None:
    objects = render(mcp={"execute": {"enabled": True}, "tlsSecretName": "mcp-tls"})
    pod = named(objects, "Deployment", "iirp-mcp")[f"{NAMESPACE}/iirp-mcp-execute"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "iirp-mcp-execute"
    env = {item["name"]: item["value"] for item in pod["containers"][0]["env"]}
    assert env["IIRP_MCP_TLS_DIR"] == "/etc/iirp/mcp"
    role = named(objects, "ClusterRole", "iirp-mcp-execute")["/iirp-mcp-execute"]
    assert {resource for rule in role["rules"] for resource in rule["resources"]} == {
        "incidents", "rcareports", "approvals", "actionplans", "events",
    }  # fmt: skip


def test_the_audit_log_is_shown_to_readers_and_cannot_be_written_by_them() -> None:
    volume = {"persistentVolumeClaim": {"claimName": "iirp-audit"}}
    objects = render(mcp={"read": {"enabled": True}, "execute": {"enabled": True}}, audit={"volume": volume})
    pods = named(objects, "Deployment", "iirp-mcp")
    mounts = {
        name: [m for m in body["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] if m["name"] == "audit"]
        for name, body in pods.items()
    }
    assert mounts[f"{NAMESPACE}/iirp-mcp-execute"] == []
    assert [mount["readOnly"] for mount in mounts[f"{NAMESPACE}/iirp-mcp-read"]] == [True]
