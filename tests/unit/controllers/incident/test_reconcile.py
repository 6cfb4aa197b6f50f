"""The incident controller driving a chain against an in-memory API server."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from analysis.contract import HistoryAnswer, HistoryRecord
from controllers.incident.handlers import build, plan_keys
from controllers.incident.reconcile import IncidentReconciler
from controllers.kube.errors import KubeError, Unavailable
from controllers.kube.resources import resource_type
from controllers.runtime.analysis import AnalysisUnavailable
from controllers.runtime.controller import Context
from controllers.runtime.errors import Retryable
from controllers.runtime.metrics import Metrics
from controllers.runtime.outcome import Done, Key
from controllers.runtime.settings import Settings
from crds.v1alpha1.actionplan import ActionPlan, PlanState
from crds.v1alpha1.incident import Incident, IncidentState
from crds.v1alpha1.rcareport import RCAReport
from crds.v1alpha1.verification import Verdict
from tests.fakes.analysis import FakeAnalysis
from tests.fakes.kube import START, FakeKube, FakeRecorder
from tests.unit.controllers.incident.builders import detection, plan, report, spec
from tests.unit.controllers.incident.test_progress import done

NAME = "payments-leak-abcde"
KEY = Key("shop", NAME)


class World:
    def __init__(self, analysis: FakeAnalysis | None = None) -> None:
        self.now = START
        self.kube = FakeKube(lambda: self.now)
        self.events = FakeRecorder()
        self.context = Context(
            settings=Settings(),
            kube=self.kube,
            events=self.events,
            metrics=Metrics("incident"),
            analysis=analysis,
            now=lambda: self.now,
        )
        self.reconciler = IncidentReconciler(self.context)
        self.kube.add(Incident, "shop", NAME, spec())
        self.detects(active=True)

    def detects(self, *, active: bool) -> None:
        self.kube.apply_status(self.incident, {"detection": detection(active).to_wire()}, manager="iirp-detection")

    @property
    def incident(self) -> Incident:
        return self.kube.get(Incident, "shop", NAME)

    def settle(self) -> IncidentState | None:
        """Reconcile until nothing more is written, as the watches would make it."""
        for _ in range(10):
            writes = len(self.kube.writes)
            self.reconciler.reconcile(KEY)
            if len(self.kube.writes) == writes:
                return self.incident.status.state
        pytest.fail("it never settles")

    def says(self, kind: Any, name: str, status: Any, manager: str) -> None:
        self.kube.apply_status(self.kube.get(kind, "shop", name), status.to_wire(), manager=manager)


@pytest.fixture
def world() -> World:
    return World()


def test_nothing_waits_for_the_history() -> None:
    seen: list[IncidentState | None] = []

    def slow(_: HistoryRecord) -> HistoryAnswer:
        seen.append(world.incident.status.state)
        raise AnalysisUnavailable("AnalysisUnreachable", "no answer in time")

    analysis = FakeAnalysis()
    analysis.on_history = slow
    world = World(analysis)
    world.reconciler.reconcile(KEY)
    assert seen == [IncidentState.DETECTED], "asked after the status was written"
    assert [verb for verb, plural, _ in world.kube.writes if plural == "rcareports"] == ["create"]


def test_the_chain_goes_from_detected_to_resolved(world: World) -> None:
    assert world.settle() is IncidentState.DIAGNOSING
    world.says(RCAReport, NAME, report().status, "iirp-rca")
    assert world.settle() is IncidentState.PLANNED
    made = world.kube.get(ActionPlan, "shop", f"{NAME}-1")
    assert made.metadata.labels == {"iirp.io/incident": NAME}
    assert made.metadata.owner_references[0]["uid"] == world.incident.metadata.uid
    world.says(ActionPlan, f"{NAME}-1", plan(PlanState.AWAITING_APPROVAL).status, "iirp-policy")
    assert world.settle() is IncidentState.AWAITING_APPROVAL
    world.says(ActionPlan, f"{NAME}-1", plan(PlanState.EXECUTED).status, "iirp-policy")
    assert world.settle() is IncidentState.VERIFYING
    world.says(ActionPlan, f"{NAME}-1", done(Verdict.EFFECTIVE).status, "iirp-policy")
    world.now += timedelta(seconds=120)
    assert world.settle() is IncidentState.VERIFYING
    world.detects(active=False)
    assert world.settle() is IncidentState.RESOLVED
    assert world.incident.status.verdict is Verdict.EFFECTIVE
    assert world.incident.status.detection is not None, "the other writer's part is untouched"
    assert len(world.kube.list_all(ActionPlan)) == 1
    assert world.events.reasons == ["Diagnosed", "Planned", "AwaitingApproval", "Verified", "Resolved"]


def test_a_controller_that_is_killed_anywhere_continues(world: World) -> None:
    def dies_before_the_status(verb: str, *_: str) -> KubeError | None:
        return Unavailable("ApiServerUnavailable", "gone") if verb == "apply_status" else None

    world.kube.fail = dies_before_the_status
    with pytest.raises(Unavailable):
        world.reconciler.reconcile(KEY)
    assert len(world.kube.list_all(RCAReport)) == 1
    world.kube.fail = lambda *_: None
    world.reconciler = IncidentReconciler(world.context)
    assert world.settle() is IncidentState.DIAGNOSING
    assert len(world.kube.list_all(RCAReport)) == 1


def test_a_name_that_is_taken_is_said_and_tried_again(world: World) -> None:
    foreign = report().spec.model_copy(
        update={"incident_ref": report().spec.incident_ref.model_copy(update={"uid": "x"})}
    )
    world.kube.add(RCAReport, "shop", NAME, foreign)
    with pytest.raises(Retryable, match="NameTaken"):
        world.reconciler.reconcile(KEY)


def test_a_deleted_incident_is_left_alone(world: World) -> None:
    world.kube.objects[("incidents", "shop", NAME)]["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z"
    assert world.reconciler.reconcile(KEY) == Done()
    assert world.reconciler.reconcile(Key("shop", "no-such")) == Done()
    assert not [write for write in world.kube.writes if write[0] == "create"]


def test_what_is_watched_leads_to_the_incident(world: World) -> None:
    controller = build(world.context)
    assert {watch.resource.plural for watch in controller.watches} == {
        "incidents", "rcareports", "actionplans", "approvals",
    }  # fmt: skip
    body = {"metadata": {"namespace": "shop", "name": "p"}, "spec": {"incidentRef": {"name": NAME}}}
    assert list(plan_keys(body)) == [KEY]
    assert list(plan_keys({"metadata": {"name": "p"}})) == []
    assert list(controller.resync()) == [KEY]
    assert resource_type(Incident).path("shop", NAME).endswith(f"/namespaces/shop/incidents/{NAME}")
