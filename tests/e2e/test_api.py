"""The API as people meet it: columns, explanations, waiting, and messages about what is wrong."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from crds.v1alpha1 import KINDS
from tests.e2e.objects import (
    API,
    AT,
    LATER,
    SYSTEM,
    account,
    action_policy,
    approval,
    create,
    incident,
    must_create,
    plan,
    report,
    resting,
    target,
)
from tests.e2e.support import Cluster, eventually

Body = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def quiet(cluster: Cluster) -> Iterator[None]:
    """Nobody but the test writes."""
    with resting(cluster, "detection", "incident", "rca", "policy", "approval"):
        yield


def write_status(cluster: Cluster, body: Body, controller: str, status: Body) -> None:
    """Status by server-side apply in a controller's name."""
    head = {key: body[key] for key in ("apiVersion", "kind")}
    names = {"name": body["metadata"]["name"], "namespace": body["metadata"]["namespace"]}
    applied = ("apply", "--server-side", "--subresource=status", f"--field-manager=iirp-{controller}", "-f", "-")
    text = json.dumps({**head, "metadata": names, "status": status})
    cluster.ok(*applied, stdin=text, as_user=account(controller))


@pytest.fixture
def chain(cluster: Cluster, namespace: str) -> str:
    """An incident in the middle of its story, with names and words as long as they usually are."""
    name = "payments-leak-x7k2q"
    subject = {"target": target(namespace, name="payments")}
    story = [
        (
            incident(namespace, name, **subject),
            "detection",
            "incident",
            {"state": "AwaitingApproval", "severity": "high"},
        ),
        (
            report(namespace, name),
            "incident",
            "rca",
            {
                "state": "Complete",
                "cause": CAUSE,
                "causeKind": ROOT["kind"],
                "confidencePercent": 84,
                "rootCauses": [ROOT],
            },
        ),
        (
            plan(namespace, account("incident"), f"{name}-1", summary="Restart deploy/payments"),
            "incident",
            "policy",
            {"state": "AwaitingApproval", "tier": "HumanApproval"},
        ),
        (approval(namespace, f"{name}-1"), "policy", "approval", {"state": "Pending", "approvals": "0/1"}),
    ]
    for body, creator, writer, status in story:
        must_create(cluster, body, as_user=account(creator))
        write_status(cluster, body, writer, status)
    return namespace


CAUSE = "memory grows since rev 7"
ROOT = {
    "id": "leak",
    "kind": "MemoryLeak",
    "summary": CAUSE,
    "target": {"kind": "Deployment", "name": "payments"},
    "confidencePercent": 84,
}


@pytest.mark.parametrize("kind", ["incidents", "rcareports", "actionplans", "approvals"])
def test_columns_fit_80_characters(cluster: Cluster, chain: str, kind: str) -> None:
    lines = cluster.ok("get", kind, "-n", chain).splitlines()
    assert len(lines) == 2
    assert max(map(len, lines)) <= 80, "\n".join(lines)
    assert "<none>" not in lines[1], lines[1]


def test_the_whole_story_is_one_command(cluster: Cluster, chain: str) -> None:
    shown = cluster.ok("get", "iirp", "-n", chain)
    for part in (
        "incident.iirp.io/payments-leak-x7k2q",
        "rcareport.iirp.io/payments-leak-x7k2q",
        "actionplan.iirp.io/payments-leak-x7k2q-1",
        "approval.iirp.io/payments-leak-x7k2q-1",
        "Restart deploy/payments",
        "MemoryLeak",
    ):
        assert part in shown
    assert "actionpolicy" not in shown
    assert "HumanApproval" in cluster.ok("get", "aplan", "-n", chain, "-o", "wide")
    assert CAUSE in cluster.ok("get", "rcar", "-n", chain, "-o", "wide")


def test_states_are_field_selectors(cluster: Cluster, chain: str) -> None:
    selector = "--field-selector=status.state=AwaitingApproval"
    assert "payments-leak-x7k2q" in cluster.ok("get", "inc", "-n", chain, selector)
    assert "payments-leak-x7k2q" in cluster.ok("get", "inc", "-n", chain, "--field-selector=spec.type=MemoryLeak")
    assert cluster.ok("get", "inc", "-n", chain, "--field-selector=status.state=Resolved") == ""


