"""State and conditions of an incident: one pure function of its chain.

Ordered rules; the first that holds names the state:

1. a person closed it: Closed
2. the action was judged and helped, and the fault is gone: Resolved (Recovered if untouched siblings recovered as well)
3. an action is approved, runs, or is being judged: Remediating, Verifying
4. an action was judged and did not help, or nobody can tell: Escalated, until a person closes it or plans anew
5. the fault is gone and nothing was done: Recovered
6. the plan was denied, rejected, expired or failed; or there is no cause or nothing to propose: Escalated
7. otherwise as far as the chain has come: AwaitingApproval, Planned, Diagnosed, Diagnosing, Detected
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from controllers.incident.chain import acted, diagnosed, in_flight
from controllers.incident.plan import recommendation
from crds.v1alpha1.actionplan import ActionPlan, PlanState
from crds.v1alpha1.base import ConditionStatus
from crds.v1alpha1.conditions import Wanted
from crds.v1alpha1.incident import Incident, IncidentState
from crds.v1alpha1.rcareport import RCAReport, ReportState
from crds.v1alpha1.verification import Verdict

SETTLE = timedelta(minutes=5)
"""How long after a good verdict the fault may still be seen before a person is asked: detection looks back."""
ENDED = frozenset({IncidentState.RESOLVED, IncidentState.RECOVERED, IncidentState.CLOSED})
HELPED = frozenset({Verdict.EFFECTIVE, Verdict.RECOVERED_ANYWAY})


@dataclass(frozen=True)
class View:
    """What the rules look at: the objects of the current episode."""

    incident: Incident
    report: RCAReport | None
    plan: ActionPlan | None
    now: datetime

    @property
    def active(self) -> bool:
        """The fault is on, or detection has not said anything yet."""
        detection = self.incident.status.detection
        return detection is None or detection.active

    @property
    def closed(self) -> bool:
        """A person ended it."""
        override = self.incident.spec.override
        return override is not None and override.closed

    @property
    def verdict(self) -> Verdict | None:
        """Of the current plan."""
        verification = self.plan.status.verification if self.plan is not None else None
        return verification.verdict if verification is not None else None


@dataclass(frozen=True)
class Progress:
    """Where the incident stands. ``look_again``: when time alone would change the answer."""

    state: IncidentState
    reason: str
    message: str
    conditions: tuple[Wanted, ...]
    look_again: timedelta | None = None


def progress(view: View) -> Progress:
    """Apply the rules."""
    state, reason, message = _state(view)
    look_again = None
    if state is IncidentState.VERIFYING and view.verdict is not None:
        look_again = max(_settled_at(view) - view.now, timedelta(seconds=1))
    ended = state in ENDED
    conditions = (
        Wanted("Detected", True, view.incident.spec.type, view.incident.spec.summary),
        _diagnosed(view.report),
        _planned(view),
        _approved(view.plan),
        _remediated(view.plan),
        _verified(view),
        Wanted("Resolved", ended, reason if ended else state.value, message),
        Wanted("Escalated", state is IncidentState.ESCALATED, reason, message),
    )
    return Progress(state, reason, message, conditions, look_again)


def _state(view: View) -> tuple[IncidentState, str, str]:
    if view.closed:
        note = view.incident.spec.override.note if view.incident.spec.override is not None else ""
        return IncidentState.CLOSED, "ClosedByPerson", note or "a person closed it"
    return _judged(view) or _moving(view) or _gone(view) or _stopped(view) or _underway(view)


def _judged(view: View) -> tuple[IncidentState, str, str] | None:
    if view.verdict is None or view.plan is None or view.plan.status.verification is None:
        return None
    message = view.plan.status.verification.message
    if view.verdict not in HELPED:
        return IncidentState.ESCALATED, view.verdict.value, message or "the action did not help"
    if not view.active:
        state = IncidentState.RESOLVED if view.verdict is Verdict.EFFECTIVE else IncidentState.RECOVERED
        return state, view.verdict.value, message
    if view.now < _settled_at(view):
        return IncidentState.VERIFYING, "SignalsClearing", f"{message}; detection still sees the fault in its windows"
    return IncidentState.ESCALATED, "StillDetected", "the verdict was good, but the fault is still seen"


def _moving(view: View) -> tuple[IncidentState, str, str] | None:
    plan = view.plan
    if plan is None or not in_flight(plan):
        return None
    if plan.status.state is PlanState.EXECUTED:
        verification = plan.status.verification
        return IncidentState.VERIFYING, "Measuring", verification.message if verification else "measuring the effect"
    return IncidentState.REMEDIATING, plan.status.state.value if plan.status.state else "Approved", plan.spec.summary


def _gone(view: View) -> tuple[IncidentState, str, str] | None:
    if view.active or acted(view.plan):
        return None
    return IncidentState.RECOVERED, "SignalsGone", "the signals went away and no action was carried out"


def _stopped(view: View) -> tuple[IncidentState, str, str] | None:
    plan, report = view.plan, view.report
    if plan is not None and plan.status.state in (PlanState.DENIED, PlanState.EXPIRED, PlanState.FAILED):
        return IncidentState.ESCALATED, *_why_stopped(plan)
    if plan is not None or report is None:
        return None
    match report.status.state:
        case ReportState.UNRESOLVED:
            return IncidentState.ESCALATED, "Unresolved", "no hypothesis stood; a person has to look"
        case ReportState.FAILED:
            return IncidentState.ESCALATED, "DiagnosisFailed", _last_message(report)
    if diagnosed(report) and recommendation(report) is None:
        return IncidentState.ESCALATED, "NoAction", f"no typed action addresses it: {report.status.cause}"
    return None


def _underway(view: View) -> tuple[IncidentState, str, str]:
    if view.plan is not None:
        if view.plan.status.state is PlanState.AWAITING_APPROVAL:
            return IncidentState.AWAITING_APPROVAL, "AwaitingApproval", _how_to_decide(view.plan)
        return IncidentState.PLANNED, "PlanCreated", view.plan.spec.summary
    if diagnosed(view.report):
        return IncidentState.DIAGNOSED, "Diagnosed", view.report.status.cause if view.report else ""
    if view.report is not None:
        return (
            IncidentState.DIAGNOSING,
            "Diagnosing",
            _last_message(view.report) or "waiting for the root cause analysis",
        )
    return IncidentState.DETECTED, "Detected", view.incident.spec.summary


def _diagnosed(report: RCAReport | None) -> Wanted:
    if report is None:
        return Wanted("Diagnosed", None, "Pending", "no report yet")
    if not diagnosed(report):
        blocked = next((item for item in report.status.conditions if item.status is ConditionStatus.FALSE), None)
        if blocked is not None:
            return Wanted("Diagnosed", False, blocked.reason, blocked.message)
        return Wanted("Diagnosed", None, "Diagnosing", f"report {report.metadata.name} is being written")
    state = report.status.state or ReportState.FAILED
    good = state in (ReportState.COMPLETE, ReportState.DEGRADED)
    return Wanted("Diagnosed", good, state.value, report.status.cause or _last_message(report))


def _planned(view: View) -> Wanted:
    if view.plan is not None:
        return Wanted("Planned", True, "PlanCreated", f"{view.plan.metadata.name}: {view.plan.spec.summary}")
    if diagnosed(view.report) and view.report is not None and recommendation(view.report) is None:
        return Wanted("Planned", False, "NoAction", "the report recommends nothing that the executor can do")
    return Wanted("Planned", None, "Pending", "no plan yet")


def _approved(plan: ActionPlan | None) -> Wanted:
    return _from_plan(plan, "Approved", "Approved", "no plan yet")


def _remediated(plan: ActionPlan | None) -> Wanted:
    return _from_plan(plan, "Executed", "Remediated", "nothing was carried out")


def _verified(view: View) -> Wanted:
    if view.verdict is not None and view.plan is not None and view.plan.status.verification is not None:
        effective = view.verdict is Verdict.EFFECTIVE
        return Wanted("Verified", effective, view.verdict.value, view.plan.status.verification.message)
    return _from_plan(view.plan, "Verified", "Verified", "nothing to verify yet")


def _from_plan(plan: ActionPlan | None, source: str, name: str, nothing: str) -> Wanted:
    """The plan's own condition under our name: one truth, said once more."""
    found = next((item for item in plan.status.conditions if item.type == source), None) if plan is not None else None
    if found is None:
        return Wanted(name, None, "Pending", nothing)
    status = {ConditionStatus.TRUE: True, ConditionStatus.FALSE: False, ConditionStatus.UNKNOWN: None}[found.status]
    return Wanted(name, status, found.reason, found.message)


def _why_stopped(plan: ActionPlan) -> tuple[str, str]:
    state = plan.status.state.value if plan.status.state is not None else "Stopped"
    for name in ("Executed", "Approved", "Decided"):
        found = next((item for item in plan.status.conditions if item.type == name), None)
        if found is not None and found.status is ConditionStatus.FALSE:
            return found.reason, f"plan {plan.metadata.name} {state.lower()}: {found.message}"
    return f"Plan{state}", f"plan {plan.metadata.name} {state.lower()}"


def _how_to_decide(plan: ActionPlan) -> str:
    ref = plan.status.decision.approval_ref if plan.status.decision is not None else None
    if ref is None:
        return "waiting for a decision"
    return f"kubectl annotate approval {ref.name} -n {plan.metadata.namespace} iirp.io/decision=approve"


def _last_message(report: RCAReport) -> str:
    bad = [item for item in report.status.conditions if item.status is ConditionStatus.FALSE]
    return bad[0].message if bad else ""


def _settled_at(view: View) -> datetime:
    verification = view.plan.status.verification if view.plan is not None else None
    judged = verification.completed_at if verification is not None else None
    return (judged or view.now) + SETTLE
