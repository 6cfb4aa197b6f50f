"""Diagnostic Jobs: the reviewed pod, once, and its last words."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from controllers.kube.resources import JOBS
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.digest import action_id
from crds.v1alpha1.execution import ActionPhase
from crds.v1alpha1.grants import job_name
from tests.fakes.chain import (
    NS,
    PLAN,
    PLATFORM,
    Clock,
)
from tests.fakes.workloads import end_jobs, job_template, look
from tests.unit.controllers.execution.world import Change, Killed, World, prepared, run, stored


def calls_to_intent(world: World, clock: Clock) -> int:
    """Number of the call that would write, counted on a world of its own."""
    other, _ = prepared(look())
    seen: list[int] = []
    original = other.create_raw

    def note(*args: Any, **options: Any) -> Any:
        if not options.get("dry_run"):
            seen.append(other.calls + 1)
        return original(*args, **options)

    other.create_raw = note  # type: ignore[method-assign]
    run(other, clock)
    return seen[0]


def test_a_diagnostic_job_is_the_reviewed_pod_on_the_one_claim_and_its_words_are_kept() -> None:
    world, clock = prepared(look())
    before = copy.deepcopy(stored(world))
    assert run(world, clock) == "Requeue"
    ((_, _, name),) = [key for key in world.objects if key[0] == "jobs"]
    assert world.execution is not None
    assert name == f"iirp-job-{world.execution.actions[0].action_id}"
    spec = stored(world, "jobs", name)["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (0, 300, 86400)
    reviewed = job_template()["template"]["spec"]
    assert {**spec["template"]["spec"], "volumes": reviewed["volumes"]} == reviewed
    (volume,) = spec["template"]["spec"]["volumes"]
    assert volume["persistentVolumeClaim"] == {"claimName": "journal", "readOnly": True}
    assert stored(world) == before, "the workload that it looks into stays as it is"
    end_jobs(world, said="9.0 MiB  orders/\n" + "x" * 5000)
    assert run(world, clock) == "Done"
    (result,) = world.execution.actions
    assert (world.execution.phase, result.reason, result.after) == (ActionPhase.SUCCEEDED, "Ran", "job Complete")
    assert result.output.startswith("9.0 MiB  orders/\n")
    assert len(result.output) == 4096


def test_a_diagnostic_job_that_fails_says_why() -> None:
    world, clock = prepared(look())
    run(world, clock)
    end_jobs(world, outcome="Failed")
    assert run(world, clock) == "Done"
    assert world.execution is not None
    assert (world.execution.phase, world.execution.reason) == (ActionPhase.FAILED, "JobFailed")
    assert "DeadlineExceeded" in world.execution.message


def test_words_of_a_pod_that_the_job_did_not_make_are_nobodys() -> None:
    world, clock = prepared(look())
    run(world, clock)
    end_jobs(world)
    (pod,) = [body for (plural, _, name), body in world.objects.items() if plural == "pods" and "iirp-job" in name]
    pod["metadata"]["ownerReferences"][0]["uid"] = "another"
    run(world, clock)
    assert world.execution is not None
    assert world.execution.actions[0].output == ""


def change_the_reviewed_pod(world: World, clock: Clock) -> None:
    world.objects["podtemplates", PLATFORM, "iirp-job-disk-usage"]["template"]["spec"]["hostNetwork"] = True


def take_its_name(world: World, clock: Clock) -> None:
    plan = world.get(ActionPlan, NS, PLAN)
    world.add_raw(JOBS, {"metadata": {"name": job_name(action_id(plan.metadata.uid, look())), "namespace": NS}})


@pytest.mark.parametrize("change", [change_the_reviewed_pod, take_its_name])
def test_a_diagnostic_job_that_is_not_what_was_approved_does_not_run(change: Change) -> None:
    world, clock = prepared(look())
    if change is take_its_name:
        world.kill_at, world.kill_before = calls_to_intent(world, clock), True
        with pytest.raises(Killed):
            run(world, clock)
    change(world, clock)
    run(world, clock)
    assert world.execution is not None
    assert (world.execution.phase, world.execution.reason) == (ActionPhase.REFUSED, "TargetChanged")
    assert world.effects == []
