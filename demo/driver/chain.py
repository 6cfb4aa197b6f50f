"""One look at an incident's objects, and what changed since the last look. Pure: dictionaries in, lines out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crds.v1alpha1 import ActionPlan, Approval, Incident, RCAReport
from crds.v1alpha1.incident import TimelineEntry
from crds.v1alpha1.labels import INCIDENT_LABEL

__all__ = ["Chain", "Change", "chain_of", "changes", "choose_incident", "printable"]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Chain:
    """The objects of one incident; what is not there yet is None. Plans and approvals are the newest ones."""

    incident: Incident
    report: RCAReport | None = None
    plan: ActionPlan | None = None
    approval: Approval | None = None

    @property
    def name(self) -> str:
        """The incident's name."""
        return self.incident.metadata.name


@dataclass(frozen=True, slots=True)
class Change:
    """Something to show: `kind` chooses the colour, `text` is one printable line."""

    kind: str
    text: str
    key: tuple[str, ...] = field(default=(), compare=False)


def printable(text: object) -> str:
    """One line without control characters: names, log templates and reasons come from outside."""
    return _CONTROL.sub("", " ".join(str(text).split()))


def choose_incident(
    items: Iterable[Mapping[str, Any]], target: str, types: Iterable[str], known: set[str]
) -> Incident | None:
    """The oldest incident about a target that was not known before (by UID) and is of one of these types."""
    wanted = set(types)
    found = [
        incident
        for incident in map(Incident.from_wire, items)
        if incident.metadata.uid not in known and incident.spec.target.name == target and incident.spec.type in wanted
    ]
    return min(found, key=lambda incident: (incident.spec.detected_at, incident.metadata.name), default=None)


def chain_of(incident: Incident, listing: Mapping[str, Iterable[Mapping[str, Any]]]) -> Chain:
    """The incident's own objects out of everything in its namespace, by label."""
    name = incident.metadata.name

    def own(kind: str) -> list[Mapping[str, Any]]:
        mine = [
            item for item in listing.get(kind, ()) if item["metadata"].get("labels", {}).get(INCIDENT_LABEL) == name
        ]
        return sorted(mine, key=lambda item: (item["metadata"]["creationTimestamp"], item["metadata"]["name"]))

    reports, plans, approvals = own("rcareports"), own("actionplans"), own("approvals")
    return Chain(
        incident=incident,
        report=RCAReport.from_wire(reports[0]) if reports else None,
        plan=ActionPlan.from_wire(plans[-1]) if plans else None,
        approval=Approval.from_wire(approvals[-1]) if approvals else None,
    )


def changes(before: Chain | None, now: Chain) -> list[Change]:
    """What to tell: each object's state when it differs, and timeline entries that were not there."""
    shown = {change.key for change in _facts(before)} if before else set()
    return [change for change in _facts(now) if change.key not in shown]


def _facts(chain: Chain) -> list[Change]:
    found: list[Change] = []

    def state(kind: str, name: str, value: object, detail: str) -> None:
        if value is not None:
            text = f"{kind}/{name}  {value}" + (f"  {detail}" if detail else "")
            found.append(Change("state", printable(text), (kind, name, str(value))))

    incident = chain.incident
    about = f"{incident.spec.type} {incident.spec.target.short()}"
    if incident.status.state in (None, "Detected"):
        about = f"{about}: {incident.spec.summary}"
    state("incident", incident.metadata.name, incident.status.state, about)
    if chain.report:
        cause = chain.report.status.first_cause()
        detail = f"{cause.summary} ({cause.confidence_percent} %)" if cause else ""
        state("rcareport", chain.report.metadata.name, chain.report.status.state, detail)
    if chain.plan:
        state("actionplan", chain.plan.metadata.name, chain.plan.status.state, chain.plan.spec.summary)
    if chain.approval:
        status = chain.approval.status
        detail = f"{status.approvals} approvals" + (f", by {status.decided_by}" if status.decided_by else "")
        state("approval", chain.approval.metadata.name, status.state, detail)
    found.extend(_entry(entry) for entry in incident.status.timeline)
    return found


def _entry(entry: TimelineEntry) -> Change:
    key = ("timeline", entry.source.value, entry.at.isoformat(), entry.message)
    return Change(entry.source.value, printable(f"{entry.at:%H:%M:%S}  {entry.source.value:<9} {entry.message}"), key)
