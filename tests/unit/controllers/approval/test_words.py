"""What people read about an approval, to the word, and the moments at which it changes."""

from __future__ import annotations

from typing import Any

import pytest

from crds.v1alpha1.actionpolicy import Tier
from crds.v1alpha1.approval import DecisionVerdict
from tests.fakes.chain import PLAN, restart, say, scale
from tests.unit.controllers.approval.world import Room

APPROVE, REJECT = DecisionVerdict.APPROVE, DecisionVerdict.REJECT
UNTIL = "03:34:05Z"
HALF_AN_HOUR = 1800


def by(person: str, verdict: DecisionVerdict = APPROVE, reason: str = "") -> Any:
    return lambda room: say(room.kube, person, verdict, reason=reason)


def expired(room: Room) -> None:
    room.clock.forward(HALF_AN_HOUR)


def almost(room: Room) -> None:
    room.clock.forward(HALF_AN_HOUR - 1)


def refused(room: Room) -> None:
    execution = {
        "phase": "Refused",
        "reason": "DryRunRejected",
        "message": "no such field",
        "startedAt": "2026-01-02T03:04:05Z",
    }
    room.kube.objects["actionplans", "shop", PLAN]["status"]["execution"] = execution


@pytest.mark.parametrize(
    ("said", "required", "state", "reason", "message"),
    [
        ([], 2, "Pending", "AwaitingApproval", f"waits for 2 of 2 approvals until {UNTIL}"),
        ([by("alice")], 2, "Pending", "AwaitingApproval", f"waits for 1 of 2 approvals until {UNTIL}"),
        ([by("alice")], 1, "Approved", "Approved", "approved by alice"),
        ([by("alice", reason="seen in staging")], 1, "Approved", "Approved", 'approved by alice: "seen in staging"'),
        (
            [by("alice", reason="mine"), by("bob")], 2, "Approved", "Approved", "approved by alice, bob",
        ),
        (
            [by("alice"), by("bob", reason="his")], 2, "Approved", "Approved", 'approved by alice, bob: "his"',
        ),
        ([by("bob", REJECT, "not today")], 1, "Rejected", "Rejected", 'rejected by bob: "not today"'),
        ([by("bob", REJECT)], 1, "Rejected", "Rejected", "rejected by bob"),
        ([almost], 1, "Pending", "AwaitingApproval", f"waits for 1 of 1 approvals until {UNTIL}"),
        ([expired], 1, "Expired", "ApprovalExpired", f"expired at {UNTIL} with 0/1 approvals"),
        ([by("alice"), expired], 2, "Expired", "ApprovalExpired", f"expired at {UNTIL} with 1/2 approvals"),
        (
            [by("alice"), expired], 1, "Expired", "ApprovalExpired",
            f"approved, but not started before it expired at {UNTIL}",
        ),
        (
            [by("alice"), refused], 1, "Void", "DryRunRejected",
            "the executor refused before any change: no such field",
        ),
    ],
)  # fmt: skip
def test_state_reason_and_words(said: list[Any], required: int, state: str, reason: str, message: str) -> None:
    room = Room(required=required)
    for step in said:
        step(room)
    room.run()
    status = room.approval.status
    assert (status.state, status.reason, status.message) == (state, reason, message)


def test_nobody_is_asked_where_policy_lets_it_run() -> None:
    room = Room(tier=Tier.AUTO_LOW_RISK)
    room.run()
    status = room.approval.status
    words = "policy lets this run without a person; a reject still stops it before it starts"
    assert (status.state, status.reason, status.message) == ("Approved", "AllowedByPolicy", words)


@pytest.mark.parametrize(("seconds", "left"), [(HALF_AN_HOUR - 1, 1), (HALF_AN_HOUR, 0)])
def test_a_grant_that_is_not_used_ends_at_the_moment_of_expiry(seconds: float, left: int) -> None:
    """The first action is written, the second is not: only that one is still granted, and only until then."""
    room = Room(scale(3), restart())
    say(room.kube, "alice", APPROVE)
    room.run()
    results = [
        {"id": name, "actionId": f"act-{name}", "phase": phase, "reason": "X", "startedAt": "2026-01-02T03:04:05Z"}
        for name, phase in (("scale", "Written"), ("restart", "Intent"))
    ]
    execution = {"phase": "Written", "reason": "X", "startedAt": "2026-01-02T03:04:05Z", "actions": results}
    room.kube.objects["actionplans", "shop", PLAN]["status"]["execution"] = execution
    room.clock.forward(seconds)
    room.run()
    assert (room.approval.status.state, len(room.approval.status.grants)) == ("Used", left)
    assert room.approval.status.message == "approved by alice; taken up by the executor"
