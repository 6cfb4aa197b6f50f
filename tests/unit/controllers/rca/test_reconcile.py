from __future__ import annotations

from collections.abc import Callable

import pytest

from analysis.contract import RcaRequest, RcaResponse
from controllers.kube.errors import KubeError, Unavailable
from controllers.kube.resources import DEPLOYMENTS
from controllers.rca.handlers import build
from controllers.rca.reconcile import RcaReconciler
from controllers.runtime.analysis import AnalysisRefused, AnalysisUnavailable
from controllers.runtime.controller import Context
from controllers.runtime.errors import Retryable, Terminal
from controllers.runtime.metrics import Metrics
from controllers.runtime.outcome import Done, Key
from controllers.runtime.settings import Settings
from crds.v1alpha1.base import ConditionStatus, TargetRef
from crds.v1alpha1.incident import Incident
from crds.v1alpha1.rcareport import RCAReport, ReportState
from tests.fakes.analysis import FakeAnalysis
from tests.fakes.kube import START, FakeKube, FakeRecorder
from tests.unit.controllers.incident.builders import detection, incident, report, spec
from tests.unit.controllers.rca.workload import deployment

NAME = "payments-leak-abcde"
KEY = Key("shop", NAME)


def response(*, refuted: bool = False, degraded: str = "", missing: tuple[str, ...] = ()) -> RcaResponse:
    status = report(refuted=refuted).status
    return RcaResponse(
        root_causes=tuple(status.root_causes) * 9,
        recommended_actions=tuple(status.recommended_actions),
        method="deterministic",
        degraded_reason=degraded,
        missing_data=missing,
        evidence_digest="sha256:" + "0" * 64,
    )


class World:
    def __init__(self) -> None:
        self.kube = FakeKube()
        self.kube.add_raw(DEPLOYMENTS, deployment())
        made = self.kube.add(Incident, "shop", NAME, spec())
        self.kube.add(RCAReport, "shop", NAME, report(None, of=made).spec)
        self.analysis = FakeAnalysis()
        self.events = FakeRecorder()
        self.context = Context(
            settings=Settings(),
            kube=self.kube,
            events=self.events,
            metrics=Metrics("rca"),
            analysis=self.analysis,
            now=lambda: START,
        )
        self.reconciler = RcaReconciler(self.context, self.analysis)

    @property
    def report(self) -> RCAReport:
        return self.kube.get(RCAReport, "shop", NAME)

    def answers(self, answer: Callable[[RcaRequest], RcaResponse]) -> None:
        self.analysis.on_rca = answer


@pytest.fixture
def world() -> World:
    return World()


def raising(error: Exception) -> Callable[[RcaRequest], RcaResponse]:
    def answer(_: RcaRequest) -> RcaResponse:
        raise error

    return answer


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (response(), ReportState.COMPLETE),
        (response(degraded="model timed out"), ReportState.DEGRADED),
        (response(refuted=True), ReportState.UNRESOLVED),
        (response(refuted=True, degraded="model timed out"), ReportState.UNRESOLVED),
    ],
)
def test_an_answer_becomes_a_report(world: World, answer: RcaResponse, state: ReportState) -> None:
    world.answers(lambda _: answer)
    assert world.reconciler.reconcile(KEY) == Done()
    status = world.report.status
    assert status.state is state
    assert status.completed_at == START
    assert len(status.root_causes) == 5, "as many as the type holds"
    assert status.cause == ("" if state is ReportState.UNRESOLVED else "memory grows since revision 7")
    standing = None if state is ReportState.UNRESOLVED else status.root_causes[0]
    assert status.cause_kind == (standing.kind if standing else None), "no column names a cause that was ruled out"
    assert status.first_cause() == standing
    assert world.events.reasons == [state.value]


def test_a_finished_report_is_never_asked_again(world: World) -> None:
    world.answers(lambda _: response())
    world.reconciler.reconcile(KEY)
    world.reconciler.reconcile(KEY)
    assert len(world.analysis.requests) == 1


