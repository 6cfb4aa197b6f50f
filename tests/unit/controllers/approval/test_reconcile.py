"""Who counts, and what an approval becomes."""

from __future__ import annotations

import pytest

from controllers.runtime.outcome import Requeue
from crds.v1alpha1.actionpolicy import Tier
from crds.v1alpha1.approval import ApprovalState, DecisionVerdict
from crds.v1alpha1.digest import action_id
from tests.fakes.chain import (
    INCIDENT,
    PLAN,
    REQUESTER,
    restart,
    say,
)
from tests.unit.controllers.approval.world import APPROVE, OTHER, REJECT, Room


def test_pending_until_somebody_decides() -> None:
    room = Room()
    outcome = room.run()
    assert room.state == (ApprovalState.PENDING, "AwaitingApproval")
    assert room.approval.status.approvals == "0/1"
    assert isinstance(outcome, Requeue)
    assert room.grants == set()


def test_an_approval_becomes_exactly_one_grant() -> None:
    room = Room()
    say(room.kube, "alice", APPROVE, reason="matches what we saw in staging")
    room.run()
    identity = action_id(room.plan.metadata.uid, restart())
    assert room.state == (ApprovalState.APPROVED, "Approved")
    assert room.approval.status.decided_by == "alice"
    assert "matches what we saw" in room.approval.status.message
    assert room.grants == {f"iirp-grant-{identity}"} == set(room.approval.status.grants)
    role = room.raw("roles", f"iirp-grant-{identity}")
    assert role["rules"] == [
        {
            "apiGroups": ["iirp.io"],
            "resources": ["actions"],
            "resourceNames": [f"restart.payments.{identity}"],
            "verbs": ["perform"],
        }
    ]
    assert role["metadata"]["labels"]["iirp.io/incident"] == INCIDENT
    assert role["metadata"]["ownerReferences"][0]["uid"] == room.approval.metadata.uid
    binding = room.raw("rolebindings", f"iirp-grant-{identity}")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "iirp-execution", "namespace": "iirp-system"}]


def test_a_second_run_writes_nothing() -> None:
    room = Room()
    say(room.kube, "alice", APPROVE)
    room.run()
    writes = list(room.kube.writes)
    room.clock.forward(60)
    room.run()
    assert room.kube.writes == writes


@pytest.mark.parametrize(
    ("decisions", "required", "state", "counted"),
    [
        ([("alice", APPROVE, "")], 2, ApprovalState.PENDING, "1/2"),
        ([("alice", APPROVE, ""), ("alice", APPROVE, "")], 2, ApprovalState.PENDING, "1/2"),
        ([("alice", APPROVE, ""), ("bob", APPROVE, "")], 2, ApprovalState.APPROVED, "2/2"),
        ([(REQUESTER, APPROVE, "")], 1, ApprovalState.PENDING, "0/1"),
        ([("system:serviceaccount:iirp-system:iirp-policy", APPROVE, "")], 1, ApprovalState.PENDING, "0/1"),
        ([("system:serviceaccount:ci:bot", APPROVE, "")], 1, ApprovalState.APPROVED, "1/1"),
        ([("alice", APPROVE, OTHER)], 1, ApprovalState.PENDING, "0/1"),
        ([("alice", APPROVE, ""), ("bob", REJECT, "")], 1, ApprovalState.REJECTED, "1/1"),
        ([("bob", REJECT, ""), ("alice", APPROVE, "")], 1, ApprovalState.REJECTED, "1/1"),
        ([("alice", REJECT, ""), ("alice", APPROVE, "")], 1, ApprovalState.REJECTED, "1/1"),
    ],
)
def test_s3_who_counts(
    decisions: list[tuple[str, DecisionVerdict, str]], required: int, state: ApprovalState, counted: str
) -> None:
    room = Room(required=required)
    for by, verdict, digest in decisions:
        say(room.kube, by, verdict, digest=digest)
    room.run()
    assert (room.approval.status.state, room.approval.status.approvals) == (state, counted)
    assert bool(room.grants) is (state is ApprovalState.APPROVED)


@pytest.mark.parametrize("field", ["requestedBy", "onBehalfOf"])
def test_s3_the_requester_never_counts_whoever_it_is(field: str) -> None:
    room = Room()
    room.raw("approvals", PLAN)["spec"][field] = "carol"
    say(room.kube, "carol", APPROVE)
    room.run()
    assert (room.state[0], room.approval.status.approvals) == (ApprovalState.PENDING, "0/1")


def test_only_the_people_whom_policy_names_count() -> None:
    room = Room()
    room.raw("approvals", PLAN)["spec"]["approvers"] = ["bob"]
    say(room.kube, "alice", APPROVE)
    room.run()
    assert (room.state[0], room.approval.status.approvals) == (ApprovalState.PENDING, "0/1")
    say(room.kube, "bob", APPROVE)
    room.run()
    assert room.state[0] is ApprovalState.APPROVED


@pytest.mark.parametrize(
    ("group", "by", "state"),
    [
        ("oncall", "alice", ApprovalState.APPROVED),
        ("other", "alice", ApprovalState.PENDING),
        ("", "alice", ApprovalState.PENDING),
        ("", "group:oncall", ApprovalState.PENDING),
        ("oncall", REQUESTER, ApprovalState.PENDING),
    ],
)
def test_a_group_that_policy_names_counts_where_the_api_server_recorded_it(
    group: str, by: str, state: ApprovalState
) -> None:
    room = Room()
    room.raw("approvals", PLAN)["spec"]["approvers"] = ["bob", "group:oncall"]
    say(room.kube, by, APPROVE)
    room.raw("approvals", PLAN)["spec"]["decisions"][-1]["group"] = group
    room.run()
    assert room.state[0] is state


def test_whom_policy_does_not_name_may_still_reject() -> None:
    room = Room()
    room.raw("approvals", PLAN)["spec"]["approvers"] = ["bob"]
    say(room.kube, "alice", REJECT)
    room.run()
    assert room.state[0] is ApprovalState.REJECTED


def test_the_requester_may_withdraw() -> None:
    room = Room()
    room.raw("approvals", PLAN)["spec"]["requestedBy"] = "carol"
    say(room.kube, "carol", REJECT)
    room.run()
    assert room.state[0] is ApprovalState.REJECTED


def test_auto_needs_nobody_and_human_never_zero() -> None:
    auto = Room(tier=Tier.AUTO_LOW_RISK)
    auto.run()
    assert auto.state == (ApprovalState.APPROVED, "AllowedByPolicy")
    assert auto.approval.status.decided_by == "policy"
    human = Room(required=0)
    human.raw("actionplans", PLAN)["status"]["decision"]["requiredApprovals"] = 0
    human.run()
    assert human.state[0] is ApprovalState.PENDING
