"""Who may create what, and which field of a status belongs to whom, enforced by the API server alone."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.objects import (
    CONTROLLERS,
    account,
    action_policy,
    allowed_soon,
    approval,
    binding,
    create,
    incident,
    must_create,
    plan,
    report,
    resting,
    role,
    set_status,
    target,
)
from tests.e2e.support import Cluster

NAME = "web-leak-aaaaa-1"


@pytest.fixture(scope="module", autouse=True)
def quiet(cluster: Cluster) -> Iterator[None]:
    """The controllers that would answer rest while objects are written in their names."""
    with resting(cluster, "incident", "rca", "policy", "approval"):
        yield


STATUS_WRITERS = {
    ("Incident", "state"): ("incident", "Detected"),
    ("Incident", "detection"): ("detection", {"active": True, "lastSeenAt": "2026-01-01T00:00:00Z", "severity": "low"}),
    ("RCAReport", "state"): ("rca", "Complete"),
    ("ActionPlan", "state"): ("policy", "Proposed"),
    ("ActionPlan", "execution"): (
        "execution",
        {"phase": "Intent", "reason": "Started", "startedAt": "2026-01-01T00:00:00Z"},
    ),
    ("ActionPlan", "verification"): (
        "feedback",
        {"reason": "Started", "window": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:01:00Z"}},
    ),
    ("Approval", "state"): ("approval", "Pending"),
}


@pytest.mark.parametrize(("kind", "field"), list(STATUS_WRITERS))
def test_each_status_field_has_one_writer(cluster: Cluster, namespace: str, kind: str, field: str) -> None:
    body, creator = {
        "Incident": (incident(namespace), account("detection")),
        "RCAReport": (report(namespace), account("incident")),
        "ActionPlan": (plan(namespace, account("incident")), account("incident")),
        "Approval": (approval(namespace), account("policy")),
    }[kind]
    must_create(cluster, body, as_user=creator)
    name = body["metadata"]["name"]
    owner, value = STATUS_WRITERS[kind, field]
    for other in (*CONTROLLERS, None):
        if other != owner:
            user = account(other) if other else None
            done = set_status(cluster, kind, name, namespace, user, **{field: value})
            assert done.returncode != 0, f"{other} could write status.{field} of {kind}"
            assert "may not write" in done.stderr or "cannot patch resource" in done.stderr
    done = set_status(cluster, kind, name, namespace, account(owner), **{field: value})
    assert done.returncode == 0, done.stderr


def test_policies_are_made_by_people_and_judged_by_the_controller(cluster: Cluster, namespace: str) -> None:
    must_create(cluster, action_policy(namespace))
    try:
        done = set_status(cluster, "ActionPolicy", namespace, "", None, valid=True)
        assert "only the policy controller may" in done.stderr
        assert set_status(cluster, "ActionPolicy", namespace, "", account("policy"), valid=True).returncode == 0
    finally:
        cluster.ok("delete", "actionpolicy", namespace)


def test_incidents_come_from_detection_and_stay_in_their_namespace(cluster: Cluster, namespace: str) -> None:
    cluster.apply(
        role(namespace, "maker", {"apiGroups": ["iirp.io"], "resources": ["incidents"], "verbs": ["create"]}),
        binding(namespace, "maker", "maker", "carol", account("rca"), kind="Role"),
    )
    allowed_soon(
        lambda: cluster.kubectl("auth", "can-i", "create", "incidents.iirp.io", "-n", namespace, as_user="carol"),
        "carol to be allowed to create incidents by RBAC",
    )
    body = incident(namespace)
    assert "carol may not create Incidents" in create(cluster, body, as_user="carol").stderr
    assert "may not create Incidents" in create(cluster, body, as_user=account("rca")).stderr
    elsewhere = incident(namespace, target={"kind": "Deployment", "name": "web", "namespace": "default"})
    done = create(cluster, elsewhere, as_user=account("detection"))
    assert "spec.target.namespace is 'default': an Incident lives in the namespace of what it is about" in done.stderr
    assert create(cluster, body, as_user=account("detection")).returncode == 0


def test_plans_say_truly_who_asks_and_act_in_their_own_namespace(cluster: Cluster, namespace: str) -> None:
    me = cluster.whoami()
    assert f"spec.requestedBy must be '{me}'" in create(cluster, plan(namespace, "alice")).stderr
    elsewhere = [{"id": "a1", "type": "RestartDeployment", "target": target("kube-system")}]
    assert f"must be {namespace}" in create(cluster, plan(namespace, me, actions=elsewhere)).stderr
    assert create(cluster, plan(namespace, me)).returncode == 0


def test_executor_and_people_cannot_change_the_record(cluster: Cluster, namespace: str) -> None:
    must_create(cluster, incident(namespace), as_user=account("detection"))
    must_create(cluster, plan(namespace, account("incident")), as_user=account("incident"))
    must_create(cluster, approval(namespace), as_user=account("policy"))
    label = ("-n", namespace, "--type=merge", "-p", '{"metadata":{"labels":{"iirp.io/incident":"another"}}}')
    for kind, name in (("incident", NAME[:-2]), ("actionplan", NAME), ("approval", NAME)):
        for user in (account("execution"), "alice"):
            assert "is forbidden: User" in cluster.denied("patch", kind, name, *label, as_user=user)
            assert "is forbidden: User" in cluster.denied("delete", kind, name, "-n", namespace, as_user=user)
        assert "part of the record" in cluster.denied("patch", kind, name, *label)


def test_override_is_for_people(cluster: Cluster, namespace: str) -> None:
    must_create(cluster, incident(namespace), as_user=account("detection"))
    cluster.apply(binding(namespace, "operators", "iirp-operator", "carol", account("incident")))
    change = ("patch", "incident", "web-leak-aaaaa", "-n", namespace, "--type=merge", "-p")
    override = json.dumps({"spec": {"override": {"severity": "low", "closed": True, "note": "known"}}})
    allowed_soon(lambda: cluster.kubectl(*change, override, as_user="carol"), "carol to override")
    off = json.dumps({"spec": {"override": None}})
    assert "may not set spec.override" in cluster.denied(*change, off, as_user=account("incident"))
    other = json.dumps({"spec": {"severity": "low"}})
    assert "spec.severity is immutable; people change spec.override only" in cluster.denied(*change, other)
    label = json.dumps({"metadata": {"labels": {"iirp.io/fingerprint": "ffffffffffffffff"}}})
    assert "part of the record" in cluster.denied(*change, label)
