"""S5: each action takes effect at most once, whatever crashes, replays, duplicates or splits."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.kube.resources import REPLICASETS
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actions import Action, Effect
from crds.v1alpha1.digest import action_id
from crds.v1alpha1.execution import ActionPhase
from tests.fakes.chain import NS, Clock, ready_plan, restart, scale
from tests.fakes.workloads import look, pause, restart_pod, restart_set, rollback, scale_set, settle
from tests.unit.controllers.execution.world import Killed, World, run

PLANS = {
    "restart": (restart(),),
    "scale": (scale(3),),
    "scale-then-restart": (scale(3), restart()),
    "restart-statefulset": (restart_set("StatefulSet"),),
    "restart-daemonset": (restart_set("DaemonSet"),),
    "scale-statefulset": (scale_set(4),),
    "rollback": (rollback(),),
    "pause": (pause(),),
    "restart-pod": (restart_pod(),),
    "run-job": (look(),),
    "look-then-restart": (look(), restart()),
    "pod-then-rollback": (restart_pod(), rollback()),
}


def calls_of_a_whole_run(actions: tuple[Action, ...]) -> int:
    clock = Clock()
    world = World(clock)
    ready_plan(world, *actions)
    finish(world, clock)
    return world.calls


def effects_of(plan: ActionPlan) -> list[str]:
    """What every action leaves behind, once: its id, or for a pod that goes, the pod's UID."""
    return [
        action.target.uid if action.effect is Effect.DELETE_POD else action_id(plan.metadata.uid, action)
        for action in plan.spec.actions
    ]


def finish(world: World, clock: Clock) -> None:
    """Processes come and go until the plan has ended; the rollout goes through meanwhile."""
    for _ in range(40):
        try:
            run(world, clock)
        except Killed:
            continue
        settle(world)
        clock.forward(1)
        execution = world.execution
        if execution is not None and execution.finished_at is not None:
            return
    raise AssertionError(f"not finished: {world.execution}")


CASES = [
    (name, call, before)
    for name, actions in PLANS.items()
    for call in range(1, calls_of_a_whole_run(actions) + 1)
    for before in (True, False)
]


@pytest.mark.parametrize(("name", "call", "before"), CASES)
def test_killed_at_any_call_takes_effect_exactly_once(name: str, call: int, before: bool) -> None:
    clock = Clock()
    world = World(clock)
    plan = ready_plan(world, *PLANS[name])
    world.kill_at, world.kill_before = call, before
    finish(world, clock)
    assert world.execution is not None
    assert world.execution.phase is ActionPhase.SUCCEEDED
    assert world.effects == effects_of(plan)


@pytest.mark.parametrize("name", PLANS)
def test_a_lost_answer_at_any_call_is_settled_by_looking(name: str) -> None:
    for call in range(1, calls_of_a_whole_run(PLANS[name]) + 1):
        clock = Clock()
        world = World(clock)
        plan = ready_plan(world, *PLANS[name])
        world.lose_answer_at = call
        finish(world, clock)
        assert world.execution is not None
        assert world.execution.phase is ActionPhase.SUCCEEDED, call
        assert world.effects == effects_of(plan), call


def test_replayed_after_the_end_writes_nothing() -> None:
    clock = Clock()
    world = World(clock)
    ready_plan(world)
    finish(world, clock)
    writes = list(world.writes)
    assert [run(world, clock) for _ in range(3)] == ["Done"] * 3
    assert world.writes == writes


def test_rolled_back_by_a_person_before_we_looked_is_not_done_again() -> None:
    """The annotation on the template is gone, but the ReplicaSet that our write made tells."""
    clock = Clock()
    world = World(clock)
    plan = ready_plan(world)
    run(world, clock)
    identity = action_id(plan.metadata.uid, restart())
    stored = world.objects["deployments", NS, "payments"]
    owner = {"uid": stored["metadata"]["uid"], "controller": True}
    template = stored["spec"]["template"]
    metadata = {"name": "payments-2", "namespace": NS, "ownerReferences": [owner]}
    world.add_raw(REPLICASETS, {"metadata": metadata, "spec": {"template": template}})
    stored["spec"]["template"] = {**template, "metadata": {"labels": {"app": "payments"}}}
    # The record of the write was lost with the process.
    execution = world.objects["actionplans", NS, plan.metadata.name]["status"]["execution"]
    execution["phase"] = execution["actions"][0]["phase"] = "Intent"
    run(world, clock)
    assert world.effects == [identity]
    assert world.execution is not None
    assert (world.execution.phase, world.execution.reason) == (ActionPhase.FAILED, "Overwritten")


@pytest.mark.parametrize("moment", range(1, 4))
def test_a_late_word_never_replaces_a_later_one(moment: int) -> None:
    """One executor hangs before it records; the other finishes meanwhile: what is recorded never goes back."""
    clock = Clock()
    world = World(clock)
    ready_plan(world)
    original, recorded = world.apply_status, []

    def hang(obj: Any, status: Any, **options: Any) -> Any:
        recorded.append(status)
        if len(recorded) == moment:
            finish(world, clock)
        return original(obj, status, **options)

    world.apply_status = hang  # type: ignore[method-assign]
    phases: list[str] = []
    touch = world._touch

    def note(stored: Any) -> None:
        phases.append(stored.get("status", {}).get("execution", {}).get("phase", ""))
        touch(stored)

    world._touch = note  # type: ignore[method-assign]
    finish(world, clock)
    order = ["", "Intent", "Written", "Succeeded"]
    seen = [phase for phase in phases if phase]
    assert seen == sorted(seen, key=order.index)
    assert seen[-1] == "Succeeded"
    assert len(world.effects) == 1


def test_two_executors_at_once_write_once() -> None:
    """Both looked at the same version; the second write meets a precondition that does not hold any more."""
    clock = Clock()
    world = World(clock)
    plan = ready_plan(world)
    original = world.patch_raw
    raced: list[bool] = []

    def race(*args: object, **options: object) -> object:
        if not options.get("dry_run") and not raced:
            raced.append(True)
            run(world, clock)  # the other one, to the end of its write
        return original(*args, **options)  # type: ignore[arg-type]

    world.patch_raw = race  # type: ignore[method-assign]
    finish(world, clock)
    assert world.effects == [action_id(plan.metadata.uid, restart())]
    assert world.execution is not None
    assert world.execution.phase is ActionPhase.SUCCEEDED
