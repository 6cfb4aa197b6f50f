"""An incident as a Markdown document: facts and times from the objects, headings for what only people know. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from analysis.web.reader import Chain
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.incident import Incident
from crds.v1alpha1.rcareport import LogExcerpt, RCAReport, RootCause, SimilarIncident

__all__ = ["postmortem"]

_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#|~!])")


def postmortem(chain: Chain, now: datetime) -> str:
    """The document. Text from telemetry and people is escaped: it cannot become a link, an image or HTML."""
    incident = chain.incident
    lines = [
        f"# Postmortem: {_safe(incident.spec.type)} on {_safe(incident.spec.target.short())}",
        "",
        f"Incident `{incident.metadata.namespace}/{incident.metadata.name}`, as the objects tell it at {_stamp(now)}.",
        "",
        "## Summary",
        "",
        _safe(incident.spec.summary),
        "",
        *_facts(chain),
        "",
        "## Impact",
        "",
        "_Who noticed, what did not work, for how long? (to be written)_",
        "",
        "## Timeline (UTC)",
        "",
        *_timeline(incident),
        "",
        "## Root causes",
        "",
        *(line for report in chain.reports for line in _report(report)),
        "## Actions",
        "",
        *(line for plan in reversed(chain.plans) for line in _plan(plan, chain)),
        "## What went well, what did not, where we were lucky",
        "",
        "_To be written._",
        "",
        "## Follow-ups",
        "",
        "| what | owner | due |",
        "| --- | --- | --- |",
        "|  |  |  |",
    ]
    return "\n".join(lines) + "\n"


def _facts(chain: Chain) -> Iterator[str]:
    spec, status = chain.incident.spec, chain.incident.status
    severity = (status.severity or spec.severity).value
    yield f"- State: {status.state.value if status.state else 'Detected'}, severity {severity}"
    yield f"- Began: {_stamp(spec.started_at)}; detected {_stamp(spec.detected_at)}" + _after(
        spec.started_at, spec.detected_at
    )
    if status.resolved_at:
        yield f"- Resolved: {_stamp(status.resolved_at)}" + _after(spec.started_at, status.resolved_at)
    yield f"- Detected by rule {_safe(spec.detected_by.rule)} with confidence {spec.detected_by.confidence_percent} %"
    if status.verdict:
        yield f"- Verdict of the last action: {status.verdict.value}"


def _timeline(incident: Incident) -> Iterator[str]:
    yield from ("| time | source | what | who |", "| --- | --- | --- | --- |")
    for entry in incident.status.timeline:
        yield f"| {_stamp(entry.at)} | {entry.source.value} | {_safe(entry.message)} | {_safe(entry.actor)} |"


def _report(report: RCAReport) -> Iterator[str]:
    if not report.status.root_causes:
        yield from ("No cause was found.", "")
    for cause in report.status.root_causes:
        yield from _cause(cause)
    for missing in report.status.missing_data:
        yield f"- Missing data: {_safe(missing)}"
    yield ""
    if report.status.logs:
        yield from ("### What the logs say", "")
        yield from (line for one in report.status.logs for line in _excerpt(one))
    if report.status.similar:
        yield from ("### Earlier incidents like this one", "")
        yield from (_earlier(one) for one in report.status.similar)
        yield ""


def _excerpt(one: LogExcerpt) -> Iterator[str]:
    times = f"{_stamp(one.first_at)} to {_stamp(one.last_at)}"
    yield f"- {one.mark.value}: {_safe(one.template)} ({one.count}, {one.before} in the hours before; {times})"
    if one.query:
        yield from ("", *_block(one.query), "")


def _earlier(one: SimilarIncident) -> str:
    cause = f" Cause: {_safe(one.cause)}." if one.cause else ""
    return f"- {_safe(one.name)}, {_stamp(one.started_at)}: {_safe(one.why)}.{cause} Outcome: {_safe(one.outcome)}."


def _cause(cause: RootCause) -> Iterator[str]:
    standing = "refuted" if cause.refuted else f"{cause.confidence_percent} %"
    yield f"### {_safe(cause.kind)} ({standing})"
    yield ""
    yield _safe(cause.summary)
    yield ""
    for item in cause.evidence:
        yield f"- {item.kind.value}: {_safe(item.summary)}"
        if item.query:
            yield from ("", *_block(item.query), "")
    for refuter in cause.refuters:
        yield f"- {'Refuted' if refuter.refuted else 'Stands'}: {_safe(refuter.summary)}: {_safe(refuter.result)}"
    yield ""


def _plan(plan: ActionPlan, chain: Chain) -> Iterator[str]:
    status = plan.status
    yield f"### {_safe(plan.spec.summary)}"
    yield ""
    yield f"- Plan `{plan.metadata.name}`: {status.state.value if status.state else 'Proposed'}"
    if status.decision:
        yield f"- Policy: {_safe(status.decision.message)}"
    for approval in chain.approvals:
        if approval.spec.plan_ref.name != plan.metadata.name:
            continue
        for decision in approval.spec.decisions:
            reason = f": {_safe(decision.reason)}" if decision.reason else ""
            yield f"- {decision.verdict.value} by {_safe(decision.by)}{reason}"
    if status.execution:
        yield f"- Execution: {status.execution.phase.value} {_safe(status.execution.message)}".rstrip()
    if status.verification and status.verification.verdict:
        yield f"- Verification: {status.verification.verdict.value}. {_safe(status.verification.message)}"
    yield ""


def _block(text: str) -> tuple[str, ...]:
    """An indented code block: nothing in it can end it."""
    return tuple(f"      {line}" for line in text.splitlines())


def _safe(text: str) -> str:
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _after(start: datetime, end: datetime) -> str:
    seconds = int((end - start) / timedelta(seconds=1))
    return f", {seconds // 60} min {seconds % 60} s after it began" if seconds >= 0 else ""
