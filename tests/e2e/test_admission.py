"""Who may decide an approval, enforced by the API server alone (S3, S4).

The objects are synthetic and written under impersonation. The controllers rest meanwhile, so that none of them answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.objects import (
    DIGEST,
    OTHER_DIGEST,
    account,
    allowed_soon,
    approval,
    binding,
    must_create,
    resting,
    role,
    scratch_namespace,
    set_status,
)
from tests.e2e.objects import create as create_object
from tests.e2e.support import Cluster

NAME = "web-leak-aaaaa-1"
APPROVE = ("iirp.io/decision=approve", "iirp.io/reason=matches staging")


@pytest.fixture(scope="module", autouse=True)
def quiet(cluster: Cluster) -> Iterator[None]:
    """The controllers that would answer rest while objects are written in their names."""
    with resting(cluster, "incident", "rca", "policy", "approval"):
        yield


@pytest.fixture
def pending(cluster: Cluster, namespace: str) -> str:
    """An Approval that waits, of the test's own."""
    return _ask(cluster, namespace)


@pytest.fixture(scope="module")
def undecided(cluster: Cluster) -> Iterator[str]:
    """An Approval that waits, for requests that must all be refused."""
    with scratch_namespace(cluster, "undecided") as namespace:
        yield _ask(cluster, namespace)


def _ask(cluster: Cluster, namespace: str) -> str:
    """alice and bob may decide, eve may only edit, and machines of ours try as well."""
    verbs = {"apiGroups": ["iirp.io"], "resources": ["approvals"], "verbs": ["get", "patch", "update"]}
    cluster.apply(
        role(namespace, "editor", verbs),
        binding(namespace, "approvers", "iirp-approver", "alice", "bob", account("execution"), account("incident")),
        binding(namespace, "editors", "editor", "eve", "alice", kind="Role"),
    )
    must_create(cluster, approval(namespace), as_user=account("policy"))
    dry = ("annotate", "approval", NAME, "-n", namespace, *APPROVE, "--dry-run=server")
    allowed_soon(lambda: cluster.kubectl(*dry, as_user="bob"), "bob to be known as an approver")
    return namespace


def decide(cluster: Cluster, namespace: str, user: str, *annotations: str) -> Any:
    """`kubectl annotate approval`, as people do it."""
    return cluster.kubectl("annotate", "approval", NAME, "-n", namespace, *(annotations or APPROVE), as_user=user)


def decisions(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    """The entries as stored."""
    body = cluster.get("approval", NAME, namespace)
    assert body is not None
    assert not set(body["metadata"].get("annotations", {})) & {"iirp.io/decision", "iirp.io/reason"}
    found: list[dict[str, Any]] = body["spec"].get("decisions", [])
    return found


def test_annotation_becomes_an_entry_under_the_persons_own_name(cluster: Cluster, pending: str) -> None:
    done = decide(cluster, pending, "alice")
    assert done.returncode == 0, done.stderr
    entry = {"by": "alice", "verdict": "approve", "reason": "matches staging", "planDigest": DIGEST}
    assert decisions(cluster, pending) == [entry]


def test_rejection_needs_no_reason(cluster: Cluster, pending: str) -> None:
    assert decide(cluster, pending, "bob", "iirp.io/decision=reject").returncode == 0
    assert [(d["by"], d["verdict"], d["reason"]) for d in decisions(cluster, pending)] == [("bob", "reject", "")]


def test_two_people_at_once_are_both_recorded(cluster: Cluster, pending: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda user: decide(cluster, pending, user), ("alice", "bob")))
    assert [done.returncode for done in results] == [0, 0], [done.stderr for done in results]
    assert sorted(d["by"] for d in decisions(cluster, pending)) == ["alice", "bob"]


def test_changing_ones_mind_is_recorded_and_repeating_oneself_refused(cluster: Cluster, pending: str) -> None:
    assert decide(cluster, pending, "alice").returncode == 0
    again = decide(cluster, pending, "alice")
    assert "alice has already said approve" in again.stderr
    assert decide(cluster, pending, "alice", "iirp.io/decision=reject").returncode == 0
    assert [d["verdict"] for d in decisions(cluster, pending)] == ["approve", "reject"]