def test_kubectl_wait_sees_conditions(cluster: Cluster, namespace: str) -> None:
    body = must_create(cluster, incident(namespace), as_user=account("detection"))
    command = ("wait", "--for=condition=Resolved", "incident/web-leak-aaaaa", "-n", namespace)
    assert "timed out" in cluster.denied(*command, "--timeout=1s")
    condition = {"type": "Resolved", "status": "True", "reason": "Effective", "lastTransitionTime": AT}
    write_status(cluster, body, "incident", {"conditions": [condition]})
    assert "condition met" in cluster.ok(*command, "--timeout=5s")


def test_the_two_writers_of_a_status_do_not_disturb_each_other(cluster: Cluster, namespace: str) -> None:
    body = must_create(cluster, incident(namespace), as_user=account("detection"))
    write_status(cluster, body, "detection", {"detection": {"active": True, "lastSeenAt": AT, "severity": "high"}})
    write_status(cluster, body, "incident", {"state": "Detected", "severity": "high"})
    write_status(cluster, body, "detection", {"detection": {"active": False, "lastSeenAt": LATER, "severity": "high"}})
    stored = cluster.get("incident", "web-leak-aaaaa", namespace)
    assert stored is not None
    assert stored["status"]["state"] == "Detected"
    assert stored["status"]["detection"] == {"active": False, "lastSeenAt": LATER, "merged": 1, "severity": "high"}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("incident", "One fault of one workload, node or volume"),
        ("incident.spec.override", "What a person may change after the fact"),
        ("incident.status.timeline", "What happened, oldest first"),
        ("incident.status.timeline.reference", "Object, revision, metric or query that shows it"),
        ("rcareport.status.rootCauses.evidence.resultDigest", "SHA-256 of what the platform concluded from"),
        ("actionplan.status.execution.actions.phase", "How far an action has come"),
        ("approval.spec.decisions", "The API server appends, nobody edits"),
        ("actionpolicy.spec.rules.minConfidencePercent", "Below this confidence AutoLowRisk becomes HumanApproval"),
    ],
)
def test_explain(cluster: Cluster, path: str, words: str) -> None:
    def explained() -> bool:
        done = cluster.kubectl("explain", path)
        return words in " ".join(done.stdout.split())

    eventually(explained, within=15, what=f"kubectl explain {path} to say {words!r}")


def test_every_field_is_explained(cluster: Cluster) -> None:
    for kind in KINDS:
        text = cluster.ok("explain", kind.definition.kind.lower(), "--recursive")
        assert "status" in text
        assert "<Object>" in text


INVALID: list[tuple[str, dict[str, Any], str]] = [
    ("incident", {"type": "memory leak"}, "spec.type: Invalid value"),
    ("incident", {"severity": "terrible"}, 'spec.severity: Unsupported value: "terrible": supported values: "low"'),
    ("incident", {"fingerprint": "short"}, "spec.fingerprint: Invalid value"),
    ("incident", {"summary": "x" * 301}, "spec.summary: Too long: may not be more than 300 bytes"),
    ("incident", {"detectedBy": {"rule": "r", "confidencePercent": 101}}, "spec.detectedBy.confidencePercent"),
    ("incident", {"startedAt": "yesterday"}, "spec.startedAt"),
    ("incident", {"target": {"kind": "Deployment", "name": "Not A Name"}}, "spec.target.name"),
    ("incident", {"surprise": 1}, 'unknown field "spec.surprise"'),
    ("actionplan", {"actions": []}, "spec.actions"),
    ("actionplan", {"actions": [{"type": "RunShell"}]}, 'spec.actions[0].type: Unsupported value: "RunShell"'),
    ("actionplan", {"actions": [{"command": "id"}]}, 'unknown field "spec.actions[0].command"'),
    (
        "actionplan",
        {"actions": [{"scale": {"replicas": 3}}]},
        "scale is required for ScaleDeployment and ScaleStatefulSet and forbidden otherwise",
    ),
    (
        "actionplan",
        {"actions": [{"type": "ScaleDeployment"}]},
        "scale is required for ScaleDeployment and ScaleStatefulSet and forbidden otherwise",
    ),
    (
        "actionplan",
        {"actions": [{"type": "ScaleDeployment", "scale": {"replicas": 0}}]},
        "spec.actions[0].scale.replicas: Invalid value: 0: spec.actions[0].scale.replicas in body should be greater",
    ),
    ("actionplan", {"actions": [{}, {}]}, "every action needs an id of its own"),
    ("actionplan", {"actions": [{"uid": ""}]}, "target.uid is required: an action is about one live object"),
    ("actionplan", {"actions": [{"kind": "StatefulSet"}]}, "need a target of kind Deployment in apps/v1"),
    ("rcareport", {"window": {"start": LATER, "end": AT}}, "start must not be after end"),
    ("approval", {"tier": "Forbidden"}, "tier must be AutoLowRisk or HumanApproval"),
    ("approval", {"requiredApprovals": 0}, "requiredApprovals must be at least 1 when tier is HumanApproval"),
    ("approval", {"planDigest": "sha256:abc"}, "spec.planDigest"),
    ("actionpolicy", {"expiresAfter": "48h"}, "expiresAfter must be between 1m and 24h"),
    ("actionpolicy", {"expiresAfter": "soon"}, "spec.rules[0].expiresAfter"),
    ("actionpolicy", {"tier": "Automatic"}, 'spec.rules[0].tier: Unsupported value: "Automatic"'),
    ("actionpolicy", {"match": {"namespaces": []}}, "spec.rules[0].match.namespaces"),
    ("actionpolicy", {"requiredApprovals": 0}, "spec.rules[0].requiredApprovals"),
]


