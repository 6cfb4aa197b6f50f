"""Where an Incident stands for detection: on, ended, going; and which of them grouping must know. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from analysis.contract import OpenIncident
from controllers.detection.status import ended_at
from crds.v1alpha1.incident import Incident, IncidentState
from crds.v1alpha1.labels import FINGERPRINT_LABEL

MAX_HELD = 1000
"""Incidents sent along with a request."""


def held(incidents: Iterable[Incident], now: datetime, reopen_window: timedelta) -> tuple[OpenIncident, ...]:
    """What the analysis server must know to group as before: what is on, and what may still reopen; newest first."""
    found = [item for item in incidents if not deleting(item) and _may_hold(item, now, reopen_window)]
    found.sort(key=lambda item: (active(item), item.spec.detected_at), reverse=True)
    return tuple(
        OpenIncident(
            uid=item.metadata.uid,
            fingerprint=item.spec.fingerprint,
            type=item.spec.type,
            scope=item.spec.scope,
            target=item.spec.target,
            severity=item.spec.severity,
            started_at=item.spec.started_at,
            active=active(item),
            members=tuple(member.fingerprint for member in item.status.detection.members)
            if item.status.detection is not None
            else (),
            origin=item.status.detection.origin if item.status.detection is not None else None,
        )
        for item in found[:MAX_HELD]
    )


def _may_hold(incident: Incident, now: datetime, reopen_window: timedelta) -> bool:
    return active(incident) or not ended(incident) or now - ended_at(incident) <= reopen_window


def active(incident: Incident) -> bool:
    """Detection saw it when it last looked."""
    if incident.status.detection is not None:
        return incident.status.detection.active
    return FINGERPRINT_LABEL in incident.metadata.labels  # ours, and we were stopped between create and first status


def ended(incident: Incident) -> bool:
    """Nothing more will be done about it, unless it reopens."""
    if incident.spec.override is not None and incident.spec.override.closed:
        return True
    return incident.status.state in (IncidentState.RESOLVED, IncidentState.RECOVERED, IncidentState.CLOSED)


def deleting(incident: Incident) -> bool:
    """It is on its way out of the cluster."""
    return incident.metadata.deletion_timestamp is not None


def over_already(incident: Incident) -> bool:
    """Ended, and the fault had gone."""
    return ended(incident) and not active(incident)
