"""What the executor refuses, waits for, and reports."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from controllers.execution.admission import AdmissionNotEnforced, await_objects, check_objects
from controllers.execution.handlers import build
from controllers.kube.errors import Invalid
from controllers.kube.resources import JOBS, MUTATING_POLICIES, MUTATING_WEBHOOKS, VALIDATING_POLICIES
from crds.v1alpha1.actionplan import ActionPhase, ActionPlan, Undo
from crds.v1alpha1.actionpolicy import Tier
from crds.v1alpha1.actions import RollbackParameters, ScaleParameters
from crds.v1alpha1.approval import ApprovalState, DecisionVerdict
from crds.v1alpha1.digest import RESTARTED_AT_ANNOTATION, action_id
from crds.v1alpha1.grants import job_name
from tests.fakes.chain import (
    NS,
    PLAN,
    PLATFORM,
    REQUESTER,
    Clock,
    add_plan,
    ready_plan,
    restart,
    roll_out,
    say,
    scale,
    set_approval,
)
from tests.fakes.workloads import OLD, end_jobs, job_template, look, rollback
from tests.unit.controllers.execution.world import Killed, World, make, run

Change = Callable[[World, Clock], Any]


def prepared(*actions: Any) -> tuple[World, Clock]:
    clock = Clock()
    world = World(clock)
    ready_plan(world, *actions)
    return world, clock


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


def stored(world: World, plural: str = "deployments", name: str = "payments") -> dict[str, Any]:
    return world.objects[plural, NS, name]


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


def reject_late(world: World, clock: Clock) -> None:
    say(world, "bob", DecisionVerdict.REJECT)


def change_image(world: World, clock: Clock) -> None:
    stored(world)["spec"]["template"]["spec"]["containers"][0]["image"] = "shop:v2"


def recreate(world: World, clock: Clock) -> None:
    stored(world)["metadata"]["uid"] = "another"


def delete_target(world: World, clock: Clock) -> None:
    del world.objects["deployments", NS, "payments"]


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
