"""Small objects of a chain, with everything optional, as they would come from the API server."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from crds.v1alpha1.actionplan import ActionPlan, ActionPlanSpec, ActionPlanStatus, PlanState
from crds.v1alpha1.actions import Action, ActionType
from crds.v1alpha1.base import LocalRef, ObjectMeta, Scope, Severity, TargetRef, Window
from crds.v1alpha1.conditions import Wanted, merge
from crds.v1alpha1.detection import DetectionStatus
from crds.v1alpha1.execution import ActionPhase, ActionResult, ExecutionStatus
from crds.v1alpha1.incident import DetectedBy, Incident, IncidentSpec, IncidentStatus, Override
from crds.v1alpha1.rcareport import (
    Evidence,
    EvidenceKind,
    RCAReport,
    RCAReportSpec,
    RCAReportStatus,
    RecommendedAction,
    ReportState,
    RootCause,
)
from crds.v1alpha1.verification import Verdict, VerificationStatus
from tests.fakes.kube import START

TARGET = TargetRef(kind="Deployment", namespace="shop", name="payments", uid="uid-payments")
FINGERPRINT = "0123456789abcdef"


def at(seconds: float) -> datetime:
    """Seconds after the beginning of time in tests."""
    return START + timedelta(seconds=seconds)


def spec(**changes: Any) -> IncidentSpec:
    fields: dict[str, Any] = {
        "fingerprint": FINGERPRINT,
        "type": "MemoryLeak",
        "scope": Scope.WORKLOAD,
        "target": TARGET,
        "started_at": at(-60),
        "detected_at": at(0),
        "detected_by": DetectedBy(rule="memory-leak", confidence_percent=90),
        "severity": Severity.HIGH,
        "summary": "working set grows 3.1 MiB/min",
    }
    return IncidentSpec(**(fields | changes))


def detection(active: bool = True, **changes: Any) -> DetectionStatus:
    fields: dict[str, Any] = {"active": active, "last_seen_at": at(0), "severity": Severity.HIGH}
    return DetectionStatus(**(fields | changes))


def incident(
    *, name: str = "payments-leak-abcde", status: IncidentStatus | None = None, closed: bool = False, **changes: Any
) -> Incident:
    override = Override(closed=True, note="known, harmless") if closed else None
    return Incident(
        metadata=ObjectMeta(
            name=name,
            namespace="shop",
            uid=f"uid-{name}",
            generation=1,
            creation_timestamp=at(0),
            labels={"iirp.io/fingerprint": changes.get("fingerprint", FINGERPRINT)},
        ),
        spec=spec(override=override, **changes),
        status=status or IncidentStatus(detection=detection()),
    )


def restart() -> Action:
    return Action(id="restart", type=ActionType.RESTART_DEPLOYMENT, target=TARGET)


def report(
    state: ReportState | None = ReportState.COMPLETE,
    *,
    of: Incident | None = None,
    name: str = "",
    recommends: bool = True,
    refuted: bool = False,
    created: float = 1,
    waiting: str = "",
) -> RCAReport:
    of = of or incident()
    done = state not in (None, ReportState.PENDING)
    cause = RootCause(
        id="c1",
        kind="MemoryLeak",
        summary="memory grows since revision 7",
        target=TARGET,
        confidence_percent=84,
        refuted=refuted,
        evidence=[Evidence(id="e1", kind=EvidenceKind.CHANGE, summary="image v1.8 -> v1.9", at=at(-105))],
    )
    recommended = RecommendedAction(cause_id="c1", action=restart(), why="frees it", confidence_percent=80)
    conditions = merge([], [Wanted("Complete", False, "AnalysisUnreachable", waiting)] if waiting else [], at(created))
    return RCAReport(
        metadata=ObjectMeta(
            name=name or of.metadata.name,
            namespace="shop",
            uid=f"uid-rcar-{name or of.metadata.name}",
            creation_timestamp=at(created),
        ),
        spec=RCAReportSpec(incident_ref=of.ref(), window=Window(start=at(-600), end=at(0))),
        status=RCAReportStatus(
            state=state,
            conditions=conditions,
            cause="memory grows since revision 7" if done else "",
            cause_kind=cause.kind if done else None,
            confidence_percent=84 if done else None,
            root_causes=[cause] if done else [],
            recommended_actions=[recommended] if done and recommends else [],
            method="deterministic" if done else "",
            completed_at=at(created + 1) if done else None,
        ),
    )


def plan(
    state: PlanState | None = PlanState.PROPOSED,
    *,
    of: Incident | None = None,
    number: int = 1,
    created: float = 5,
    of_report: RCAReport | None = None,
    by_person: bool = False,
    executed: ActionPhase | None = None,
    wrote: bool = True,
    verdict: Verdict | None = None,
    judged: float = 100,
    said: tuple[Wanted, ...] = (),
) -> ActionPlan:
    of = of or incident()
    name = f"{of.metadata.name}-{number}"
    of_report = of_report or report(of=of)
    execution = verification = None
    if executed is not None:
        written = ActionPhase.WRITTEN if wrote else ActionPhase.REFUSED
        execution = ExecutionStatus(
            phase=executed,
            reason="RolledOut",
            message="2/2 ready",
            started_at=at(50),
            finished_at=at(70),
            actions=[ActionResult(id="restart", action_id="act-0", phase=written, reason="Written", started_at=at(50))],
        )
        verification = VerificationStatus(
            verdict=verdict,
            reason="SlopeGone",
            message="slope 0.0 MiB/min",
            window=Window(start=at(70), end=at(115)),
            completed_at=at(judged) if verdict else None,
        )
    return ActionPlan(
        metadata=ObjectMeta(name=name, namespace="shop", uid=f"uid-aplan-{name}", creation_timestamp=at(created)),
        spec=ActionPlanSpec(
            incident_ref=of.ref(),
            report_ref=None if by_person else LocalRef(name=of_report.metadata.name, uid=of_report.metadata.uid),
            requested_by="alice" if by_person else "system:serviceaccount:iirp-system:iirp-incident",
            cause_kind="MemoryLeak",
            confidence_percent=80,
            actions=[restart()],
            summary="Restart deploy/payments",
        ),
        status=ActionPlanStatus(
            state=state,
            conditions=merge([], said, at(created)),
            execution=execution,
            verification=verification,
        ),
    )
