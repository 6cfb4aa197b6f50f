"""What the executor carries out, one after the other, and what it reports."""

from __future__ import annotations

import pytest

from crds.v1alpha1.actions import RollbackParameters, ScaleParameters
from crds.v1alpha1.approval import ApprovalState
from crds.v1alpha1.digest import RESTARTED_AT_ANNOTATION, action_id
from crds.v1alpha1.execution import ActionPhase, Undo
from tests.fakes.chain import (
    NS,
    PLAN,
    Clock,
    add_plan,
    ready_plan,
    restart,
    roll_out,
    scale,
    set_approval,
)
from tests.fakes.workloads import OLD, rollback
from tests.unit.controllers.execution.world import Change, World, change_image, delete_target, prepared, run, stored


def test_a_restart_from_approval_to_the_end() -> None:
    world, clock = prepared()
    assert run(world, clock) == "Requeue"
    annotations = stored(world)["spec"]["template"]["metadata"]["annotations"]
    assert annotations[RESTARTED_AT_ANNOTATION] == "2026-01-02T03:04:05Z"
    assert world.execution is not None
    assert world.execution.phase is ActionPhase.WRITTEN
    clock.forward(9)
    roll_out(world)
    assert run(world, clock) == "Done"
    execution = world.execution
    assert (execution.phase, execution.reason) == (ActionPhase.SUCCEEDED, "RolledOut")
    assert execution.actions[0].before == "revision 7, 2/2 available"
    assert execution.actions[0].finished_at == execution.finished_at == clock.now


def test_a_scale_changes_the_replicas_and_nothing_else() -> None:
    world, clock = prepared(scale(3))
    before = stored(world)["spec"]["template"]
    run(world, clock)
    assert stored(world)["spec"]["replicas"] == 3
    assert stored(world)["spec"]["template"] == before


def test_a_scale_and_a_rollback_say_how_to_take_them_back() -> None:
    world, clock = prepared(scale(5))
    run(world, clock)
    assert world.execution is not None
    assert world.execution.actions[0].undo == Undo(scale=ScaleParameters(replicas=2))
    world, clock = prepared(rollback())
    run(world, clock)
    assert world.execution is not None
    present = RollbackParameters(replica_set="payments-7d9e", revision=7)
    assert world.execution.actions[0].undo == Undo(rollback=present)
    world, clock = prepared(restart())
    run(world, clock)
    assert world.execution is not None
    assert world.execution.actions[0].undo is None, "the template is the same; there is nothing to go back to"


@pytest.mark.parametrize("text", ["", "0", "\u00b2", "9" * 40])
def test_a_rollback_from_a_revision_without_a_number_is_carried_out_and_cannot_be_taken_back(text: str) -> None:
    world, clock = prepared(rollback())
    for (plural, _, _), body in world.objects.items():
        if plural in ("deployments", "replicasets") and body["metadata"]["name"] != OLD:
            body["metadata"].setdefault("annotations", {})["deployment.kubernetes.io/revision"] = text
    run(world, clock)
    assert world.execution is not None
    assert world.execution.phase is ActionPhase.WRITTEN
    assert world.execution.actions[0].undo is None


def test_one_plan_at_a_time_on_a_target() -> None:
    world, clock = prepared()
    second = ready_plan(world, restart(), name="second")
    world.objects["actionplans", NS, "second"]["status"]["execution"] = {
        "phase": "Written", "reason": "Written", "startedAt": "2026-01-02T03:04:00Z", "actions": [],
    }  # fmt: skip
    assert second.metadata.name == "second"
    assert run(world, clock) == "TargetBusy"
    assert world.effects == []


@pytest.mark.parametrize(("alone", "outcome"), [(True, "TargetBusy"), (False, "Requeue")])
def test_one_workload_at_a_time_where_policy_says_so(alone: bool, outcome: str) -> None:
    world, clock = prepared()
    add_plan(world, restart("cart"), name="cart")
    world.objects["actionplans", NS, "cart"]["status"] = {
        "execution": {"phase": "Written", "reason": "Written", "startedAt": "2026-01-02T03:04:00Z", "actions": []}
    }
    world.objects["actionplans", NS, PLAN]["status"]["decision"]["oneAtATime"] = alone
    assert run(world, clock) == outcome
    assert bool(world.effects) is not alone


def overwrite(world: World, clock: Clock) -> None:
    stored(world)["spec"]["template"]["metadata"]["annotations"]["iirp.io/action-id"] = "act-ffffffffffffffff"


def stall(world: World, clock: Clock) -> None:
    condition = {
        "type": "Progressing",
        "status": "False",
        "reason": "ProgressDeadlineExceeded",
        "message": "no progress",
    }
    stored(world)["status"]["conditions"] = [condition]


def time_out(world: World, clock: Clock) -> None:
    clock.forward(601)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (overwrite, "Overwritten"),
        (stall, "RolloutStalled"),
        (time_out, "RolloutTimeout"),
        (delete_target, "TargetGone"),
    ],
)
def test_a_rollout_that_does_not_go_through_fails_the_plan(change: Change, reason: str) -> None:
    world, clock = prepared()
    run(world, clock)
    change(world, clock)
    assert run(world, clock) == "Done"
    assert world.execution is not None
    assert (world.execution.phase, world.execution.reason) == (ActionPhase.FAILED, reason)


def test_an_expired_approval_does_not_end_a_rollout_that_runs() -> None:
    world, clock = prepared()
    run(world, clock)
    set_approval(world, ApprovalState.USED)
    clock.forward(590)
    roll_out(world)
    run(world, clock)
    assert world.execution is not None
    assert world.execution.phase is ActionPhase.SUCCEEDED


def test_the_second_action_is_refused_after_the_first_was_done() -> None:
    """Partly done is Failed, not Refused: something was changed."""
    world, clock = prepared(scale(3), restart())
    run(world, clock)
    change_image(world, clock)
    roll_out(world)
    run(world, clock)
    execution = world.execution
    assert execution is not None
    assert execution.phase is ActionPhase.FAILED
    assert [r.phase for r in execution.actions] == [ActionPhase.SUCCEEDED, ActionPhase.REFUSED]
    assert len(world.effects) == 1


def test_intents_carry_the_action_ids_that_the_grants_spell() -> None:
    world, clock = prepared(scale(3), restart())
    plan_uid = stored(world, "actionplans", PLAN)["metadata"]["uid"]
    run(world, clock)
    assert world.execution is not None
    assert [r.action_id for r in world.execution.actions] == [
        action_id(plan_uid, scale(3)),
        action_id(plan_uid, restart()),
    ]