REFUSED_DECISIONS = [
    ("eve", APPROVE, "eve may not decide this approval: needs the verb approve on approvals.iirp.io in namespace {ns}"),
    ("mallory", APPROVE, 'User "mallory" cannot'),
    (account("execution"), APPROVE, "denied request: "),
    (account("policy"), APPROVE, "cannot"),
    (account("incident"), APPROVE, "ServiceAccounts of the platform never may"),
    (
        "alice",
        ("iirp.io/decision=yes",),
        "iirp.io/decision must be approve or reject, on an existing Approval; got 'yes'",
    ),
    ("alice", ("iirp.io/decision=",), "iirp.io/decision must be approve or reject"),
    ("alice", ("iirp.io/decision=Approve",), "got 'Approve'"),
    ("alice", ("iirp.io/reason=first the reason",), "set it together with iirp.io/decision"),
    ("alice", ("iirp.io/decision=approve", "iirp.io/reason=" + "x" * 1025), "spec.decisions[0].reason: Too long"),
]


@pytest.mark.parametrize(("user", "annotations", "message"), REFUSED_DECISIONS)
def test_refused_decision_says_why(
    cluster: Cluster, undecided: str, user: str, annotations: tuple[str, ...], message: str
) -> None:
    done = decide(cluster, undecided, user, *annotations)
    assert done.returncode != 0, done.stdout
    assert message.format(ns=undecided) in done.stderr
    assert decisions(cluster, undecided) == []


@pytest.mark.parametrize("own", [{"requestedBy": "alice"}, {"onBehalfOf": "alice"}])
def test_requester_never_approves_the_own_plan_and_may_withdraw(
    cluster: Cluster, pending: str, own: dict[str, str]
) -> None:
    cluster.ok("delete", "approval", NAME, "-n", pending)
    must_create(cluster, approval(pending, **own), as_user=account("policy"))
    done = decide(cluster, pending, "alice")
    assert "alice may not approve this; they requested the plan themselves" in done.stderr
    assert decide(cluster, pending, "bob").returncode == 0
    assert decide(cluster, pending, "alice", "iirp.io/decision=reject").returncode == 0


@pytest.mark.parametrize(("groups", "allowed"), [(("oncall",), True), (("oncall-not",), False), ((), False)])
def test_groups_that_policy_names_are_recorded_and_checked(
    cluster: Cluster, pending: str, groups: tuple[str, ...], allowed: bool
) -> None:
    cluster.ok("delete", "approval", NAME, "-n", pending)
    must_create(cluster, approval(pending, approvers=["bob", "group:oncall"]), as_user=account("policy"))
    annotate = ("annotate", "approval", NAME, "-n", pending, "iirp.io/decision=approve")
    done = cluster.kubectl(*annotate, as_user="alice", as_groups=groups)
    assert (done.returncode == 0) is allowed, done.stderr
    assert [d.get("group", "") for d in decisions(cluster, pending)] == (["oncall"] if allowed else [])
    forged = [{"op": "add", "path": "/spec/decisions", "value": [entry() | {"group": "oncall"}]}]
    if not allowed:
        patch = ("patch", "approval", NAME, "-n", pending, "--type=json", "-p", json.dumps(forged))
        assert "may not decide as a member of oncall" in cluster.kubectl(*patch, as_user="alice").stderr
    assert cluster.kubectl(*annotate, as_user="bob").returncode == 0
    assert decisions(cluster, pending)[-1].get("group", "") == ""


def entry(by: str = "alice", verdict: str = "approve", digest: str = DIGEST, reason: str = "forged") -> dict[str, str]:
    """A decision as a forger would write it."""
    return {"by": by, "verdict": verdict, "reason": reason, "planDigest": digest}


FORGERIES = [
    ("alice", [entry("bob")], "alice may not decide as bob"),
    ("eve", [entry("eve")], "eve may not decide this approval: needs the verb approve"),
    ("eve", [entry("alice")], "eve may not decide as alice"),
    ("alice", [entry("alice"), entry("bob")], "one request may add one decision"),
    ("alice", [entry("alice", digest=OTHER_DIGEST)], "the decision is about another plan"),
    (None, [entry("alice")], "may not decide as alice"),
    (account("incident"), [entry(account("incident"))], "ServiceAccounts of the platform never may"),
    (account("approval"), [entry("alice")], "cannot patch"),
]


@pytest.mark.parametrize(("user", "forged", "message"), FORGERIES)
@pytest.mark.parametrize("how", ["merge", "json", "apply"])
def test_forged_entries_are_refused(
    cluster: Cluster, undecided: str, user: str | None, forged: list[dict[str, str]], message: str, how: str
) -> None:
    if how == "apply":
        body = approval(undecided, decisions=forged)
        done = cluster.kubectl(
            "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(body), as_user=user
        )
    else:
        change: Any = {"spec": {"decisions": forged}}
        if how == "json":
            change = [{"op": "add", "path": "/spec/decisions", "value": forged}]
        done = cluster.kubectl(
            "patch", "approval", NAME, "-n", undecided, f"--type={how}", "-p", json.dumps(change), as_user=user
        )
    assert done.returncode != 0, done.stdout
    assert message in done.stderr
    assert decisions(cluster, undecided) == []


