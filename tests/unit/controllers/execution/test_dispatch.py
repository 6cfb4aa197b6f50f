"""What the executor refuses and waits for before it writes."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.execution.admission import AdmissionNotEnforced, await_objects, check_objects
from controllers.execution.handlers import build
from controllers.kube.errors import Invalid
from controllers.kube.resources import MUTATING_POLICIES, MUTATING_WEBHOOKS, VALIDATING_POLICIES
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actionpolicy import Tier
from crds.v1alpha1.approval import ApprovalState, DecisionVerdict
from crds.v1alpha1.execution import ActionPhase
from tests.fakes.chain import (
    NS,
    PLAN,
    PLATFORM,
    REQUESTER,
    Clock,
    add_plan,
    say,
    set_approval,
)
from tests.unit.controllers.execution.world import (
    Change,
    Killed,
    World,
    change_image,
    delete_target,
    make,
    prepared,
    run,
    stored,
)


def reject_late(world: World, clock: Clock) -> None:
    say(world, "bob", DecisionVerdict.REJECT)


def recreate(world: World, clock: Clock) -> None:
    stored(world)["metadata"]["uid"] = "another"


def expire(world: World, clock: Clock) -> None:
    clock.forward(1801)


def forge_digest(world: World, clock: Clock) -> None:
    stored(world, "approvals", PLAN)["spec"]["planDigest"] = "sha256:" + "0" * 64


def only_the_requester(world: World, clock: Clock) -> None:
    stored(world, "approvals", PLAN)["spec"]["decisions"] = []
    say(world, REQUESTER, DecisionVerdict.APPROVE)


def for_another_digest(world: World, clock: Clock) -> None:
    stored(world, "approvals", PLAN)["spec"]["decisions"] = []
    say(world, "alice", DecisionVerdict.APPROVE, digest="sha256:" + "0" * 64)


def tighten(world: World, clock: Clock) -> None:
    stored(world, "actionplans", PLAN)["status"]["decision"]["tier"] = Tier.FORBIDDEN.value


def ask_two(world: World, clock: Clock) -> None:
    stored(world, "actionplans", PLAN)["status"]["decision"]["requiredApprovals"] = 2


def supersede(world: World, clock: Clock) -> None:
    add_plan(world, name="newer", supersedes=world.get(ActionPlan, NS, PLAN))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (reject_late, "Rejected"),
        (change_image, "TargetChanged"),
        (recreate, "TargetChanged"),
        (delete_target, "TargetGone"),
        (expire, "ApprovalExpired"),
        (forge_digest, "PlanChanged"),
        (only_the_requester, "ApprovalVoid"),
        (for_another_digest, "ApprovalVoid"),
        (tighten, "PolicyChanged"),
        (ask_two, "PolicyChanged"),
        (supersede, "Superseded"),
    ],
)
def test_s3_s4_refused_at_dispatch(change: Change, reason: str) -> None:
    """The approval controller said Approved a moment ago; what is true now decides."""
    world, clock = prepared()
    change(world, clock)
    assert run(world, clock) == "Done"
    assert world.execution is not None
    assert (world.execution.phase, world.execution.reason) == (ActionPhase.REFUSED, reason)
    assert world.effects == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (reject_late, "Rejected"),
        (change_image, "TargetChanged"),
        (delete_target, "TargetGone"),
        (expire, "ApprovalExpired"),
    ],
)
def test_s4_refused_between_intent_and_write(change: Change, reason: str) -> None:
    world, clock = prepared()
    world.kill_at, world.kill_before = world.calls + 3, False  # probe, dry run, intent
    with pytest.raises(Killed):
        run(world, clock)
    assert world.execution is not None
    assert world.execution.phase is ActionPhase.INTENT
    change(world, clock)
    run(world, clock)
    assert (world.execution.phase, world.execution.reason) == (ActionPhase.REFUSED, reason)
    assert world.effects == []


@pytest.mark.parametrize(
    "state", [None, ApprovalState.PENDING, ApprovalState.REJECTED, ApprovalState.EXPIRED, ApprovalState.VOID]
)
def test_s3_nothing_begins_without_an_approval(state: ApprovalState | None) -> None:
    world, clock = prepared()
    if state is None:
        del stored(world, "approvals", PLAN)["status"]
    else:
        set_approval(world, state)
    assert run(world, clock) == "Done"
    assert world.execution is None
    assert world.effects == []


def stop(world: World, why: str) -> None:
    world.objects["namespaces", "", PLATFORM]["metadata"]["annotations"] = {"iirp.io/emergency-stop": why}


@pytest.mark.parametrize("why", ["game day", ""])
def test_s10_emergency_stop_holds_and_lets_go(why: str) -> None:
    world, clock = prepared()
    stop(world, why)
    assert run(world, clock) == "EmergencyStop"
    assert world.effects == []
    del world.objects["namespaces", "", PLATFORM]["metadata"]["annotations"]
    run(world, clock)
    assert len(world.effects) == 1


def test_waits_for_a_grant_that_rbac_has_not_seen_yet() -> None:
    world, clock = prepared()
    world.granted = False
    assert run(world, clock) == "GrantPending"
    assert world.execution is None
    world.granted = True
    run(world, clock)
    assert len(world.effects) == 1


def test_a_namespace_that_does_not_opt_in_is_said_so() -> None:
    world, clock = prepared()
    world.opted_in = False
    assert run(world, clock) == "NotOptedIn"
    assert world.execution is None


def test_a_dry_run_that_the_api_server_rejects_ends_the_plan() -> None:
    world, clock = prepared()
    original = world.patch_raw

    def reject(*args: Any, **options: Any) -> Any:
        answer = original(*args, **options)
        raise Invalid("Invalid", f"spec.template is wrong {len(answer)} " + "x" * 2000)

    world.patch_raw = reject  # type: ignore[method-assign]
    assert run(world, clock) == "Done"
    assert world.execution is not None
    assert (world.execution.phase, world.execution.reason) == (ActionPhase.REFUSED, "DryRunRejected")
    assert world.effects == []


def test_s2_without_admission_policies_nothing_is_written() -> None:
    world, clock = prepared()
    world.enforced = False
    assert run(world, clock) == "AdmissionNotEnforced"
    assert world.effects == []
    assert world.execution is None


@pytest.mark.parametrize("flaw", ["missing", "lax", "unbound"])
def test_refuses_to_start_where_the_api_server_would_not_hold_it_back(flaw: str) -> None:
    world = World(Clock())
    name = "iirp-executor"
    if flaw == "missing":
        del world.objects[VALIDATING_POLICIES.plural, "", name]
    elif flaw == "lax":
        world.objects[VALIDATING_POLICIES.plural, "", name]["spec"]["failurePolicy"] = "Ignore"
    else:
        world.objects["validatingadmissionpolicybindings", "", name]["spec"]["validationActions"] = ["Warn"]
    seconds = iter(range(100))
    with pytest.raises(AdmissionNotEnforced, match=r"AdmissionNotEnforced: .*iirp-executor"):
        await_objects(world, 20.0, clock=lambda: next(seconds), sleep=lambda _: None)
    assert next(seconds) == 21


HOOK: dict[str, Any] = {
    "failurePolicy": "Fail",
    "clientConfig": {"caBundle": "Q0E="},
    "rules": [{"apiGroups": ["iirp.io"], "operations": ["UPDATE"], "resources": ["approvals"]}],
}


@pytest.mark.parametrize(
    ("hooks", "problem"),
    [
        ([HOOK], ""),
        (None, "MutatingWebhookConfiguration iirp-decisions does not exist"),
        ([], "does not see updates of approvals"),
        ([HOOK | {"rules": []}], "does not see updates of approvals"),
        ([HOOK | {"failurePolicy": "Ignore"}], "must be Fail"),
        ([HOOK | {"clientConfig": {}}], "no caBundle yet"),
    ],
)
def test_before_1_36_the_webhook_must_be_in_force_instead(hooks: Any, problem: str) -> None:
    world = World(Clock())
    del world.objects[MUTATING_POLICIES.plural, "", "iirp-decisions"]
    if hooks is not None:
        world.add_raw(MUTATING_WEBHOOKS, {"metadata": {"name": "iirp-decisions"}, "webhooks": hooks})
    if not problem:
        check_objects(world)
        return
    with pytest.raises(AdmissionNotEnforced, match="MutatingAdmissionPolicy iirp-decisions.*, and .*" + problem):
        check_objects(world)


def test_starts_when_the_policies_come_a_moment_later() -> None:
    world = World(Clock())
    late = world.objects.pop((VALIDATING_POLICIES.plural, "", "iirp-grants"))

    def install(_: float) -> None:
        world.objects[VALIDATING_POLICIES.plural, "", "iirp-grants"] = late

    await_objects(world, 20.0, clock=lambda: 0.0, sleep=install)
    assert build(make(world, Clock())).name == "execution"
