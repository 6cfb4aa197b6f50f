"""From the analysis server's answer, or its absence, to the report's status. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from analysis.contract import RcaResponse
from controllers.runtime.limits import first, fit
from crds.v1alpha1.conditions import Wanted, merge
from crds.v1alpha1.rcareport import UNRESOLVED_BELOW, RCAReport, RCAReportStatus, ReportState

FINISHED = frozenset({ReportState.COMPLETE, ReportState.DEGRADED, ReportState.UNRESOLVED, ReportState.FAILED})


def started(report: RCAReport, now: datetime) -> dict[str, Any]:
    """The analysis is being asked."""
    return _status(
        report, now, ReportState.PENDING, [Wanted("Complete", None, "Analysing", "asking the analysis server")]
    )


def waiting(report: RCAReport, reason: str, message: str, now: datetime) -> dict[str, Any]:
    """Something that is needed does not answer; it is asked again, with backoff."""
    return _status(report, now, ReportState.PENDING, [Wanted("Complete", False, reason, message)])


def failed(report: RCAReport, reason: str, message: str, now: datetime) -> dict[str, Any]:
    """The question itself was refused: asking again changes nothing."""
    return _status(report, now, ReportState.FAILED, [Wanted("Complete", False, reason, message)], completed_at=now)


def answered(report: RCAReport, response: RcaResponse, missing: Sequence[str], now: datetime) -> dict[str, Any]:
    """``missing``: what we ourselves could not read from the API server."""
    standing = next(
        (one for one in response.root_causes if not one.refuted and one.confidence_percent >= UNRESOLVED_BELOW), None
    )
    lacking = [*missing, *response.missing_data]
    degraded = response.degraded_reason
    if standing is None:
        state, text = ReportState.UNRESOLVED, "no hypothesis stood, or none that is likely enough"
    else:
        state, text = (ReportState.DEGRADED if degraded else ReportState.COMPLETE), standing.summary
    conditions = [
        Wanted("Complete", True, state.value, text),
        Wanted("Degraded", bool(degraded), "ModelUnavailable" if degraded else "AsConfigured", degraded),
        Wanted("DataMissing", bool(lacking), "SourcesUnread" if lacking else "AllRead", "; ".join(lacking)),
    ]
    return _status(
        report,
        now,
        state,
        conditions,
        cause=fit(RCAReportStatus, "cause", standing.summary) if standing is not None else "",
        cause_kind=standing.kind if standing is not None else None,
        confidence_percent=standing.confidence_percent if standing is not None else None,
        root_causes=first(RCAReportStatus, "root_causes", response.root_causes),
        recommended_actions=first(RCAReportStatus, "recommended_actions", response.recommended_actions),
        method=fit(RCAReportStatus, "method", response.method),
        model=fit(RCAReportStatus, "model", response.model),
        degraded_reason=fit(RCAReportStatus, "degraded_reason", degraded),
        missing_data=first(RCAReportStatus, "missing_data", [fit(RCAReportStatus, "cause", item) for item in lacking]),
        window=response.window,
        logs=first(RCAReportStatus, "logs", response.logs),
        similar=first(RCAReportStatus, "similar", response.similar),
        evidence_digest=response.evidence_digest,
        completed_at=now,
    )


def _status(
    report: RCAReport, now: datetime, state: ReportState, wanted: list[Wanted], **fields: Any
) -> dict[str, Any]:
    generation = report.metadata.generation
    conditions = merge(report.status.conditions, wanted, now, generation)
    return RCAReportStatus(state=state, observed_generation=generation, conditions=conditions, **fields).to_wire()