TAMPERINGS = [
    ([], "append-only"),
    ([entry("alice", "approve"), entry("bob", "approve", reason="lgtm")], "append-only"),
    ([entry("alice", "reject", reason="matches staging")], "append-only"),
    ([entry("bob", "approve", reason="lgtm"), entry("alice", "approve", reason="matches staging")], "append-only"),
    ([entry("bob", "approve", reason="lgtm")], "append-only"),
]


@pytest.mark.parametrize(("after", "message"), TAMPERINGS)
@pytest.mark.parametrize("user", ["alice", None])
def test_recorded_decisions_can_be_neither_edited_nor_removed(
    cluster: Cluster, pending: str, user: str | None, after: list[dict[str, str]], message: str
) -> None:
    assert decide(cluster, pending, "alice").returncode == 0
    assert decide(cluster, pending, "bob", "iirp.io/decision=approve", "iirp.io/reason=lgtm").returncode == 0
    before = decisions(cluster, pending)
    patch = json.dumps({"spec": {"decisions": after}})
    done = cluster.kubectl("patch", "approval", NAME, "-n", pending, "--type=merge", "-p", patch, as_user=user)
    assert message in done.stderr
    assert decisions(cluster, pending) == before


@pytest.mark.parametrize("field", ["planDigest", "requiredApprovals", "expiresAt", "requestedBy", "tier", "summary"])
def test_what_is_asked_cannot_be_changed(cluster: Cluster, undecided: str, field: str) -> None:
    change = {
        "planDigest": OTHER_DIGEST,
        "requiredApprovals": 2,
        "expiresAt": "2037-01-01T00:00:00Z",
        "requestedBy": "x",
        "tier": "AutoLowRisk",
        "summary": "Restart deploy/other",
    }[field]
    patch = json.dumps({"spec": {field: change}})
    done = cluster.kubectl("patch", "approval", NAME, "-n", undecided, "--type=merge", "-p", patch)
    assert f"spec.{field} is immutable" in done.stderr


def test_where_policy_names_approvers_others_may_only_reject(cluster: Cluster, pending: str) -> None:
    cluster.ok("delete", "approval", NAME, "-n", pending)
    must_create(cluster, approval(pending, approvers=["bob"]), as_user=account("policy"))
    assert "alice may not approve this; policy names who may" in decide(cluster, pending, "alice").stderr
    change = json.dumps({"spec": {"approvers": ["alice"]}})
    refused = cluster.kubectl("patch", "approval", NAME, "-n", pending, "--type=merge", "-p", change)
    assert "spec.approvers is immutable" in refused.stderr
    assert decide(cluster, pending, "bob").returncode == 0
    assert decide(cluster, pending, "alice", "iirp.io/decision=reject").returncode == 0
    assert [(item["by"], item["verdict"]) for item in decisions(cluster, pending)] == [
        ("bob", "approve"),
        ("alice", "reject"),
    ]


@pytest.mark.parametrize("state", ["Rejected", "Expired", "Void", "Used"])
def test_nothing_is_decided_after_the_end(cluster: Cluster, pending: str, state: str) -> None:
    done = set_status(cluster, "Approval", NAME, pending, account("approval"), state=state)
    assert done.returncode == 0, done.stderr
    late = decide(cluster, pending, "alice")
    assert f"this approval is {state}; nothing can be decided about it any more" in late.stderr


def test_an_approved_plan_can_still_be_stopped(cluster: Cluster, pending: str) -> None:
    assert set_status(cluster, "Approval", NAME, pending, account("approval"), state="Approved").returncode == 0
    assert decide(cluster, pending, "bob", "iirp.io/decision=reject").returncode == 0


def test_approvals_come_from_the_policy_controller_and_start_empty(cluster: Cluster, namespace: str) -> None:
    me = cluster.whoami()
    assert f"{me} may not create Approvals" in create_object(cluster, approval(namespace)).stderr
    filled = approval(namespace, decisions=[entry("alice")])
    assert "starts without decisions" in create_object(cluster, filled, as_user=account("policy")).stderr
    annotated = approval(namespace)
    annotated["metadata"]["annotations"] = {"iirp.io/decision": "approve"}
    assert "on an existing Approval" in create_object(cluster, annotated, as_user=account("policy")).stderr
