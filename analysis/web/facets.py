"""The list of incidents: what is shown of it, and how many there are of each kind. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from crds.v1alpha1.base import Severity
from crds.v1alpha1.incident import Incident, IncidentState

__all__ = ["Facet", "Listing", "listing"]

OPEN = "open"
"""Pseudo state: everything that has not ended."""
_ENDED = {IncidentState.RESOLVED, IncidentState.RECOVERED, IncidentState.CLOSED}


@dataclass(frozen=True, slots=True)
class Facet:
    """One choice: its word, how many incidents it has within the other choices, where it leads, whether it is on."""

    word: str
    count: int
    link: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """What the page shows; ``total`` counts before any choice but the namespace."""

    namespace: str
    q: str
    state: str
    severity: str
    incidents: tuple[Incident, ...]
    total: int
    states: tuple[Facet, ...]
    severities: tuple[Facet, ...]


def listing(found: Sequence[Incident], namespace: str, state: str = "", severity: str = "", q: str = "") -> Listing:
    """Filter and count. Every choice is in the address, so that a view can be shared; unknown words match nothing."""
    words = [one for one in found if _speaks_of(one, q)]
    by_state = [one for one in words if not state or _in_state(one, state)]
    by_severity = [one for one in words if not severity or _severity(one) == severity]
    shown = [one for one in by_state if not severity or _severity(one) == severity]
    kept = {"namespace": namespace, "state": state, "severity": severity, "q": q}
    counted = Counter(_state(one) for one in by_severity)
    counted[OPEN] = sum(_in_state(one, OPEN) for one in by_severity)
    ranked = Counter(_severity(one) for one in by_state)
    names = (OPEN, *(item.value for item in IncidentState))
    return Listing(
        namespace, q, state, severity, tuple(shown), len(found),
        tuple(_facet("state", name, counted[name], kept) for name in names if counted[name] or name in {state, OPEN}),
        tuple(
            _facet("severity", item.value, ranked[item.value], kept)
            for item in reversed(Severity) if ranked[item.value] or item.value == severity
        ),
    )  # fmt: skip


def _facet(key: str, word: str, count: int, kept: dict[str, str]) -> Facet:
    chosen = kept[key] == word
    query = {name: value for name, value in {**kept, key: "" if chosen else word}.items() if value}
    return Facet(word, count, f"/?{urlencode(query)}" if query else "/", chosen)


def _speaks_of(incident: Incident, q: str) -> bool:
    spec, status = incident.spec, incident.status
    text = " ".join((incident.metadata.name, spec.type, spec.target.short(), spec.summary, status.cause, status.action))
    return all(word in text.lower() for word in q.lower().split())


def _in_state(incident: Incident, state: str) -> bool:
    return incident.status.state not in _ENDED if state == OPEN else _state(incident) == state


def _state(incident: Incident) -> str:
    return incident.status.state.value if incident.status.state else IncidentState.DETECTED.value


def _severity(incident: Incident) -> str:
    return (incident.status.severity or incident.spec.severity).value
