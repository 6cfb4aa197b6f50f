from __future__ import annotations

from typing import Any

import pytest

from controllers.incident.chain import Chain, chain_of
from controllers.incident.decide import Decision, NewPlan, NewReport, decide
from crds.v1alpha1.actionplan import ActionPlan, PlanState
from crds.v1alpha1.base import Severity
from crds.v1alpha1.incident import Incident, IncidentState, IncidentStatus
from crds.v1alpha1.rcareport import RCAReport, ReportState
from tests.unit.controllers.incident.builders import at, detection, incident, plan, report, restart

ME = "system:serviceaccount:iirp-system:iirp-incident"


def run(found: Incident, *objects: RCAReport | ActionPlan, now: float = 120) -> Decision:
    reports = [item for item in objects if isinstance(item, RCAReport)]
    plans = [item for item in objects if isinstance(item, ActionPlan)]
    chain: Chain = chain_of(found, reports, plans, [])
    return decide(chain, at(now), ME)


def after(found: Incident, decision: Decision, **changes: Any) -> Incident:
    """The incident as the API server would serve it once the decision's status is written."""
    seen = found.status.detection
    status = IncidentStatus.model_validate(decision.status).model_copy(update={"detection": seen, **changes})
    return found.model_copy(update={"status": status})


def test_the_first_look_asks_for_a_diagnosis_over_the_time_before_the_onset() -> None:
    made = run(incident()).create
    assert isinstance(made, NewReport)
    assert made.name == "payments-leak-abcde"
    assert made.spec.window.start == at(-60 - 1800)
    assert made.spec.window.end == at(0)


def test_the_first_plan_comes_from_the_best_recommendation_and_is_asked_for_by_ourselves() -> None:
    made = run(incident(), report()).create
    assert isinstance(made, NewPlan)
    assert made.name == "payments-leak-abcde-1"
    assert made.spec.actions == [restart()]
    assert made.spec.requested_by == ME
    assert made.spec.cause_kind == "MemoryLeak"
    assert made.spec.confidence_percent == 80
    assert made.spec.report_ref == report().ref()


@pytest.mark.parametrize(
    ("found", "objects"),
    [
        (incident(), (report(None),)),
        (incident(), (report(ReportState.UNRESOLVED),)),
        (incident(), (report(recommends=False),)),
        (incident(), (report(refuted=True),)),
        (incident(), (report(), plan(PlanState.DENIED))),
        (incident(), (report(), plan(PlanState.EXPIRED))),
        (incident(closed=True), ()),
        (incident(closed=True), (report(),)),
        (incident(status=IncidentStatus(detection=detection(active=False))), ()),
        (incident(status=IncidentStatus(detection=detection(active=False))), (report(),)),
    ],
)
def test_nothing_is_created_without_need(found: Incident, objects: tuple[Any, ...]) -> None:
    assert run(found, *objects).create is None


def test_replaying_a_decision_changes_nothing() -> None:
    found = incident()
    first = run(found, report(), plan(PlanState.AWAITING_APPROVAL))
    assert first.changed
    again = run(after(found, first), report(), plan(PlanState.AWAITING_APPROVAL), now=500)
    assert not again.changed
    assert not again.notes
    assert again.status == first.status


def test_a_change_of_detection_alone_is_not_a_change_of_ours() -> None:
    found = incident()
    stored = after(found, run(found, report(), plan()), detection=detection(last_seen_at=at(300)))
    assert not run(stored, report(), plan(), now=300).changed


def test_coming_back_begins_a_new_episode_with_its_own_report() -> None:
    over = incident(
        status=IncidentStatus(
            state=IncidentState.RESOLVED, resolved_at=at(130), detection=detection(last_seen_at=at(300))
        )
    )
    decision = run(over, report(), plan(PlanState.VERIFIED), now=300)
    assert decision.state is IncidentState.DETECTED
    assert decision.status["reopened"] == 1
    assert "resolvedAt" not in decision.status
    assert isinstance(decision.create, NewReport)
    assert decision.create.name == "payments-leak-abcde-r1"
    assert decision.create.spec.window.end == at(300)
    assert decision.notes[0].reason == "Reopened"
    next_look = run(after(over, decision), report(), plan(PlanState.VERIFIED), now=301)
    assert next_look.status["reopened"] == 1, "counted once"


@pytest.mark.parametrize("state", [IncidentState.ESCALATED, IncidentState.CLOSED, IncidentState.VERIFYING])
def test_only_what_had_ended_by_itself_or_by_us_reopens(state: IncidentState) -> None:
    found = incident(status=IncidentStatus(state=state, detection=detection()), closed=state is IncidentState.CLOSED)
    assert run(found, report(), plan()).status["reopened"] == 0


def test_a_person_overrules_the_severity() -> None:
    worst = incident(status=IncidentStatus(detection=detection(severity=Severity.CRITICAL)))
    assert run(worst).status["severity"] == "critical"
    spec = worst.spec.model_copy(update={"override": incident(closed=True).spec.override})
    assert spec.override is not None
    lowered = spec.model_copy(update={"override": spec.override.model_copy(update={"severity": Severity.LOW})})
    assert run(worst.model_copy(update={"spec": lowered})).status["severity"] == "low"


def test_events_tell_each_step_once_and_escalation_warns() -> None:
    found = incident()
    planned = run(found, report(), plan(PlanState.AWAITING_APPROVAL))
    assert [note.reason for note in planned.notes] == ["Diagnosed", "Planned", "AwaitingApproval"]
    denied = run(after(found, planned), report(), plan(PlanState.DENIED))
    assert [(note.reason, note.warning) for note in denied.notes] == [("Escalated", True)]


def test_resolved_at_is_the_moment_of_the_end_and_stays() -> None:
    gone = incident(status=IncidentStatus(detection=detection(active=False)))
    first = run(gone, now=200)
    assert first.status["resolvedAt"] == "2026-01-02T03:07:25Z"
    assert run(after(gone, first), now=900).status["resolvedAt"] == first.status["resolvedAt"]
