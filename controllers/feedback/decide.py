"""What to do next about an executed plan's verification. Pure.

Missing data is never good data (S11): without a usable answer until the end of the window and the grace after it, the
verdict is ``Inconclusive``, with the reason why nothing was known. The grace also covers samples on their way: from the
end of the window on the server judges as soon as its data suffice, and only the last question asks it to give up.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from analysis.contract import IncidentFacts, MeasuredChange, VerifyRequest, VerifyResponse
from controllers.feedback.observed import Look, is_state, targets_of
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actions import Effect
from crds.v1alpha1.base import TargetRef, Window
from crds.v1alpha1.clip import clip
from crds.v1alpha1.execution import ActionPhase
from crds.v1alpha1.incident import Incident
from crds.v1alpha1.verification import Measurement, Verdict, VerificationStatus

MAX_MEASUREMENTS = 8
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]{0,62}")


@dataclass(frozen=True)
class Timing:
    """How long to look, and how long after that to keep asking where no verdict could be reached."""

    window: timedelta
    grace: timedelta


@dataclass(frozen=True)
class Nothing:
    """Not executed, or already judged."""


@dataclass(frozen=True)
class Ask:
    """Ask the analysis server; a ``final`` request ends it, whatever comes back."""

    request: VerifyRequest


@dataclass(frozen=True)
class Conclude:
    """There is nothing to measure: the verdict follows from the plan."""

    status: VerificationStatus


Step = Nothing | Ask | Look | Conclude


def decide(plan: ActionPlan, incident: Incident, timing: Timing, now: datetime) -> Step:
    """Window and deadline follow from the plan alone, so a restarted controller goes on where the last one was."""
    execution, verification = plan.status.execution, plan.status.verification
    if execution is None or execution.phase is not ActionPhase.SUCCEEDED or execution.finished_at is None:
        return Nothing()
    if verification is not None and verification.verdict is not None:
        return Nothing()
    if (status := concluded(plan)) is not None:
        return Conclude(status)
    window = verification.window if verification is not None else None
    # A window that was begun stays as it was announced, whatever the configuration says now.
    window = window or Window(start=execution.finished_at, end=execution.finished_at + timing.window)
    final = now >= window.end + timing.grace
    if is_state(plan, incident):
        return Look(targets=targets_of(plan, incident), since=execution.finished_at, window=window, final=final)
    request = VerifyRequest(
        incident=facts(incident),
        actions=tuple(plan.spec.actions),
        executed_at=execution.finished_at,
        window=window,
        final=final,
    )
    return Ask(request)


def concluded(plan: ActionPlan) -> VerificationStatus | None:
    """Of a plan that ended and cannot have helped, because that was not what it was for; None: it is to be measured."""
    execution = plan.status.execution
    if execution is None or execution.finished_at is None:
        return None
    if plan.spec.undoes is not None:
        # As it was before: the incident is where it began, and a person's.
        message = f"what plan {plan.spec.undoes.name} had changed was taken back; nothing else was done"
        return _unmeasured("Undone", message, execution.finished_at)
    if all(action.effect is Effect.RUN_JOB for action in plan.spec.actions):
        seen = "\n".join(result.output for result in execution.actions if result.output) or "nothing"
        return _unmeasured("DiagnosisOnly", f"nothing was changed; the Job reported: {seen}", execution.finished_at)
    return None


def _unmeasured(reason: str, message: str, at: datetime) -> VerificationStatus:
    return VerificationStatus(
        verdict=Verdict.INCONCLUSIVE,
        reason=reason,
        message=clip(VerificationStatus, "message", message),
        window=Window(start=at, end=at),
        completed_at=at,
    )


def answered(step: Ask, answer: VerifyResponse, now: datetime) -> VerificationStatus:
    """The answer as status. A final question that is not judged is ``Inconclusive``."""
    # Data of somebody else: what is no CamelCase word would be refused by the API server, and the verdict lost with it.
    verdict, reason = answer.verdict, answer.reason if _WORD.fullmatch(answer.reason) else "Answered"
    if verdict is None and step.request.final:
        verdict, reason = Verdict.INCONCLUSIVE, "NoVerdict"
    return VerificationStatus(
        verdict=verdict,
        reason=reason,
        message=clip(VerificationStatus, "message", answer.message),
        window=step.request.window,
        measurements=[_measurement(change) for change in answer.measurements[:MAX_MEASUREMENTS]],
        completed_at=now if verdict is not None else None,
    )


def unanswered(plan: ActionPlan, step: Ask, reason: str, message: str, now: datetime) -> VerificationStatus:
    """Why there is nothing to show: visible at once. After the last question it is ``Inconclusive``."""
    before, final = plan.status.verification, step.request.final
    return VerificationStatus(
        verdict=Verdict.INCONCLUSIVE if final else None,
        reason=reason,
        message=clip(VerificationStatus, "message", message),
        window=step.request.window,
        measurements=before.measurements if before is not None else [],
        completed_at=now if final else None,
    )


def facts(incident: Incident) -> IncidentFacts:
    """What the analysis server needs to know of the incident."""
    spec, detection = incident.spec, incident.status.detection
    return IncidentFacts(
        name=incident.metadata.name,
        namespace=incident.metadata.namespace,
        uid=incident.metadata.uid,
        type=spec.type,
        scope=spec.scope,
        target=spec.target,
        severity=incident.status.severity or spec.severity,
        started_at=spec.started_at,
        detected_at=spec.detected_at,
        prediction=detection.prediction if detection is not None else None,
        rules=_rules(incident),
    )


def _rules(incident: Incident) -> tuple[str, ...]:
    """What raised it: the same has to be better. What was merged into it is somebody else's, or another fault."""
    spec, detection = incident.spec, incident.status.detection
    signals = detection.signals if detection is not None else []
    return tuple(sorted({one.rule for one in signals if one.type == spec.type and _same(one.target, spec.target)}))


def _same(one: TargetRef, other: TargetRef) -> bool:
    return (one.kind, one.namespace, one.name) == (other.kind, other.namespace, other.name)


def _measurement(change: MeasuredChange) -> Measurement:
    return Measurement(
        name=clip(Measurement, "name", change.name),
        query=clip(Measurement, "query", change.query),
        unit=clip(Measurement, "unit", change.unit),
        before=measure(change.before),
        after=measure(change.after),
        control_before=None if change.control_before is None else measure(change.control_before),
        control_after=None if change.control_after is None else measure(change.control_after),
    )


def measure(value: float) -> str:
    """A float as the API's decimal string, six significant digits; what is not finite is ``NaN``."""
    return f"{value:.6g}" if math.isfinite(value) else "NaN"
