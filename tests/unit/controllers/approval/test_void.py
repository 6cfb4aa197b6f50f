"""What voids an approval, and when it expires."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.kube.errors import Forbidden
from controllers.kube.resources import DEPLOYMENTS
from controllers.runtime.outcome import Done, Requeue
from crds.v1alpha1.approval import ApprovalState
from crds.v1alpha1.execution import ActionPhase
from tests.fakes.chain import (
    INCIDENT,
    NS,
    PLAN,
    add_plan,
    deployment,
    say,
)
from tests.unit.controllers.approval.world import APPROVE, OTHER, REJECT, Room, change_image


def delete_target(room: Room) -> None:
    del room.kube.objects["deployments", NS, "payments"]


def delete_plan(room: Room) -> None:
    del room.kube.objects["actionplans", NS, PLAN]


def recreate_plan(room: Room) -> None:
    room.raw("actionplans", PLAN)["metadata"]["uid"] = "made-anew"


def change_digest(room: Room) -> None:
    room.raw("actionplans", PLAN)["status"]["decision"]["planDigest"] = OTHER


def tighten(room: Room) -> None:
    room.raw("actionplans", PLAN)["status"]["decision"]["tier"] = "Forbidden"


def forbid_both(room: Room) -> None:
    """The schema has no such Approval; one that got past it is void."""
    tighten(room)
    room.raw("approvals", PLAN)["spec"]["tier"] = "Forbidden"


def ask_two(room: Room) -> None:
    room.raw("actionplans", PLAN)["status"]["decision"]["requiredApprovals"] = 2


def ask_others(room: Room) -> None:
    room.raw("actionplans", PLAN)["status"]["decision"]["approvers"] = ["carol"]


def supersede(room: Room) -> None:
    add_plan(room.kube, name="newer", supersedes=room.plan)


def end_incident(room: Room) -> None:
    room.raw("incidents", INCIDENT)["status"] = {"state": "Recovered"}


def refuse(room: Room) -> None:
    room.execute(ActionPhase.REFUSED, "TargetChanged")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (change_image, "TargetChanged"),
        (delete_target, "TargetChanged"),
        (delete_plan, "PlanGone"),
        (recreate_plan, "PlanGone"),
        (change_digest, "PlanChanged"),
        (tighten, "PolicyChanged"),
        (forbid_both, "PolicyChanged"),
        (ask_two, "PolicyChanged"),
        (ask_others, "PolicyChanged"),
        (supersede, "PlanSuperseded"),
        (end_incident, "IncidentEnded"),
        (refuse, "TargetChanged"),
    ],
)
@pytest.mark.parametrize("approved_before", [True, False])
def test_s4_what_voids_takes_the_grant_back(change: Any, reason: str, approved_before: bool) -> None:
    room = Room()
    if approved_before:
        say(room.kube, "alice", APPROVE)
        room.run()
        assert room.grants
    change(room)
    outcome = room.run()
    assert room.state == (ApprovalState.VOID, reason)
    assert room.grants == set()
    assert room.approval.status.grants == []
    assert outcome == Done()


def test_enough_approvals_wait_until_the_target_can_be_read() -> None:
    room = Room()
    say(room.kube, "alice", APPROVE)
    unreadable = Forbidden("Forbidden", "may not get deployments")
    room.kube.fail = lambda verb, plural, *_: unreadable if (verb, plural) == ("get", "deployments") else None
    room.run()
    assert room.state == (ApprovalState.PENDING, "TargetUnreadable")
    assert room.approval.status.message == "approved; the live target cannot be read yet"
    assert room.approval.status.approvals == "1/1"
    assert room.grants == set()
    room.kube.fail = lambda *_: None
    room.run()
    assert room.state == (ApprovalState.APPROVED, "Approved")
    assert len(room.grants) == 1


def test_void_stays_void_when_the_target_comes_back() -> None:
    room = Room()
    change_image(room)
    room.run()
    room.kube.add_raw(DEPLOYMENTS, deployment())
    say(room.kube, "alice", APPROVE)
    room.run()
    assert room.state == (ApprovalState.VOID, "TargetChanged")
    assert room.grants == set()


def test_a_late_reject_takes_the_grant_back() -> None:
    room = Room()
    say(room.kube, "alice", APPROVE)
    room.run()
    say(room.kube, "bob", REJECT, reason="deploy freeze")
    room.run()
    assert room.state == (ApprovalState.REJECTED, "Rejected")
    assert room.approval.status.decided_by == "bob"
    assert room.grants == set()


@pytest.mark.parametrize("approved", [True, False])
def test_expiry(approved: bool) -> None:
    room = Room()
    if approved:
        say(room.kube, "alice", APPROVE)
    outcome = room.run()
    assert outcome == Requeue(10.0)
    room.clock.forward(1795)
    assert room.run() == Requeue(5.0)
    room.clock.forward(5)
    assert room.run() == Done()
    assert room.state == (ApprovalState.EXPIRED, "ApprovalExpired")
    assert room.grants == set()
