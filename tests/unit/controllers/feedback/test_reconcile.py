"""S11: no data is not good data, and not bad data either."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.contract import MeasuredChange, VerifyRequest, VerifyResponse
from controllers.feedback.decide import measure
from controllers.feedback.handlers import build
from controllers.kube.resources import DEPLOYMENTS
from controllers.runtime.errors import Retryable, Terminal
from controllers.runtime.outcome import Done, Key, Requeue
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.execution import ActionPhase
from crds.v1alpha1.verification import Verdict, VerificationStatus
from tests.fakes.analysis import FakeAnalysis
from tests.fakes.chain import INCIDENT, NS, PLAN, Clock, add_incident, add_plan, context, decide_plan, deployment
from tests.fakes.kube import FakeKube
from tests.fakes.workloads import look

KEY = Key(NS, PLAN)
WINDOW, GRACE = 45.0, 60.0


class Room:
    """The feedback controller in a small world; the plan was executed 10 s before the clock starts."""

    def __init__(self, phase: ActionPhase = ActionPhase.SUCCEEDED) -> None:
        self.clock = Clock()
        self.kube = FakeKube(self.clock)
        self.kube.add_raw(DEPLOYMENTS, deployment())
        add_incident(self.kube)
        decide_plan(self.kube, add_plan(self.kube))
        times = {"startedAt": "2026-01-02T03:03:55Z", "finishedAt": "2026-01-02T03:04:05Z"}
        execution = {"phase": phase.value, "reason": "X", **times}
        self.kube.objects["actionplans", NS, PLAN]["status"]["execution"] = execution
        self.analysis = FakeAnalysis()
        self.analysis.on_verify = lambda _: answer(None)
        self.restart()

    def restart(self, window: float = WINDOW) -> None:
        """A new process, perhaps with another configuration."""
        settings = {"verification_window": window, "verification_grace": GRACE, "verification_interval": 5.0}
        self.controller = build(context(self.kube, self.clock, self.analysis, **settings))

    def run(self) -> Any:
        return self.controller.reconcile(KEY)

    @property
    def status(self) -> VerificationStatus | None:
        return self.kube.get(ActionPlan, NS, PLAN).status.verification

    @property
    def asked(self) -> list[VerifyRequest]:
        return [request for request in self.analysis.requests if isinstance(request, VerifyRequest)]


def answer(verdict: Verdict | None, reason: str = "Measured", **rest: Any) -> VerifyResponse:
    change = MeasuredChange(
        name="slope", query="deriv(x[1m])", unit="MiB/min", before=3.1, after=0.0, control_after=0.0
    )
    return VerifyResponse(verdict=verdict, reason=reason, message="slope is flat", measurements=(change,), **rest)


def test_a_diagnosis_is_not_measured_and_its_words_reach_the_verdict() -> None:
    room = Room()
    stored = room.kube.objects["actionplans", NS, PLAN]
    stored["spec"]["actions"] = [look().to_wire()]
    result = {"id": "look", "actionId": "act-1", "phase": "Succeeded", "reason": "Ran", "output": "9 MiB  journal"}
    stored["status"]["execution"]["actions"] = [result | {"startedAt": "2026-01-02T03:03:55Z"}]
    assert room.run() == Done()
    assert room.status is not None
    assert (room.status.verdict, room.status.reason) == (Verdict.INCONCLUSIVE, "DiagnosisOnly")
    assert room.status.message == "nothing was changed; the Job reported: 9 MiB  journal"
    assert room.asked == []


def test_what_only_took_something_back_is_not_measured() -> None:
    room = Room()
    room.kube.objects["actionplans", NS, PLAN]["spec"]["undoes"] = {"name": "payments-1", "uid": "u"}
    assert room.run() == Done()
    assert room.status is not None
    assert (room.status.verdict, room.status.reason) == (Verdict.INCONCLUSIVE, "Undone")
    assert room.asked == []


def fail(_: VerifyRequest) -> VerifyResponse:
    raise Retryable("AnalysisUnreachable", "https://analysis:8443 does not answer")


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_verdict_ends_it(verdict: Verdict) -> None:
    room = Room()
    room.analysis.on_verify = lambda _: answer(verdict)
    assert room.run() == Done()
    assert room.status is not None
    assert (room.status.verdict, room.status.completed_at) == (verdict, room.clock.now)
    (measured,) = room.status.measurements
    assert (measured.before, measured.after, measured.control_before, measured.control_after) == ("3.1", "0", None, "0")
    assert room.run() == Done()
    assert [request.cluster for request in room.asked] == ["default"]


def test_what_raised_the_incident_is_told_and_what_was_merged_into_it_is_not() -> None:
    room = Room()
    stored = room.kube.objects["incidents", NS, INCIDENT]
    target, kind = stored["spec"]["target"], stored["spec"]["type"]
    times = {"firstSeenAt": "2026-01-02T03:00:00Z", "lastSeenAt": "2026-01-02T03:03:00Z"}
    raised = [
        {"type": kind, "rule": "client-errors", "target": target},
        {"type": kind, "rule": "error-rate", "target": target | {"name": "another"}},
        {"type": "LogBurst", "rule": "log-burst", "target": target},
    ]
    seen = {"active": True, "lastSeenAt": times["lastSeenAt"], "severity": "high"}
    stored["status"] = {"detection": seen | {"signals": [one | times for one in raised]}}
    room.run()
    assert room.asked[-1].incident.rules == ("client-errors",)


def test_asks_on_past_the_window_and_for_the_last_time_after_the_grace() -> None:
    room = Room()
    assert room.run() == Requeue(5.0)
    assert room.status is not None
    assert room.status.verdict is None
    assert not room.asked[-1].final
    room.clock.forward(WINDOW + GRACE - 1)
    assert room.run() == Requeue(5.0)
    assert not room.asked[-1].final
    room.clock.forward(1)
    assert room.run() == Done()
    assert room.asked[-1].final
    assert (room.status.verdict, room.status.reason) == (Verdict.INCONCLUSIVE, "NoVerdict")


def test_s11_an_analysis_server_that_never_answers_is_inconclusive() -> None:
    room = Room()
    room.analysis.on_verify = fail
    assert room.run() == Requeue(5.0)
    assert room.status is not None
    assert (room.status.verdict, room.status.reason) == (None, "AnalysisUnreachable")
    room.clock.forward(WINDOW + GRACE - 20)
    assert room.run() == Requeue(5.0)
    room.clock.forward(30)
    assert room.run() == Done()
    assert (room.status.verdict, room.status.reason) == (Verdict.INCONCLUSIVE, "AnalysisUnreachable")
    assert "https://analysis:8443" in room.status.message


def test_an_answer_in_the_grace_still_counts() -> None:
    room = Room()
    room.analysis.on_verify = fail
    room.run()
    room.clock.forward(WINDOW + 10)
    room.analysis.on_verify = lambda _: answer(Verdict.EFFECTIVE)
    room.run()
    assert room.status is not None
    assert room.status.verdict is Verdict.EFFECTIVE


@pytest.mark.parametrize("error", [Retryable("AnalysisUnreachable", "x"), Terminal("RequestRefused", "x")])
def test_no_error_of_the_analysis_server_reaches_the_queue(error: Exception) -> None:
    room = Room()

    def broken(_: VerifyRequest) -> VerifyResponse:
        raise error

    room.analysis.on_verify = broken
    assert room.run() == Requeue(5.0)


def test_a_window_that_began_outlives_a_restart_with_other_settings() -> None:
    room = Room()
    room.run()
    room.restart(window=3600.0)
    room.run()
    assert room.asked[0].window == room.asked[1].window


@pytest.mark.parametrize("phase", [ActionPhase.INTENT, ActionPhase.WRITTEN, ActionPhase.FAILED, ActionPhase.REFUSED])
def test_only_what_was_done_is_judged(phase: ActionPhase) -> None:
    room = Room(phase)
    assert room.run() == Done()
    assert room.asked == []
    assert room.status is None


def test_an_incident_that_is_gone_is_not_judged() -> None:
    room = Room()
    del room.kube.objects["incidents", NS, INCIDENT]
    assert room.run() == Done()


@pytest.mark.parametrize("reason", ["not a word", "", "x" * 64])
def test_a_reason_that_the_api_would_refuse_does_not_lose_the_verdict(reason: str) -> None:
    room = Room()
    room.analysis.on_verify = lambda _: answer(Verdict.EFFECTIVE, reason=reason)
    room.run()
    assert room.status is not None
    assert (room.status.verdict, room.status.reason) == (Verdict.EFFECTIVE, "Answered")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.1, "3.1"),
        (0.0, "0"),
        (-1e-12, "-1e-12"),
        (268435456.0, "2.68435e+08"),
        (float("nan"), "NaN"),
        (float("inf"), "NaN"),
    ],
)
def test_floats_become_decimal_strings(value: float, text: str) -> None:
    assert measure(value) == text


def test_refuses_to_start_without_an_analysis_server() -> None:
    with pytest.raises(Terminal, match="IIRP_ANALYSIS_URL"):
        build(context(FakeKube(), Clock()))