@pytest.mark.parametrize(("kind", "change", "message"), INVALID)
def test_invalid_objects_are_refused_with_field_and_reason(
    cluster: Cluster, namespace: str, kind: str, change: dict[str, Any], message: str
) -> None:
    done = _create(cluster, namespace, kind, change)
    assert done.returncode != 0, done.stdout
    assert message in done.stderr


def _create(cluster: Cluster, namespace: str, kind: str, change: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """POST an object that differs from a valid one in ``change``; actions are changed one by one."""
    makers = {"incident": incident, "rcareport": report, "approval": approval}
    writers = {"incident": "detection", "rcareport": "incident", "approval": "policy"}
    if kind in makers:
        done = create(cluster, makers[kind](namespace, **change), as_user=account(writers[kind]))
    elif kind == "actionpolicy":
        done = create(cluster, action_policy(namespace, **change))
    else:
        actions = [_action(namespace, one) for one in change["actions"]]
        done = create(cluster, plan(namespace, account("incident"), actions=actions), as_user=account("incident"))
    assert isinstance(done, subprocess.CompletedProcess)
    return done


def _action(namespace: str, change: dict[str, Any]) -> dict[str, Any]:
    subject = target(namespace, **{key: change[key] for key in ("uid", "kind") if key in change})
    rest = {key: value for key, value in change.items() if key not in ("uid", "kind")}
    return {"id": "a1", "type": "RestartDeployment", "target": subject, **rest}


@pytest.mark.parametrize("name", ["x" * 64, "with.dots"])
def test_names_fit_into_labels(cluster: Cluster, namespace: str, name: str) -> None:
    done = create(cluster, incident(namespace, name), as_user=account("detection"))
    assert "metadata.name must be an RFC 1123 label" in done.stderr


@pytest.mark.parametrize("kind", ["rcareport", "actionplan"])
def test_specs_are_immutable(cluster: Cluster, namespace: str, kind: str) -> None:
    body = {"rcareport": report(namespace), "actionplan": plan(namespace, account("incident"))}[kind]
    must_create(cluster, body, as_user=account("incident"))
    ref = json.dumps({"spec": {"incidentRef": {"name": "another"}}})
    denied = cluster.denied("patch", kind, body["metadata"]["name"], "-n", namespace, "--type=merge", "-p", ref)
    assert "spec is immutable" in denied


def test_incidents_of_nodes_live_with_the_platform(cluster: Cluster, namespace: str) -> None:
    node = {"apiVersion": "v1", "kind": "Node", "name": "node-1"}
    body = incident(SYSTEM, f"node-disk-{namespace[-5:]}", target=node, scope="Node", type="DiskPressure")
    must_create(cluster, body, as_user=account("detection"))
    cluster.ok("delete", "incident", body["metadata"]["name"], "-n", SYSTEM)
    wrong = {**body, "metadata": {"name": "node-disk", "namespace": namespace}, "apiVersion": API}
    assert "those of cluster-scoped objects" in create(cluster, wrong, as_user=account("detection")).stderr
