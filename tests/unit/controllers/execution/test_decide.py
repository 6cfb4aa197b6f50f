"""What the executor writes down at each turn, to the word: people and the incident read it, and replay compares it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from controllers.execution.decide import (
    Nothing,
    Observed,
    Record,
    Wait,
    Write,
    decide,
)
from controllers.execution.record import failed, never_begun, refused, written
from controllers.execution.target import Live
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actions import ScaleParameters
from crds.v1alpha1.approval import Approval, ApprovalState
from crds.v1alpha1.execution import ActionPhase, ActionResult, ExecutionStatus, Undo
from tests.fakes.chain import NS, PLAN, PLATFORM, START, Clock, ready_plan, restart, scale
from tests.unit.controllers.execution.world import World

LATER = START + timedelta(seconds=30)
TIMEOUT = timedelta(seconds=600)
UNDO = Undo(scale=ScaleParameters(replicas=2))
DIGEST = "sha256:" + "a" * 64


def result(name: str, phase: ActionPhase, **rest: Any) -> ActionResult:
    return ActionResult(
        id=name, action_id=f"act-{name}", phase=phase, reason="Started", started_at=START, target_digest=DIGEST,
        before="revision 7, 2/2 available", undo=UNDO, **rest,
    )  # fmt: skip


def status(*results: ActionResult, phase: ActionPhase = ActionPhase.WRITTEN) -> ExecutionStatus:
    return ExecutionStatus(phase=phase, reason="Started", actions=list(results), started_at=START)


ONE, TWO = result("scale", ActionPhase.INTENT), result("restart", ActionPhase.INTENT)
DONE = result("scale", ActionPhase.SUCCEEDED, finished_at=START)


def test_what_failed_says_so_twice_for_the_action_and_for_the_plan() -> None:
    known = ONE.model_dump() | {
        "phase": ActionPhase.FAILED, "reason": "RolloutStalled", "message": "no image", "finished_at": LATER,
    }  # fmt: skip
    assert failed(status(ONE), ONE, "RolloutStalled", "no image", LATER) == ExecutionStatus(
        phase=ActionPhase.FAILED, reason="RolloutStalled", message="no image", started_at=START, finished_at=LATER,
        actions=[ActionResult(**known)],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "phase"),
    [
        ((ONE, TWO), ActionPhase.REFUSED),
        ((TWO, ONE), ActionPhase.REFUSED),
        ((DONE.model_copy(update={"id": "first"}), ONE, TWO), ActionPhase.FAILED),
    ],
    ids=["the first", "the second, the first not written", "after one that was written"],
)
def test_what_was_refused_is_a_failure_only_after_a_write(before: tuple[ActionResult, ...], phase: ActionPhase) -> None:
    said = refused(status(*before), ONE, "TargetChanged", "not what was approved", LATER)
    assert (said.phase, said.reason, said.message) == (phase, "TargetChanged", "not what was approved")
    assert (said.started_at, said.finished_at) == (START, LATER)
    (mine,) = [found for found in said.actions if found.id == ONE.id]
    update = {"reason": "TargetChanged", "message": "not what was approved", "finished_at": LATER}
    assert mine == ONE.model_copy(update={"phase": ActionPhase.REFUSED, **update})
    assert [found for found in said.actions if found.id != ONE.id] == [found for found in before if found != ONE]


def test_a_long_message_is_cut_and_never_loses_the_record() -> None:
    long, first = replace(LIVE, summary="m" * 5000, output="m" * 9000), result("scale", ActionPhase.WRITTEN)
    through = said_by(decide(observed(status(first, TWO), long), LATER))
    ActionResult.model_validate(through.actions[0].model_dump())
    for said in (failed(status(ONE), ONE, "X", "m" * 5000, LATER), refused(status(ONE), ONE, "X", "m" * 5000, LATER)):
        assert len(said.message) == len(said.actions[0].message) == 1024
        assert said.message.endswith("…")


def test_what_never_began_has_no_results_and_has_ended() -> None:
    assert never_begun("TargetGone", "deploy/payments does not exist", LATER) == ExecutionStatus(
        phase=ActionPhase.REFUSED, reason="TargetGone", message="deploy/payments does not exist", actions=[],
        started_at=LATER, finished_at=LATER,
    )  # fmt: skip


def test_what_is_written_is_watched() -> None:
    said = written(status(ONE, TWO, phase=ActionPhase.INTENT), ONE, LATER)
    update = {"phase": ActionPhase.WRITTEN, "reason": "Written", "message": "", "written_at": LATER}
    assert said == ExecutionStatus(
        phase=ActionPhase.WRITTEN, reason="RollingOut", message="written; waiting for the rollout", started_at=START,
        actions=[ONE.model_copy(update=update), TWO],
    )  # fmt: skip


LIVE = Live(
    uid=restart().target.uid, resource_version="1", digest=DIGEST, applied=True, in_force=True, complete=True,
    stalled="", summary="revision 8, 2/2 available",
)  # fmt: skip


def observed(execution: ExecutionStatus | None, live: Live | None = LIVE, **rest: Any) -> Observed:
    """A plan of a scale and a restart that alice approved."""
    world = World(Clock())
    ready_plan(world, scale(3), restart())
    plan = world.get(ActionPlan, NS, PLAN)
    approval = world.get(Approval, NS, PLAN)
    given = plan.model_copy(update={"status": plan.status.model_copy(update={"execution": execution})})
    looked = {"scale": live, "restart": live}
    return Observed(
        plan=given, approval=approval, live=looked, live_digest=approval.spec.plan_digest,
        platform_namespace=PLATFORM, rollout_timeout=TIMEOUT, **rest,
    )  # fmt: skip


def said_by(step: Any) -> ExecutionStatus:
    assert isinstance(step, Record)
    return step.status


def test_one_of_two_that_is_through_leaves_the_plan_running() -> None:
    first = result("scale", ActionPhase.WRITTEN)
    said = said_by(decide(observed(status(first, TWO)), LATER))
    update = {
        "phase": ActionPhase.SUCCEEDED, "reason": "RolledOut", "message": LIVE.summary, "after": LIVE.summary,
        "finished_at": LATER,
    }  # fmt: skip
    assert said == ExecutionStatus(
        phase=ActionPhase.INTENT, reason="Started", message="1 more to do", started_at=START,
        actions=[first.model_copy(update=update), TWO],
    )  # fmt: skip


def test_the_last_one_that_is_through_ends_the_plan() -> None:
    second = result("restart", ActionPhase.WRITTEN)
    said = said_by(decide(observed(status(DONE, second)), LATER))
    assert (said.phase, said.reason, said.message) == (ActionPhase.SUCCEEDED, "RolledOut", f"done: {LIVE.summary}")
    assert (said.finished_at, said.actions[1].finished_at, said.actions[1].after) == (LATER, LATER, LIVE.summary)
    assert said.actions[0] == DONE


def test_a_record_in_which_all_is_done_is_closed() -> None:
    """Cannot come of our own writes; a plan that ran for ever would hold its target."""
    both = status(DONE, DONE.model_copy(update={"id": "restart"}))
    said = said_by(decide(observed(both), LATER))
    update = {"reason": "Succeeded", "message": "all actions are done", "finished_at": LATER}
    assert said == both.model_copy(update={"phase": ActionPhase.SUCCEEDED, **update})


@pytest.mark.parametrize("phase", [ActionPhase.FAILED, ActionPhase.REFUSED])
def test_a_record_that_runs_although_an_action_ended_otherwise_is_no_success(phase: ActionPhase) -> None:
    odd = DONE.model_copy(update={"id": "restart", "phase": phase})
    said = said_by(decide(observed(status(DONE, odd)), LATER))
    message = f"the plan was under way, but restart is {phase}: look at the targets"
    assert (said.phase, said.reason, said.message) == (ActionPhase.FAILED, "RecordUnclear", message)
    assert (said.actions, said.finished_at) == ([DONE, odd], LATER)


WATCHED = status(result("scale", ActionPhase.WRITTEN), TWO)
UNFINISHED = replace(LIVE, complete=False, summary="revision 8, 1/2 available")


@pytest.mark.parametrize(
    ("live", "after", "reason", "message"),
    [
        (UNFINISHED, 601, "RolloutTimeout", "no complete rollout within 600 s: revision 8, 1/2 available"),
        (replace(UNFINISHED, stalled="no progress"), 1, "RolloutStalled", "no progress"),
        (None, 1, "TargetGone", "the target was deleted during the rollout"),
        (
            replace(LIVE, in_force=False), 1, "Overwritten",
            "somebody changed what this action had set; now revision 8, 2/2 available",
        ),
    ],
    ids=["too long", "stalled", "gone", "overwritten"],
)  # fmt: skip
def test_how_a_rollout_fails(live: Live | None, after: float, reason: str, message: str) -> None:
    said = said_by(decide(observed(WATCHED, live), START + timedelta(seconds=after)))
    assert (said.phase, said.reason, said.message) == (ActionPhase.FAILED, reason, message)


@pytest.mark.parametrize("written_at", [START, START + timedelta(hours=1)], ids=["at once", "after a long hold"])
def test_a_rollout_is_given_all_of_its_time(written_at: datetime) -> None:
    watched = status(result("scale", ActionPhase.WRITTEN, written_at=written_at), TWO)
    step = decide(observed(watched, UNFINISHED), written_at + TIMEOUT)
    assert step == Wait("RollingOut", 1.0, UNFINISHED.summary)
    late = decide(observed(watched, UNFINISHED), written_at + TIMEOUT + timedelta(seconds=1))
    assert said_by(late).reason == "RolloutTimeout"


UNWRITTEN = replace(LIVE, applied=False, in_force=False)
INTENT = status(ONE, TWO, phase=ActionPhase.INTENT)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"emergency_stop": "drill"}, Wait("EmergencyStop", 5.0, "all actions are stopped: drill")),
        (
            {"blocked_by": "other-1"},
            Wait("TargetBusy", 2.0, "plan other-1 is being carried out on the same target"),
        ),
    ],
    ids=["stopped", "busy"],
)
@pytest.mark.parametrize("execution", [None, INTENT], ids=["before it begins", "before it writes"])
def test_what_holds_it_back(execution: ExecutionStatus | None, changes: dict[str, Any], wanted: Wait) -> None:
    assert decide(observed(execution, UNWRITTEN, **changes), START) == wanted


@pytest.mark.parametrize(
    ("change", "reason", "message"),
    [
        ({"live": {"scale": None}}, "TargetGone", "deploy/payments is gone"),
        (
            {"live": {"scale": replace(UNWRITTEN, digest="sha256:" + "b" * 64)}}, "TargetChanged",
            "deploy/payments is not what was approved any more",
        ),
        (
            {"live": {"scale": replace(UNWRITTEN, uid="another")}}, "TargetChanged",
            "deploy/payments is not what was approved any more",
        ),
        ({"approval": None}, "ApprovalVoid", "the approval is deleted"),
        ({"undone": {"scale": "hpa/payments sets it"}}, "WouldBeReverted", "hpa/payments sets it"),
    ],
    ids=["gone", "changed", "another", "no approval", "undone"],
)  # fmt: skip
def test_what_keeps_it_from_writing(change: dict[str, Any], reason: str, message: str) -> None:
    seen = replace(observed(INTENT, UNWRITTEN), **change)
    said = said_by(decide(seen, START))
    assert (said.phase, said.reason, said.message) == (ActionPhase.REFUSED, reason, message)


@pytest.mark.parametrize(
    ("seconds", "runs"), [(1799, True), (1800, False)], ids=["the last second", "the moment it expires"]
)
def test_an_approval_ends_at_the_moment_that_it_names(seconds: float, runs: bool) -> None:
    step = decide(observed(INTENT, UNWRITTEN), START + timedelta(seconds=seconds))
    assert isinstance(step, Write) is runs
    if isinstance(step, Record):
        assert (step.status.reason, step.status.message) == (
            "ApprovalExpired", "expired at 03:34:05Z before anything was written",
        )  # fmt: skip


@pytest.mark.parametrize("state", [ApprovalState.APPROVED, ApprovalState.USED])
def test_the_write_is_for_the_version_that_was_looked_at(state: ApprovalState) -> None:
    seen = observed(INTENT, UNWRITTEN)
    assert seen.approval is not None
    given = seen.approval.model_copy(update={"status": seen.approval.status.model_copy(update={"state": state})})
    assert decide(replace(seen, approval=given), START) == Write(seen.plan.spec.actions[0], ONE, UNWRITTEN)


def test_what_has_ended_is_left_alone() -> None:
    for phase in (ActionPhase.SUCCEEDED, ActionPhase.FAILED, ActionPhase.REFUSED):
        assert decide(observed(status(DONE, phase=phase)), LATER) == Nothing()
