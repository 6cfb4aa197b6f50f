"""What the executor may do because of an approval, and until when."""

from __future__ import annotations

import pytest

from controllers.kube.errors import Forbidden, KubeError, Unavailable
from controllers.runtime.outcome import Done
from crds.v1alpha1.approval import ApprovalState
from crds.v1alpha1.base import ConditionStatus
from crds.v1alpha1.execution import ActionPhase
from tests.fakes.chain import (
    NS,
    PLAN,
    say,
    scale,
)
from tests.unit.controllers.approval.world import APPROVE, REJECT, Room, approved_room, change_image


def test_used_keeps_the_grant_until_the_write() -> None:
    room = approved_room()
    room.execute(ActionPhase.INTENT)
    change_image(room)  # the executor settles that itself; the grant alone says which action, not which image
    room.run()
    assert room.state == (ApprovalState.USED, "Used")
    assert len(room.grants) == 1
    room.execute(ActionPhase.WRITTEN, "RollingOut")
    room.run()
    assert room.grants == set()
    assert room.state[0] is ApprovalState.USED


def test_used_never_grants_past_the_expiry() -> None:
    room = approved_room()
    room.execute(ActionPhase.INTENT)
    room.clock.forward(1801)
    room.run()
    assert room.state[0] is ApprovalState.USED
    assert room.grants == set()


def test_our_own_scale_does_not_void() -> None:
    room = approved_room(scale(3))
    room.execute(ActionPhase.WRITTEN, "RollingOut")
    room.raw("deployments", "payments")["spec"]["replicas"] = 3
    room.run()
    assert room.state[0] is ApprovalState.USED


def test_the_plan_is_read_after_the_target() -> None:
    """The executor writes intent, then target. Reading in the other order would take its own scale for a change."""
    room = approved_room(scale(3))

    def executor_acts(verb: str, plural: str, *_: str) -> KubeError | None:
        if (verb, plural) == ("get", "deployments"):
            room.execute(ActionPhase.INTENT)
            room.raw("deployments", "payments")["spec"]["replicas"] = 3
        return None

    room.kube.fail = executor_acts
    room.run()
    assert room.state[0] is ApprovalState.USED


def test_a_tampered_grant_is_put_right() -> None:
    room = approved_room()
    (name,) = room.grants
    wanted = room.raw("roles", name)["rules"]
    room.raw("roles", name)["rules"] = [{**wanted[0], "resourceNames": ["restart.other.act-0"]}]
    room.run()
    assert room.raw("roles", name)["rules"] == wanted


def test_grants_of_a_deleted_approval_go() -> None:
    room = approved_room()
    del room.kube.objects["approvals", NS, PLAN]
    assert room.run() == Done()
    assert room.grants == set()


def test_a_namespace_that_does_not_opt_in_is_said_so() -> None:
    room = Room()
    say(room.kube, "alice", APPROVE)
    message = 'roles.rbac is forbidden: User cannot list resource "roles"'
    room.kube.fail = lambda verb, plural, *_: Forbidden("Forbidden", message) if plural.startswith("role") else None
    room.run()
    granted = next(c for c in room.approval.status.conditions if c.type == "Granted")
    assert (granted.status, granted.reason) == (ConditionStatus.FALSE, "GrantRefused")
    assert message in granted.message
    assert room.approval.status.grants == []


@pytest.mark.parametrize(
    "broken", [("create", "roles"), ("create", "rolebindings"), ("apply_status", "approvals"), ("delete", "roles")]
)
def test_a_failure_anywhere_is_made_good_and_never_grants_too_much(broken: tuple[str, str]) -> None:
    room = Room()
    say(room.kube, "alice", APPROVE)
    once = [True]

    def fail(verb: str, plural: str, *_: str) -> KubeError | None:
        if (verb, plural) == broken and once:
            once.clear()
            return Unavailable("ApiServerUnavailable", "gone")
        return None

    room.kube.fail = fail
    for _ in range(2):
        try:
            room.run()
        except Unavailable:
            continue
    assert len(room.grants) == 1
    say(room.kube, "bob", REJECT)
    for _ in range(2):
        try:
            room.run()
        except Unavailable:
            continue
    assert room.grants == set()
    assert room.state[0] is ApprovalState.REJECTED
