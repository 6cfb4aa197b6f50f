"""Common questions about incidents, understood by a grammar and answered from the objects; no model. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from crds.v1alpha1 import Incident, RCAReport
from crds.v1alpha1.base import ConditionStatus
from crds.v1alpha1.incident import IncidentState, TimelineSource
from crds.v1alpha1.rcareport import EvidenceKind

__all__ = ["EXAMPLES", "Answer", "Intent", "Question", "answer", "parse"]

EXAMPLES: Final = (
    "which incidents are open?",
    "how many incidents were there in the last 24 hours?",
    "why did payments restart last night?",
    "when did checkout recover?",
    "what changed before the incident of payments?",
    "what waits for approval?",
    "compare payments and checkout in the last 7 days",
)
MAX_SHOWN: Final = 10
MAX_EXPLAINED: Final = 3
OVER: Final = frozenset({IncidentState.RESOLVED, IncidentState.RECOVERED, IncidentState.CLOSED})


class Intent(StrEnum):
    """What a question asks for."""

    WAITING = "waiting"
    COMPARE = "compare"
    COUNT = "count"
    CHANGED = "changed"
    WHY = "why"
    WHEN = "when"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Question:
    """A question as understood. Incidents count that were going on at some time in ``[since, until]``."""

    intent: Intent
    workloads: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    open_only: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """Lines to read, and what shows them: commands and queries that anyone can run again."""

    lines: tuple[str, ...]
    citations: tuple[str, ...] = ()


_SUBJECT = r"incidents?|problems?|issues?|outages?|faults?"
_INTENTS: Final[tuple[tuple[Intent, re.Pattern[str]], ...]] = tuple(
    (intent, re.compile(pattern))
    for intent, pattern in (
        (Intent.WAITING, r"\b(?:approvals?|approve|to decide|my decision)\b"),
        (Intent.COMPARE, r"\bcompare\b|\bversus\b|\bvs\b"),
        (Intent.COUNT, r"\bhow many\b|\bcount\b|\bnumber of\b"),
        (Intent.CHANGED, r"\bwhat(?: has| have)? changed\b|\b(?:which|what|show|list)\b.*\bchanges\b|\brolled out\b"),
        (Intent.WHY, r"\bwhy\b|\bcauses?\b|\bcaused\b|\bwhat (?:happened|went wrong|is wrong)\b"),
        (Intent.WHEN, r"\bwhen\b|\bsince when\b|\bhow long\b"),
        (
            Intent.LIST,
            rf"\b(?:list|show|which|what|any|are there|is there)\b.*\b(?:{_SUBJECT})\b|^(?:open )?(?:{_SUBJECT})\b",
        ),
    )
)
_UNITS: Final = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_LAST: Final = re.compile(r"\b(?:last|past)\s+(\d{1,4})?\s*(minute|hour|day|week)s?\b")
_SINCE: Final = re.compile(r"\bsince\s+(\d{1,2}):(\d{2})\b")


def parse(text: str, now: datetime, incidents: Iterable[Incident]) -> Question | None:
    """Understand a question; None when it is none of the kinds that this grammar knows.

    Args:
        text: the question, in English.
        now: with the asker's time zone: ``today`` and ``last night`` are theirs.
        incidents: those that there are; workloads and types are told by the names that they have.
    """
    asked = " ".join(re.sub(r"[^\w\s:/.-]", " ", text.lower()).split())
    intent = next((one for one, pattern in _INTENTS if pattern.search(asked)), None)
    if intent is None:
        return None
    known = list(incidents)
    words = {word.strip(".:").rpartition("/")[2] for word in asked.split()}
    workloads = {one.spec.target.name for one in known} & words
    if not workloads and (
        unknown := re.search(r"\b(?:did|does|is|was|has|of)\s+(?!the\b|an?\b|there\b|my\b|wrong\b)([\w.-]+)", asked)
    ):
        workloads = {unknown[1]} if intent in {Intent.WHY, Intent.WHEN, Intent.CHANGED} else set()
    types = {one.spec.type for one in known if re.search(rf"\b{_spaced(one.spec.type)}s?\b", asked)}
    since, until = _span(asked, now)
    open_only = re.search(r"\b(?:open|active|ongoing|right now|currently|unresolved|is wrong)\b", asked) is not None
    return Question(intent, tuple(sorted(workloads)), tuple(sorted(types)), since, until, open_only)


def _spaced(word: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", word).lower()


def _span(asked: str, now: datetime) -> tuple[datetime | None, datetime | None]:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if found := _LAST.search(asked):
        return now - int(found[1] or 1) * _UNITS[found[2]], now
    if found := _SINCE.search(asked):
        if int(found[1]) > 23 or int(found[2]) > 59:
            return None, None
        start = midnight.replace(hour=int(found[1]), minute=int(found[2]))
        return (start if start <= now else start - timedelta(days=1)), now
    if "last night" in asked:
        return midnight - timedelta(hours=6), midnight + timedelta(hours=8)
    if "yesterday" in asked:
        return midnight - timedelta(days=1), midnight
    return (midnight, now) if "today" in asked else (None, None)


def answer(question: Question, incidents: Sequence[Incident], reports: Mapping[tuple[str, str], RCAReport]) -> Answer:
    """Answer from the objects; ``reports`` by namespace and incident name."""
    found = sorted(
        (one for one in incidents if _matches(question, one)),
        key=lambda one: (one.spec.started_at, one.metadata.name),
        reverse=True,
    )
    if question.intent is Intent.COMPARE:
        return _compare(question, found)
    if question.intent is Intent.COUNT:
        return Answer((f"{len(found)} {_noun(found)}{_kinds(found)}",), _cite(found[:MAX_SHOWN]))
    if not found:
        about = f" about {', '.join(question.workloads)}" if question.workloads else ""
        return Answer((f"no incident{about} in that time" if question.since else f"no incident{about}",))
    if question.intent in {Intent.LIST, Intent.WAITING}:
        shown = found[:MAX_SHOWN]
        more = (f"and {len(found) - len(shown)} more",) if len(found) > len(shown) else ()
        return Answer((*(headline(one) for one in shown), *more), _cite(shown))
    chosen = found[:MAX_EXPLAINED]
    tell = {Intent.WHY: _why, Intent.WHEN: _when, Intent.CHANGED: _changed}[question.intent]
    parts = [tell(one, reports.get((one.metadata.namespace, one.metadata.name))) for one in chosen]
    lines = tuple(line for one, part in zip(chosen, parts, strict=True) for line in (headline(one), *part.lines))
    return Answer(lines, (*_cite(chosen), *(citation for part in parts for citation in part.citations)))


def _matches(question: Question, incident: Incident) -> bool:
    status, spec = incident.status, incident.spec
    is_open = status.state not in OVER
    ended = status.resolved_at
    return (
        (not question.workloads or spec.target.name in question.workloads)
        and (not question.types or spec.type in question.types)
        and (is_open or not question.open_only)
        and (question.intent is not Intent.WAITING or status.state is IncidentState.AWAITING_APPROVAL)
        and (question.until is None or spec.started_at <= question.until)
        and (question.since is None or (ended or spec.started_at) >= question.since or (is_open and ended is None))
    )


def headline(incident: Incident) -> str:
    """One incident in a line."""
    spec, status = incident.spec, incident.status
    state = status.state.value if status.state else "new"
    return f"{incident.metadata.name}: {spec.type} of {spec.target.short()} in {incident.metadata.namespace}, {state}"


def _carried_out(incident: Incident) -> bool:
    return any(one.type == "Remediated" and one.status is ConditionStatus.TRUE for one in incident.status.conditions)


def _why(incident: Incident, report: RCAReport | None) -> Answer:
    if report is None or not report.status.root_causes:
        return Answer(("  cause: not known",))
    lines: list[str] = []
    citations: list[str] = []
    standing = [one for one in report.status.root_causes if not one.refuted]
    for cause in standing[:2]:
        lines.append(f"  cause ({cause.confidence_percent} %): {cause.summary}")
        for evidence in cause.evidence[:3]:
            lines.append(f"    {evidence.kind.value}: {evidence.summary}")
            citations += [evidence.query] if evidence.query else []
    if not standing:
        lines.append("  cause: unresolved, every hypothesis was refuted")
    lines += [f"  ruled out: {one.summary}" for one in report.status.root_causes if one.refuted]
    if incident.status.action:
        verdict = f", {incident.status.verdict.value}" if incident.status.verdict else ""
        word = "done" if verdict or _carried_out(incident) else "proposed, not done"
        lines.append(f"  {word}: {incident.status.action}{verdict}")
    citations.append(f"kubectl get rcareport {report.metadata.name} -n {report.metadata.namespace} -o yaml")
    return Answer(tuple(lines), tuple(dict.fromkeys(citations)))


def _when(incident: Incident, _report: RCAReport | None) -> Answer:
    spec, status = incident.spec, incident.status
    ended = f"over at {_clock(status.resolved_at)}" if status.resolved_at else "not over"
    return Answer((f"  began {_clock(spec.started_at)}, noticed {_clock(spec.detected_at)}, {ended}",))


def _changed(incident: Incident, report: RCAReport | None) -> Answer:
    told = [(one.at, one.message) for one in incident.status.timeline if one.source is TimelineSource.CHANGE]
    causes = report.status.root_causes if report else []
    seen = [one for cause in causes for one in cause.evidence if one.kind is EvidenceKind.CHANGE and one.at]
    lines = [f"  {_clock(at)} {message}" for at, message in sorted(told)]
    lines += [f"  {_clock(one.at)} {one.summary}" for one in seen if one.at and not told]
    lines = list(dict.fromkeys(lines)) or ["  no change of it is known from before it began"]
    return Answer(tuple(lines), tuple(dict.fromkeys(one.query for one in seen if one.query)))


def _compare(question: Question, found: Sequence[Incident]) -> Answer:
    names = question.workloads or tuple(sorted({one.spec.target.name for one in found}))
    lines = []
    for name in names:
        own = [one for one in found if one.spec.target.name == name]
        still = sum(one.status.state not in OVER for one in own)
        lines.append(f"{name}: {len(own)} {_noun(own)}{_kinds(own)}, {still} open")
    return Answer(tuple(lines) or ("nothing to compare",), _cite(found[:MAX_SHOWN]))


def _noun(found: Sequence[Incident]) -> str:
    return "incident" if len(found) == 1 else "incidents"


def _kinds(found: Sequence[Incident]) -> str:
    kinds = sorted({one.spec.type for one in found})
    counted = ", ".join(f"{kind} ×{sum(one.spec.type == kind for one in found)}" for kind in kinds)
    return f" ({counted})" if counted else ""


def _cite(found: Iterable[Incident]) -> tuple[str, ...]:
    return tuple(f"kubectl get incident {one.metadata.name} -n {one.metadata.namespace} -o yaml" for one in found)


def _clock(at: datetime | None) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S %Z").strip() if at else "?"
