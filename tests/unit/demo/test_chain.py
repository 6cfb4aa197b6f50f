"""What the driver tells: every change once, nothing that is not one, and nothing that could harm a terminal."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from demo.driver.chain import chain_of, changes, choose_incident, printable
from demo.driver.watch import out_of_memory

Wire = dict[str, Any]


def incident(name: str = "payments-1", uid: str = "u1", state: str | None = "Detected", **spec: Any) -> Wire:
    base = {
        "fingerprint": "0123456789abcdef", "type": "MemoryLeak", "scope": "Workload", "severity": "high",
        "target": {"kind": "Deployment", "namespace": "shop", "name": "payments", "uid": "d1"},
        "startedAt": "2026-01-01T10:00:00Z", "detectedAt": "2026-01-01T10:00:40Z",
        "detectedBy": {"rule": "memory-leak", "confidencePercent": 90}, "summary": "grows 40 MiB/min",
    }  # fmt: skip
    return {
        "metadata": {"name": name, "uid": uid, "namespace": "shop", "creationTimestamp": "2026-01-01T10:00:40Z"},
        "spec": base | spec,
        "status": {"state": state, "timeline": []} if state else {},
    }


def approval(name: str, state: str, label: str = "payments-1") -> Wire:
    return {
        "metadata": {
            "name": name, "uid": f"u-{name}", "creationTimestamp": "2026-01-01T10:01:00Z",
            "labels": {"iirp.io/incident": label},
        },
        "spec": {
            "planRef": {"name": name, "uid": "p1"}, "planDigest": "sha256:" + "0" * 64, "tier": "HumanApproval",
            "summary": "RestartDeployment deploy/payments", "requestedBy": "x", "requiredApprovals": 1,
            "expiresAt": "2026-01-01T10:30:00Z",
        },
        "status": {"state": state, "approvals": "0/1"},
    }  # fmt: skip


def plan(name: str, state: str, label: str = "payments-1") -> Wire:
    action = {"id": "a1", "type": "RestartDeployment", "target": incident()["spec"]["target"]}
    return {
        "metadata": {
            "name": name, "uid": f"u-{name}", "creationTimestamp": "2026-01-01T10:01:00Z",
            "labels": {"iirp.io/incident": label},
        },
        "spec": {
            "incidentRef": {"name": label, "uid": "u1"}, "requestedBy": "x", "causeKind": "MemoryLeak",
            "cause": "a leak", "confidencePercent": 80, "actions": [action], "summary": "restart",
            "expectedImpact": "x", "rollback": "x",
        },
        "status": {"state": state},
    }  # fmt: skip


def entry(message: str, source: str = "metric") -> Wire:
    return {"at": "2026-01-01T10:00:50Z", "source": source, "message": message}


def test_a_new_incident_about_the_target_is_chosen_and_a_known_one_is_not() -> None:
    items = [
        incident("old", "u0"),
        incident("other", "u3", target={"kind": "Deployment", "namespace": "shop", "name": "checkout", "uid": "d2"}),
        incident("spike", "u4", type="MemorySpike"),
        incident("later", "u2", detectedAt="2026-01-01T10:02:00Z"),
        incident("first", "u1"),
    ]
    chosen = choose_incident(items, "payments", ["MemoryLeak"], known={"u0"})
    assert chosen is not None
    assert chosen.metadata.name == "first"
    assert choose_incident(items[:3], "payments", ["MemoryLeak"], known={"u0"}) is None


def test_only_objects_of_this_incident_belong_to_the_chain_and_the_newest_counts() -> None:
    chosen = choose_incident([incident()], "payments", ["MemoryLeak"], set())
    assert chosen is not None
    second = approval("payments-1-2", "Pending")
    second["metadata"]["creationTimestamp"] = "2026-01-01T10:05:00Z"
    chain = chain_of(
        chosen, {"approvals": [second, approval("payments-1-1", "Expired"), approval("other-1", "Used", "other")]}
    )
    assert chain.approval is not None
    assert chain.approval.metadata.name == "payments-1-2"
    assert (chain.report, chain.plan) == (None, None)


def test_each_change_is_told_once() -> None:
    first = incident()
    first["status"]["timeline"] = [entry("a")]
    second = copy.deepcopy(first)
    second["status"]["state"] = "Diagnosing"
    second["status"]["timeline"].append(entry("b"))

    def chain(wire: Wire) -> Any:
        chosen = choose_incident([wire], "payments", ["MemoryLeak"], set())
        assert chosen is not None
        return chain_of(chosen, {})

    assert [change.text for change in changes(None, chain(first))] == [
        "incident/payments-1 Detected MemoryLeak deploy/payments: grows 40 MiB/min",
        "10:00:50 metric a",
    ]
    assert [change.text for change in changes(chain(first), chain(second))] == [
        "incident/payments-1 Diagnosing MemoryLeak deploy/payments",
        "10:00:50 metric b",
    ]
    assert changes(chain(second), chain(second)) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\r\tand  spaces", "two lines and spaces"),
        ("\x1b[2J\x1b]0;title\x07gone", "[2J]0;titlegone"),
        ("right\u202eleft", "rightleft"),
        ("\x9b31m", "31m"),
    ],
)
def test_what_comes_from_the_cluster_cannot_move_the_cursor(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_an_oom_kill_is_seen_in_the_present_and_in_the_last_state() -> None:
    def pod(name: str, **status: Any) -> Wire:
        return {"metadata": {"name": name}, "status": {"containerStatuses": [status]}}

    killed = {"terminated": {"reason": "OOMKilled", "finishedAt": "2026-01-01T10:05:00Z"}}
    pods = [
        pod("a", lastState=killed, state={"running": {}}),
        pod("b", state=killed),
        pod("c", lastState={"terminated": {"reason": "Completed"}}),
        {"metadata": {"name": "d"}, "status": {}},
    ]
    assert [(kill.pod, kill.at) for kill in out_of_memory(pods)] == [
        ("a", "2026-01-01T10:05:00Z"),
        ("b", "2026-01-01T10:05:00Z"),
    ]
