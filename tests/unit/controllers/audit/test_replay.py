"""A whole story is recorded by the real reconcilers, and each decision comes out the same from the log alone."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from analysis.contract import MeasuredChange, VerifyResponse
from controllers.approval.reconcile import ApprovalReconciler
from controllers.audit.chain import read, verify
from controllers.audit.log import FileAudit
from controllers.audit.replay import of_incident, replay
from controllers.execution.reconcile import ExecutionReconciler
from controllers.feedback.reconcile import FeedbackReconciler
from controllers.kube.resources import DEPLOYMENTS
from controllers.policy.reconcile import PlanReconciler
from controllers.runtime.controller import Context
from crds.v1alpha1.actionplan import ActionPlan, PlanState
from crds.v1alpha1.actions import Action
from crds.v1alpha1.approval import DecisionVerdict
from crds.v1alpha1.verification import Verdict
from tests.fakes.analysis import FakeAnalysis
from tests.fakes.chain import (
    INCIDENT,
    NS,
    PLAN,
    Clock,
    add_incident,
    add_plan,
    add_policy,
    context,
    deployment,
    plan_spec,
    restart,
    rule,
    say,
)
from tests.fakes.workloads import OLD, look, mount, pause, restart_pod, restart_set, rollback, scale_set, settle
from tests.unit.controllers.execution.world import KEY, World


class Story:
    """From an undecided plan to its verdict, each controller with a log of its own."""

    def __init__(self, directory: Path, *actions: Action) -> None:
        self.directory = directory
        self.clock = Clock()
        self.kube = World(self.clock)
        self.kube.add_raw(DEPLOYMENTS, deployment())
        add_incident(self.kube)
        add_plan(self.kube, *actions)
        conditions = [
            {"name": "sure", "expression": "plan.spec.confidencePercent > 50 && incident.spec.predicted == false"}
        ]
        match = {"conditions": conditions, "windows": [{"days": ["Fri"], "timeZone": "Europe/Berlin"}]}
        add_policy(self.kube, rule("AutoLowRisk", "auto", match=match), rule(approvers=["alice", "bob"]))
        self.analysis = FakeAnalysis()
        self.audits = {name: FileAudit(directory, name) for name in ("policy", "approval", "execution", "feedback")}

    def room(self, name: str, **settings: Any) -> Context:
        made = context(self.kube, self.clock, self.analysis, **settings)
        return dataclasses.replace(made, audit=self.audits[name])

    def tell(self) -> None:
        policy, approval = PlanReconciler(self.room("policy")), ApprovalReconciler(self.room("approval"))
        execution = ExecutionReconciler(self.room("execution"))
        policy.reconcile(KEY)
        approval.reconcile(KEY)
        say(self.kube, "alice", DecisionVerdict.APPROVE, reason="seen in staging")
        self.clock.forward(20)
        approval.reconcile(KEY)
        self.clock.forward(4)  # a rollback's grant takes effect only then
        for controller in (approval, policy, execution):
            controller.reconcile(KEY)
        settle(self.kube)
        self.clock.forward(2)
        for controller in (execution, approval, policy):
            controller.reconcile(KEY)
        self.clock.forward(400)
        FeedbackReconciler(self.room("feedback")).reconcile(KEY)
        policy.reconcile(KEY)

    def records(self) -> list[dict[str, Any]]:
        found = []
        for audit in self.audits.values():
            lines = audit.path.read_bytes().splitlines(keepends=True)
            assert verify(lines, [audit.head]).whole
            found += [read(line) for line in lines]
        return found


def answer(verdict: Verdict | None = Verdict.EFFECTIVE, after: float = 0.0) -> VerifyResponse:
    change = MeasuredChange(name="slope", query="deriv(x[5m])", unit="B/s", before=53000.5, after=after)
    return VerifyResponse(verdict=verdict, reason="SlopeGone", message="flat", measurements=(change,))


NEW = [restart_set("StatefulSet"), restart_set("DaemonSet"), scale_set(4), rollback(), pause(), restart_pod(), look()]


@pytest.mark.parametrize("action", NEW, ids=lambda action: action.type.value)
def test_s8_every_type_of_action_replays_and_no_template_is_kept(tmp_path: Path, action: Action) -> None:
    told = Story(tmp_path, action)
    told.analysis.on_verify = lambda _: answer()
    told.kube.objects["replicasets", NS, OLD]["spec"]["template"]["spec"]["containers"][0]["args"] = ["hidden-word"]
    if action.job is not None:
        mount(told.kube)
    told.tell()
    # A look repairs nothing, so nobody can say that it helped.
    wanted = PlanState.INCONCLUSIVE if action.job is not None else PlanState.VERIFIED
    assert told.kube.get(ActionPlan, NS, PLAN).status.state is wanted
    records = of_incident(told.records(), INCIDENT)
    assert [item for item in replay(records) if not item.same] == []
    assert "hidden-word" not in json.dumps(records), "what a template holds is nobody's business"


def test_s8_a_verdict_on_what_is_seen_replays(tmp_path: Path) -> None:
    told = Story(tmp_path, rollback())
    stored = told.kube.objects["incidents", NS, INCIDENT]
    stored["spec"]["type"] = "ImagePullFailed"
    seen = {"active": False, "lastSeenAt": told.clock.now.isoformat(), "severity": "medium"}
    stored["status"] = {**stored.get("status", {}), "detection": seen}
    told.tell()
    records = of_incident(told.records(), INCIDENT)
    assert records[-1]["kind"] == "feedback.observed"
    found = replay(records)
    assert [item for item in found if not item.same] == []
    assert "Effective FaultGone" in found[-1].note


@pytest.fixture
def story(tmp_path: Path) -> Story:
    told = Story(tmp_path)
    told.analysis.on_verify = lambda _: answer()
    told.tell()
    return told


def test_s8_the_whole_story_replays_byte_for_byte(story: Story) -> None:
    assert story.kube.get(ActionPlan, NS, PLAN).status.state is PlanState.VERIFIED
    records = of_incident(story.records(), INCIDENT)
    kinds = [record["kind"] for record in records]
    assert kinds.count("policy.decide") == 1
    assert kinds[-1] == "feedback.answered"
    assert kinds.count("approval.decide") == 3
    assert [record["step"] for record in records if record["kind"] == "execution.decide"] == [
        "Begin", "Write", "Record",
    ]  # fmt: skip
    found = replay(records)
    assert [item for item in found if not item.same] == []
    assert "HumanApproval ApprovalRequired" in [item.note for item in found]
    assert "Effective SlopeGone" in found[-1].note


def test_of_other_plans_only_what_limits_and_guards_count_is_recorded(tmp_path: Path) -> None:
    """A cluster has hundreds of them, and every decision records them all."""
    story = Story(tmp_path)
    add_policy(story.kube, rule("HumanApproval", "few", limits={"maxPerHourInNamespace": 2}), name="few")
    for n in range(3):
        done = story.kube.add(ActionPlan, NS, f"earlier-{n}", plan_spec(restart(f"cart-{n}")))
        execution = {"phase": "Succeeded", "reason": "X", "message": "long-words", "startedAt": story.clock()}
        story.kube.apply_status(done, {"execution": execution}, manager="test")
    PlanReconciler(story.room("policy")).reconcile(KEY)
    (record,) = story.records()
    assert record["decision"]["reason"] == "RateLimited"
    assert {claim["name"] for claim in record["inputs"]["observed"]["claims"]} == {f"earlier-{n}" for n in range(3)}
    assert "long-words" not in json.dumps(record)
    assert replay([record])[0].same


def test_what_is_no_number_comes_back_too(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.analysis.on_verify = lambda _: answer(Verdict.INCONCLUSIVE, float("nan"))
    story.tell()
    assert all(item.same for item in replay(story.records()))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("decision", "tier"), "AutoLowRisk"),
        (("decision", "requiredApprovals"), 0),
        (("inputs", "observed", "severity"), "nonsense"),
        (("inputs", "observed", "targets"), {}),
        (("kind",), "policy.other"),
        (("step",), "Other"),
    ],
)
def test_another_decision_does_not_pass(story: Story, path: tuple[str, ...], value: Any) -> None:
    record = json.loads(json.dumps(next(r for r in story.records() if r["kind"] == "policy.decide")))
    part = record
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    (found,) = replay([record])
    assert found.same is False
    assert found.note


def test_records_of_other_incidents_and_recoveries_are_told_apart(story: Story) -> None:
    records = story.records()
    assert of_incident(records, "another") == []
    assert of_incident(records, INCIDENT, "bank") == []
    assert replay([{"seq": 3, "kind": "audit.recovered", "lost": "sha256:x"}])[0].same is None
