"""What there is to tell. Pure: an Incident in, notifications out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from pydantic import BaseModel, ConfigDict

from crds.v1alpha1.base import Severity, format_time
from crds.v1alpha1.incident import Incident, IncidentState

__all__ = ["Event", "Notification", "about", "summary"]


class Event(StrEnum):
    """What happened, as routes name it."""

    OPENED = "opened"
    DECISION = "decision"
    """A person is asked."""
    ESCALATED = "escalated"
    ENDED = "ended"


class Notification(BaseModel):
    """One thing to tell, complete in itself: it is kept in the outbox and may be sent much later."""

    model_config = ConfigDict(frozen=True)

    key: str
    """The same thing is told once: incident UID, episode, event and, for decisions, the plan."""
    event: Event
    incident: str
    """UID: what belongs together, for threads and for PagerDuty."""
    namespace: str
    name: str
    type: str
    severity: Severity
    target: str
    title: str
    cause: str = ""
    action: str = ""
    approval: str = ""
    state: str
    url: str = ""
    at: str
    """RFC 3339."""
    lines: tuple[str, ...] = ()
    """Of a summary: what it stands for."""


MAX_SUMMARY_LINES = 20
_ENDED = {IncidentState.RESOLVED, IncidentState.RECOVERED, IncidentState.CLOSED}


def about(incident: Incident, page: str, now: datetime) -> list[Notification]:
    """All that may be told of an incident as it is now, oldest first.

    Level-based: whoever was away still tells that it opened and what it waits for; the outbox drops what was told.
    ``page`` is the address of the web page; empty leaves links out.
    """
    state = incident.status.state or IncidentState.DETECTED
    found = [_make(incident, Event.OPENED, "", page, now)] if state not in _ENDED else []
    if state is IncidentState.AWAITING_APPROVAL and incident.status.approval_ref is not None:
        found.append(_make(incident, Event.DECISION, incident.status.approval_ref.name, page, now))
    if state is IncidentState.ESCALATED:
        found.append(_make(incident, Event.ESCALATED, "", page, now))
    if state in _ENDED:
        found.append(_make(incident, Event.ENDED, "", page, now))
    return found


def summary(told: Sequence[Notification], page: str, now: datetime) -> Notification:
    """One message in the place of several: how many of each event, the worst severity, and a line each."""
    events = Counter(one.event for one in told)
    lines = [f"{one.severity.value}: {one.title}" for one in told[:MAX_SUMMARY_LINES]]
    rest = len(told) - len(lines)
    counted = ", ".join(f"{count} {event.value}" for event, count in events.items())
    return Notification(
        key=sha256("\n".join(one.key for one in told).encode()).hexdigest(),
        event=Event.OPENED if events[Event.OPENED] else Event.ENDED,
        incident="",
        namespace="",
        name="",
        type="",
        severity=max((one.severity for one in told), key=list(Severity).index),
        target="",
        title=f"{len(told)} incidents: {counted}",
        state="",
        url=page,
        at=format_time(now),
        lines=(*lines, *([f"and {rest} more"] if rest else [])),
    )


def _make(incident: Incident, event: Event, approval: str, page: str, now: datetime) -> Notification:
    meta, spec, status = incident.metadata, incident.spec, incident.status
    state = status.state.value if status.state else "Detected"
    place = f"{meta.namespace}/{spec.target.short()}"
    titles = {
        Event.OPENED: f"{spec.type} in {place}",
        Event.DECISION: f"Decision needed: {status.action or 'a plan'} ({spec.type} in {place})",
        Event.ESCALATED: f"Needs a person: {spec.type} in {place}",
        Event.ENDED: f"{state}: {spec.type} in {place}",
    }
    return Notification(
        key=":".join([meta.uid, str(status.reopened), event.value, *([approval] if approval else [])]),
        event=event,
        incident=meta.uid,
        namespace=meta.namespace,
        name=meta.name,
        type=spec.type,
        severity=status.severity or spec.severity,
        target=spec.target.short(),
        title=titles[event],
        cause=status.cause or spec.summary,
        action=status.action,
        approval=approval,
        state=state,
        url=f"{page.rstrip('/')}/incidents/{meta.namespace}/{meta.name}" if page else "",
        at=format_time(now),
    )