def test_the_question_carries_the_incident_and_its_context(world: World) -> None:
    world.answers(lambda _: response())
    world.reconciler.reconcile(KEY)
    (request,) = world.analysis.requests
    assert isinstance(request, RcaRequest)
    assert request.incident.name == NAME
    assert request.incident.uid == world.kube.get(Incident, "shop", NAME).metadata.uid
    assert request.window == world.report.spec.window
    assert request.replicas == 2


def test_what_the_signals_point_at_comes_along(world: World) -> None:
    bank = TargetRef(kind="Deployment", namespace="shop", name="bank", uid="b")
    known = world.kube.get(Incident, "shop", NAME)
    world.kube.apply_status(known, {"detection": detection(origin=bank).to_wire()}, manager="iirp-detection")
    world.answers(lambda _: response())
    world.reconciler.reconcile(KEY)
    (request,) = world.analysis.requests
    assert isinstance(request, RcaRequest)
    assert request.incident.origin == bank


def test_what_is_missing_on_either_side_is_in_the_report(world: World) -> None:
    world.kube.objects.pop(("deployments", "shop", "payments"))
    world.answers(lambda _: response(missing=("loki: timeout",)))
    world.reconciler.reconcile(KEY)
    missing = world.report.status.missing_data
    assert "deploy/payments" in missing[0]
    assert missing[1] == "loki: timeout"


def test_an_outage_is_a_condition_and_an_event_and_is_tried_again(world: World) -> None:
    world.answers(raising(AnalysisUnavailable("AnalysisUnreachable", "https://gw:8443/v1/rca: refused; look there")))
    for _ in range(3):
        with pytest.raises(Retryable):
            world.reconciler.reconcile(KEY)
    status = world.report.status
    assert status.state is ReportState.PENDING
    (condition,) = status.conditions
    assert (condition.type, condition.status, condition.reason) == (
        "Complete",
        ConditionStatus.FALSE,
        "AnalysisUnreachable",
    )
    assert "https://gw:8443" in condition.message
    assert world.events.reasons == ["AnalysisUnreachable"]
    writes = len(world.kube.writes)
    with pytest.raises(Retryable):
        world.reconciler.reconcile(KEY)
    assert len(world.kube.writes) == writes, "said once, not at each attempt"
    world.answers(lambda _: response())
    world.reconciler.reconcile(KEY)
    assert world.report.status.state is ReportState.COMPLETE


def test_a_refused_question_ends_in_failed(world: World) -> None:
    world.answers(raising(AnalysisRefused("RequestRefused", "422: window too long")))
    assert world.reconciler.reconcile(KEY) == Done()
    assert world.report.status.state is ReportState.FAILED
    assert "window too long" in world.report.status.conditions[0].message


def test_an_api_server_that_goes_away_meanwhile_loses_nothing(world: World) -> None:
    world.answers(lambda _: response())

    def down(verb: str, plural: str, *_: str) -> KubeError | None:
        return Unavailable("ApiServerUnavailable", "gone") if verb == "apply_status" else None

    world.kube.fail = down
    with pytest.raises(Unavailable):
        world.reconciler.reconcile(KEY)
    world.kube.fail = lambda *_: None
    world.reconciler.reconcile(KEY)
    assert world.report.status.state is ReportState.COMPLETE


def test_a_report_of_a_deleted_incident_is_left_to_the_garbage_collector(world: World) -> None:
    world.kube.objects.pop(("incidents", "shop", NAME))
    assert world.reconciler.reconcile(KEY) == Done()
    world.kube.add(Incident, "shop", NAME, incident().spec, uid="another")
    assert world.reconciler.reconcile(KEY) == Done()
    assert not world.analysis.requests


def test_without_an_analysis_server_it_does_not_start(world: World) -> None:
    with pytest.raises(Terminal, match="IIRP_ANALYSIS_URL"):
        build(Context(settings=Settings(), kube=world.kube, events=world.events, metrics=Metrics("x")))
    assert list(build(world.context).resync()) == [KEY]
