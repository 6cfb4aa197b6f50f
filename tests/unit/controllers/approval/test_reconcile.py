"""Who counts, what voids, and what the executor may do because of it."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.approval.handlers import build
from controllers.kube.errors import Forbidden, KubeError, Unavailable
from controllers.kube.resources import DEPLOYMENTS
from controllers.runtime.outcome import Done, Key, Requeue
from crds.v1alpha1.actionplan import ActionPhase
from crds.v1alpha1.actionpolicy import Tier
from crds.v1alpha1.actions import Action
from crds.v1alpha1.approval import Approval, ApprovalState, DecisionVerdict
from crds.v1alpha1.base import ConditionStatus
from crds.v1alpha1.digest import action_id
from tests.fakes.chain import (
    INCIDENT,
    NS,
    PLAN,
    REQUESTER,
    Clock,
    add_incident,
    add_plan,
    context,
    decide_plan,
    deployment,
    restart,
    say,
    scale,
)
from tests.fakes.kube import FakeKube

KEY = Key(NS, PLAN)
APPROVE, REJECT = DecisionVerdict.APPROVE, DecisionVerdict.REJECT
OTHER = "sha256:" + "0" * 64


class Room:
    """The approval controller in a small world."""

    def __init__(self, *actions: Action, tier: Tier = Tier.HUMAN_APPROVAL, required: int = 1) -> None:
        self.clock = Clock()
        self.kube = FakeKube(self.clock)
        self.kube.add_raw(DEPLOYMENTS, deployment())
        add_incident(self.kube)
        self.plan = decide_plan(self.kube, add_plan(self.kube, *actions), tier=tier)
        if tier is Tier.HUMAN_APPROVAL:
            self.raw("approvals", PLAN)["spec"]["requiredApprovals"] = required
        self.controller = build(context(self.kube, self.clock))

    def run(self) -> Any:
        return self.controller.reconcile(KEY)

    @property
    def approval(self) -> Approval:
        return self.kube.get(Approval, NS, PLAN)

    @property
    def state(self) -> tuple[ApprovalState | None, str | None]:
        return self.approval.status.state, self.approval.status.reason

    @property
    def grants(self) -> set[str]:
        roles = {name for plural, _, name in self.kube.objects if plural == "roles"}
        bindings = {name for plural, _, name in self.kube.objects if plural == "rolebindings"}
        assert roles == bindings
        return roles

    def raw(self, plural: str, name: str) -> dict[str, Any]:
        return self.kube.objects[plural, NS, name]

    def execute(self, phase: ActionPhase, reason: str = "Started", action_phase: ActionPhase | None = None) -> None:
        actions = [] if phase is ActionPhase.REFUSED else [
            {
                "id": a.id, "actionId": action_id(self.plan.metadata.uid, a), "reason": "X",
                "phase": (action_phase or phase).value, "startedAt": "2026-01-02T03:05:00Z",
            }
            for a in self.plan.spec.actions
        ]  # fmt: skip
        execution = {"phase": phase.value, "reason": reason, "startedAt": "2026-01-02T03:05:00Z", "actions": actions}
        self.raw("actionplans", PLAN)["status"]["execution"] = execution


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


def change_image(room: Room) -> None:
    room.raw("deployments", "payments")["spec"]["template"]["spec"]["containers"][0]["image"] = "shop:v2"


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


def approved_room(*actions: Action) -> Room:
    room = Room(*actions)
    say(room.kube, "alice", APPROVE)
    room.run()
    return room


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
