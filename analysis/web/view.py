"""How objects are shown: small pure functions, used as template filters. Escaping is the templates' work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from markupsafe import Markup, escape

from analysis.words import mib, mib_per_minute
from crds.v1alpha1.approval import Approval, ApprovalState
from crds.v1alpha1.incident import Incident, IncidentState

_TONES: Mapping[str, str] = MappingProxyType(
    {
        "Resolved": "good", "Recovered": "good", "Closed": "quiet", "Escalated": "bad",
        "AwaitingApproval": "ask", "Approved": "good", "Verified": "good", "Effective": "good",
        "Rejected": "bad", "Denied": "bad", "Expired": "quiet", "Superseded": "quiet", "Failed": "bad",
        "Ineffective": "bad", "Void": "bad", "Used": "good", "Pending": "ask", "Complete": "good", "Degraded": "ask",
        "Unresolved": "ask", "Succeeded": "good", "Refused": "bad", "critical": "bad", "high": "bad", "medium": "ask",
        "low": "quiet", "New": "bad", "Bursting": "bad", "Vanished": "ask",
    }
)  # fmt: skip


def is_open(incident: Incident) -> bool:
    """Whether the story can still go on: what is resolved may reopen, what is escalated is in people's hands."""
    return incident.status.state is not IncidentState.CLOSED


def tone(word: object) -> str:
    """CSS class of a state or severity word; unknown words are neutral."""
    return _TONES.get(str(getattr(word, "value", word)), "plain")


def clock(at: datetime | None) -> str:
    """``14:31:05``."""
    return at.astimezone(UTC).strftime("%H:%M:%S") if at else "–"


def stamp(at: datetime | None) -> str:
    """``2026-01-31 14:31:05 UTC``."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if at else "–"


def time_element(text: str, at: datetime | None = None, form: str = "stamp") -> Markup:
    """``<time>`` around what :func:`stamp` or :func:`clock` wrote, so that scripts can tell the reader's own."""
    if at is None:
        try:
            at = datetime.strptime(text, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
        except ValueError:
            return escape(text)
    return Markup('<time datetime="{}" data-form="{}">{}</time>').format(at.astimezone(UTC).isoformat(), form, text)


def age(at: datetime | None, now: datetime) -> str:
    """``45s``, ``12m``, ``3h``, ``2d``: as kubectl writes ages."""
    if at is None:
        return "–"
    seconds = max(0, int((now - at).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def since(at: datetime, start: datetime) -> str:
    """Time from ``start``, with its sign: ``−36 s``, ``0 s``, ``+3 min``, ``+2 h``."""
    seconds = round((at - start).total_seconds())
    sign, size = "−" if seconds < 0 else "+" if seconds else "", abs(seconds)
    if size < 120:
        return f"{sign}{size} s"
    return f"{sign}{size // 60} min" if size < 7200 else f"{sign}{size // 3600} h"


def amount(value: str | None, unit: str) -> str:
    """A measured value with its unit, bytes as MiB."""
    if value is None:
        return "–"
    try:
        number = float(value)
    except ValueError:
        return "–"
    if unit == "bytes":
        return mib(number)
    if unit == "bytes/s":
        return mib_per_minute(number)
    return f"{number:.4g} {unit}".strip()


def commands(approval: Approval) -> tuple[tuple[str, str], ...]:
    """The exact kubectl commands that decide a pending approval. Names are DNS names: safe in a shell."""
    if approval.status.state not in {None, ApprovalState.PENDING}:
        return ()
    where = f"kubectl annotate approval {approval.metadata.name} -n {approval.metadata.namespace}"
    return (
        ("approve", f'{where} iirp.io/decision=approve iirp.io/reason="…"'),
        ("reject", f'{where} iirp.io/decision=reject iirp.io/reason="…"'),
    )


FILTERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "tone": tone,
        "clock": clock,
        "stamp": stamp,
        "age": age,
        "since": since,
        "time": time_element,
        "amount": amount,
        "commands": commands,
    }
)
