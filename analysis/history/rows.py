"""From objects of the API to rows of the history. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from analysis.contract import Change, HistoryRecord
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.approval import Approval
from crds.v1alpha1.incident import Incident, TimelineEntry, TimelineSource
from crds.v1alpha1.rcareport import RCAReport

OPENED_BY = "iirp-detection"
"""Who says that an incident was opened."""

Row = dict[str, Any]


def incident_row(record: HistoryRecord, now: datetime) -> Row:
    """One row of ``incidents``; what the rca request found (templates, changes) is kept by another way."""
    incident = record.incident
    spec, status = incident.spec, incident.status
    newest = sorted(record.reports, key=_made)[-1:]
    first = next((one for report in newest for one in report.status.root_causes if not one.refuted), None)
    return {
        "uid": incident.metadata.uid,
        "cluster": record.cluster,
        "namespace": incident.metadata.namespace,
        "name": incident.metadata.name,
        "fingerprint": spec.fingerprint,
        "type": spec.type,
        "target_kind": spec.target.kind,
        "target_name": spec.target.name,
        "severity": (status.severity or spec.severity).value,
        "state": status.state.value if status.state is not None else "",
        "started_at": spec.started_at,
        "resolved_at": status.resolved_at,
        "cause_kind": first.kind if first is not None else "",
        "cause": status.cause,
        "confidence": first.confidence_percent if first is not None else None,
        "action": status.action,
        "verdict": status.verdict.value if status.verdict is not None else "",
        "summary": spec.summary,
        "body": {"spec": spec.to_wire(), "status": status.to_wire()},
        "updated_at": now,
    }


def _made(report: RCAReport) -> tuple[datetime, str]:
    return report.metadata.creation_timestamp or report.spec.window.end, report.metadata.name


def object_rows(record: HistoryRecord, now: datetime) -> list[Row]:
    """Report, plans and approvals."""
    chain: list[RCAReport | ActionPlan | Approval] = [*record.reports, *record.plans, *record.approvals]
    return [
        {
            "uid": one.metadata.uid,
            "incident_uid": record.incident.metadata.uid,
            "kind": one.definition.kind,
            "name": one.metadata.name,
            "body": {"spec": one.spec.to_wire(), "status": one.status.to_wire()},
            "updated_at": now,
        }
        for one in chain
        if one.metadata.uid
    ]


def timeline_rows(incident: Incident) -> list[Row]:
    """Every line that the object's timeline has now; the same line has the same ``entry`` whenever it is sent."""
    rows = {
        _entry(one): {
            "incident_uid": incident.metadata.uid,
            "entry": _entry(one),
            "at": one.at,
            "source": one.source.value,
            "actor": one.actor,
            "message": one.message,
            "reference": one.reference,
        }
        for one in incident.status.timeline
    }
    return list(rows.values())


def _entry(line: TimelineEntry) -> str:
    """By all that it says; of the line that opened the incident, whose figures move on, by who said so and when."""
    opened = line.source is TimelineSource.INCIDENT and line.actor == OPENED_BY
    said = "" if opened else line.message
    return short_digest(line.at.isoformat(timespec="seconds"), line.source.value, line.actor, said)


def change_rows(cluster: str, changes: Iterable[Change]) -> list[Row]:
    """Changes, each once however often it is reported."""
    found = {
        short_digest(
            cluster, one.target.namespace, one.target.kind, one.target.name, one.kind.value,
            one.at.isoformat(timespec="seconds"), one.revision, length=32,
        ): one
        for one in changes
    }  # fmt: skip
    return [
        {
            "id": key,
            "cluster": cluster,
            "namespace": one.target.namespace,
            "target_kind": one.target.kind,
            "target_name": one.target.name,
            "at": one.at,
            "kind": one.kind.value,
            "revision": one.revision[:32],
            "actor": one.actor[:253],
            "summary": one.summary,
            "reference": one.reference,
        }
        for key, one in sorted(found.items())
    ]


def short_digest(*parts: str, length: int = 16) -> str:
    """Hex digits of a SHA-256 over the parts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:length]


def storable(value: Any) -> Any:
    """The value without NUL, which JSON may hold and a text in PostgreSQL may not."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    return value
