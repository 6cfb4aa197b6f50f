"""Every rule that names an incident's state, by what a person would see."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.incident.progress import SETTLE, Progress, View, progress
from crds.v1alpha1.actionplan import ActionPlan, PlanState
from crds.v1alpha1.conditions import Wanted
from crds.v1alpha1.execution import ActionPhase
from crds.v1alpha1.incident import Incident, IncidentState, IncidentStatus
from crds.v1alpha1.rcareport import RCAReport, ReportState
from crds.v1alpha1.verification import Verdict
from tests.unit.controllers.incident.builders import at, detection, incident, plan, report

S = IncidentState
GONE = incident(status=IncidentStatus(detection=detection(active=False)))


def where(
    found: Incident | None = None,
    of_report: RCAReport | None = None,
    of_plan: ActionPlan | None = None,
    now: float = 120,
) -> Progress:
    return progress(View(found or incident(), of_report, of_plan, at(now)))


def done(verdict: Verdict | None = None, **changes: Any) -> ActionPlan:
    states = {
        None: PlanState.EXECUTED,
        Verdict.EFFECTIVE: PlanState.VERIFIED,
        Verdict.INEFFECTIVE: PlanState.INEFFECTIVE,
        Verdict.INCONCLUSIVE: PlanState.INCONCLUSIVE,
        Verdict.RECOVERED_ANYWAY: PlanState.INCONCLUSIVE,
    }
    return plan(states[verdict], executed=ActionPhase.SUCCEEDED, verdict=verdict, **changes)


REJECTED = (Wanted("Approved", False, "Rejected", 'alice: "not now"'),)
FAILED = plan(PlanState.FAILED, executed=ActionPhase.FAILED, said=(Wanted("Executed", False, "RolloutTimeout", "1/2"),))
REFUSED = plan(
    PlanState.FAILED, executed=ActionPhase.REFUSED, wrote=False, said=(Wanted("Executed", False, "Refused"),)
)

CASES: list[tuple[str, Incident, RCAReport | None, ActionPlan | None, IncidentState, str]] = [
    ("nothing yet", incident(), None, None, S.DETECTED, "Detected"),
    ("first status not written", incident(status=IncidentStatus()), None, None, S.DETECTED, "Detected"),
    ("report is new", incident(), report(None), None, S.DIAGNOSING, "Diagnosing"),
    ("report is being written", incident(), report(ReportState.PENDING), None, S.DIAGNOSING, "Diagnosing"),
    ("report is there", incident(), report(), None, S.DIAGNOSED, "Diagnosed"),
    ("degraded is good enough", incident(), report(ReportState.DEGRADED), None, S.DIAGNOSED, "Diagnosed"),
    ("no cause", incident(), report(ReportState.UNRESOLVED), None, S.ESCALATED, "Unresolved"),
    ("question refused", incident(), report(ReportState.FAILED), None, S.ESCALATED, "DiagnosisFailed"),
    ("nothing to propose", incident(), report(recommends=False), None, S.ESCALATED, "NoAction"),
    ("its cause was refuted", incident(), report(refuted=True), None, S.ESCALATED, "NoAction"),
    (
        "a person planned all the same",
        incident(),
        report(recommends=False),
        plan(by_person=True),
        S.PLANNED,
        "PlanCreated",
    ),
    ("plan is new", incident(), report(), plan(None), S.PLANNED, "PlanCreated"),
    ("plan is proposed", incident(), report(), plan(), S.PLANNED, "PlanCreated"),
    (
        "people are asked",
        incident(),
        report(),
        plan(PlanState.AWAITING_APPROVAL),
        S.AWAITING_APPROVAL,
        "AwaitingApproval",
    ),
    ("rejected", incident(), report(), plan(PlanState.DENIED, said=REJECTED), S.ESCALATED, "Rejected"),
    ("forbidden, no words", incident(), report(), plan(PlanState.DENIED), S.ESCALATED, "PlanDenied"),
    ("nobody decided", incident(), report(), plan(PlanState.EXPIRED), S.ESCALATED, "PlanExpired"),
    ("approved", incident(), report(), plan(PlanState.APPROVED), S.REMEDIATING, "Approved"),
    (
        "being executed",
        incident(),
        report(),
        plan(PlanState.EXECUTING, executed=ActionPhase.WRITTEN),
        S.REMEDIATING,
        "Executing",
    ),
    ("executed", incident(), report(), done(), S.VERIFYING, "Measuring"),
    ("executed, signals gone already", GONE, report(), done(), S.VERIFYING, "Measuring"),
    ("it helped", GONE, report(), done(Verdict.EFFECTIVE), S.RESOLVED, "Effective"),
    (
        "it helped, windows still look back",
        incident(),
        report(),
        done(Verdict.EFFECTIVE),
        S.VERIFYING,
        "SignalsClearing",
    ),
    ("siblings recovered too", GONE, report(), done(Verdict.RECOVERED_ANYWAY), S.RECOVERED, "RecoveredAnyway"),
    ("it did not help", incident(), report(), done(Verdict.INEFFECTIVE), S.ESCALATED, "Ineffective"),
    ("nobody can tell", GONE, report(), done(Verdict.INCONCLUSIVE), S.ESCALATED, "Inconclusive"),
    ("failed half way", incident(), report(), FAILED, S.ESCALATED, "RolloutTimeout"),
    ("failed half way, signals gone", GONE, report(), FAILED, S.ESCALATED, "RolloutTimeout"),
    ("refused, nothing written", incident(), report(), REFUSED, S.ESCALATED, "Refused"),
    ("refused, nothing written, signals gone", GONE, report(), REFUSED, S.RECOVERED, "SignalsGone"),
    ("gone before diagnosis", GONE, report(None), None, S.RECOVERED, "SignalsGone"),
    ("gone while people were asked", GONE, report(), plan(PlanState.AWAITING_APPROVAL), S.RECOVERED, "SignalsGone"),
    ("gone after a rejection", GONE, report(), plan(PlanState.DENIED, said=REJECTED), S.RECOVERED, "SignalsGone"),
    ("gone, but the approved action is coming", GONE, report(), plan(PlanState.APPROVED), S.REMEDIATING, "Approved"),
    (
        "closed by a person",
        incident(closed=True),
        report(),
        plan(PlanState.AWAITING_APPROVAL),
        S.CLOSED,
        "ClosedByPerson",
    ),
    ("closed after a failure", incident(closed=True), report(), FAILED, S.CLOSED, "ClosedByPerson"),
]


@pytest.mark.parametrize(
    ("found", "of_report", "of_plan", "state", "reason"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_state(
    found: Incident, of_report: RCAReport | None, of_plan: ActionPlan | None, state: IncidentState, reason: str
) -> None:
    result = where(found, of_report, of_plan)
    assert (result.state, result.reason) == (state, reason)
    conditions = {item.type: item for item in result.conditions}
    assert conditions["Resolved"].status is (state in (S.RESOLVED, S.RECOVERED, S.CLOSED))
    assert conditions["Escalated"].status is (state is S.ESCALATED)
    assert len(conditions) == 8


def test_every_state_has_a_case() -> None:
    assert {case[4] for case in CASES} == set(IncidentState)


def test_a_good_verdict_with_a_fault_that_stays_is_looked_at_again_and_then_escalates() -> None:
    helped = done(Verdict.EFFECTIVE, judged=100)
    waits = where(incident(), report(), helped, now=160)
    assert waits.state is S.VERIFYING
    assert waits.look_again is not None
    assert waits.look_again.total_seconds() == SETTLE.total_seconds() - 60
    late = where(incident(), report(), helped, now=100 + SETTLE.total_seconds())
    assert (late.state, late.reason) == (S.ESCALATED, "StillDetected")


def test_an_outage_of_the_diagnosis_is_visible_on_the_incident() -> None:
    result = where(of_report=report(ReportState.PENDING, waiting="https://gw:8443 refused"))
    diagnosed = next(item for item in result.conditions if item.type == "Diagnosed")
    assert (diagnosed.status, diagnosed.reason) == (False, "AnalysisUnreachable")
    assert "https://gw:8443" in diagnosed.message
    assert "https://gw:8443" in result.message


def test_approval_execution_and_verification_are_the_plans_own_words() -> None:
    said = (
        Wanted("Approved", True, "Quorum", "approved by alice"),
        Wanted("Executed", False, "RolloutTimeout", "1/2 ready"),
    )
    conditions = {
        item.type: item for item in where(of_report=report(), of_plan=plan(PlanState.FAILED, said=said)).conditions
    }
    assert conditions["Approved"] == Wanted("Approved", True, "Quorum", "approved by alice")
    assert conditions["Remediated"] == Wanted("Remediated", False, "RolloutTimeout", "1/2 ready")
    assert conditions["Verified"].status is None
