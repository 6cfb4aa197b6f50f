"""What became of a prediction, read from the Incident that made it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from crds.v1alpha1.incident import Incident, IncidentState
from crds.v1alpha1.verification import Verdict

__all__ = ["HARM", "Outcome", "Told", "told"]

HARM = frozenset({"OOMKilled", "Evicted", "DiskFull"})
"""Signals that say that what was predicted has happened."""
_ACTING = frozenset({IncidentState.REMEDIATING, IncidentState.VERIFYING})


class Outcome(StrEnum):
    """``Prevented`` needs a verdict that the action helped; without action and harm a prediction did not come true."""

    OPEN = "Open"
    CAME_TRUE = "CameTrue"
    PREVENTED = "Prevented"
    NOT_TRUE = "NotTrue"


@dataclass(frozen=True)
class Told:
    """A prediction, what became of it, and when."""

    expected_at: datetime
    earliest_at: datetime
    latest_at: datetime
    outcome: Outcome
    at: datetime | None = None
    """When the harm came."""

    @property
    def within(self) -> bool | None:
        """Whether the harm came within the interval; None where none came."""
        return None if self.at is None else self.earliest_at <= self.at <= self.latest_at


def told(incident: Incident, now: datetime) -> Told | None:
    """None for an incident that predicted nothing.

    The prediction is the newest that the incident has; detection refreshes it until the harm is there.
    """
    detection = incident.status.detection
    if not incident.spec.predicted or detection is None or detection.prediction is None:
        return None
    prediction = detection.prediction
    own = incident.spec.target
    harm = [
        item.first_seen_at
        for item in detection.signals  # of what was spoken of: an Incident holds its callers' signals as well
        if item.type in HARM and (item.target.kind, item.target.name) == (own.kind, own.name)
    ]
    came = min((at for at in harm if at >= incident.spec.started_at), default=None)
    if came is not None:
        outcome = Outcome.CAME_TRUE
    elif incident.status.verdict == Verdict.EFFECTIVE:
        outcome = Outcome.PREVENTED
    elif incident.status.state in _ACTING or (detection.active and now <= prediction.latest_at):
        outcome = Outcome.OPEN  # with an action under way, its verdict tells
    else:
        outcome = Outcome.NOT_TRUE
    return Told(prediction.expected_at, prediction.earliest_at, prediction.latest_at, outcome, came)
