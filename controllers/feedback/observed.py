"""The verdict on faults that the API server itself reports: is the fault still seen, and how are the targets? Pure.

Both must speak (S11): detection that sees nothing may be dead, and a target that is complete may fail all the same.
What somebody else changed meanwhile is nobody's success.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actions import Effect
from crds.v1alpha1.base import TargetRef, Window
from crds.v1alpha1.clip import clip
from crds.v1alpha1.detection import DetectionStatus
from crds.v1alpha1.execution import ExecutionStatus
from crds.v1alpha1.incident import Incident
from crds.v1alpha1.verification import Measurement, Verdict, VerificationStatus

STATES = frozenset(
    {
        "FailedMount", "ImagePullFailed", "NotReady", "PendingPods", "PodsRefused", "QuotaExceeded", "RolloutStalled",
        "ScaledToZero", "ZeroEndpoints",
    }
)  # fmt: skip
"""Types of incidents that are a state of objects, over when it is over."""
KINDS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
SLACK = timedelta(seconds=90)
"""Detection writes what it sees now and then, not each time."""


@dataclass(frozen=True)
class TargetState:
    """One workload, as the API server has it now."""

    target: TargetRef
    complete: bool | None
    """All wanted pods (at least one) are of the newest revision and available; None: it could not be read."""
    words: str
    changed_by: str = ""
    """Who, other than the platform and Kubernetes' controllers, wrote its spec since the action."""


@dataclass(frozen=True)
class Look:
    """Look at the targets; the ``final`` look ends it."""

    targets: tuple[TargetRef, ...]
    since: datetime
    window: Window
    final: bool


def is_state(plan: ActionPlan, incident: Incident) -> bool:
    """Whether the fault is over when it is no longer seen.

    Crashes come back: a process that leaks runs well for a while after each restart. Only a rollback ends a crash loop
    for good, because something else runs then.
    """
    if incident.spec.type == "CrashLoop":
        return all(action.effect is Effect.ROLLBACK for action in plan.spec.actions)
    return incident.spec.type in STATES


def targets_of(plan: ActionPlan, incident: Incident) -> tuple[TargetRef, ...]:
    """The workloads of the actions and of the incident, each once."""
    named = [*(action.target for action in plan.spec.actions), incident.spec.target]
    found = {(one.kind, one.name): one for one in reversed(named) if one.kind in KINDS}
    return tuple(found[key] for key in sorted(found))


def observe(
    plan: ActionPlan, incident: Incident, look: Look, states: Sequence[TargetState], now: datetime
) -> VerificationStatus:
    """The verdict, or none yet; the last look without one is ``Inconclusive``."""
    execution, detection = plan.status.execution, incident.status.detection
    if execution is None or detection is None:
        verdict, reason, message = None, "NotWatched", "detection says nothing about this incident"
    else:
        verdict, reason, message = _ruling(execution, detection, states, look, now)
    if verdict is None and look.final:
        verdict = Verdict.INCONCLUSIVE
    return VerificationStatus(
        verdict=verdict,
        reason=reason,
        message=clip(VerificationStatus, "message", message),
        window=look.window,
        measurements=_measurements(incident, detection, states),
        completed_at=now if verdict is not None else None,
    )


Ruling = tuple[Verdict | None, str, str]
"""Verdict, reason, message."""


def _ruling(
    execution: ExecutionStatus, detection: DetectionStatus, states: Sequence[TargetState], look: Look, now: datetime
) -> Ruling:
    words = "; ".join(state.words for state in states)
    seen = f"last seen at {detection.last_seen_at:%H:%M:%S}"
    over = now >= look.window.end
    if detection.active:
        if over and now - detection.last_seen_at <= SLACK:
            return Verdict.INEFFECTIVE, "StillSeen", f"the fault is still seen, {seen}; {words}"
        return None, "DetectionSilent" if over else "Observing", f"the fault is not known to be over, {seen}; {words}"
    if detection.last_seen_at < execution.started_at - SLACK:
        return Verdict.RECOVERED_ANYWAY, "GoneBeforeAction", f"the fault was gone before the action, {seen}; {words}"
    others = [f"{state.changed_by} changed {state.target.short()} since" for state in states if state.changed_by]
    if others:
        return Verdict.INCONCLUSIVE if over else None, "ChangedByOthers", f"{'; '.join(others)}; {words}"
    if not states or any(state.complete is None for state in states):
        return None, "TargetUnread", f"the fault is not seen any more, {seen}; {words or 'no workload to look at'}"
    if not all(state.complete for state in states):
        return None, "NotComplete", f"the fault is not seen any more, {seen}, but {words}"
    message = f"the fault is not seen any more, {seen}; {words}"
    return (Verdict.EFFECTIVE, "FaultGone", message) if over else (None, "Observing", message)


def _measurements(
    incident: Incident, detection: DetectionStatus | None, states: Sequence[TargetState]
) -> list[Measurement]:
    """What can be asked again: the incident's own record, and the targets."""
    if detection is None or not states:
        return []
    meta = incident.metadata
    path = f"/apis/iirp.io/v1alpha1/namespaces/{meta.namespace}/incidents/{meta.name}"
    after = "1" if detection.active else "0"
    return [Measurement(name="fault seen", query=path, unit="1", before="1", after=after)]
