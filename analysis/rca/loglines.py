"""What the logs say, as a probe and as evidence that a model may cite."""

from __future__ import annotations

from collections.abc import Iterable

from analysis.logs.context import template_query
from analysis.rca.facts import Facts
from analysis.rca.observation import Observation, unknown
from analysis.words import clock, moment
from crds.v1alpha1.rcareport import EvidenceKind, LogExcerpt


def new_log_lines(facts: Facts) -> Observation:
    """Do the logs say something since the onset that they did not say before?"""
    logs = facts.logs
    if logs is None:
        return unknown("no logs", EvidenceKind.LOG)
    if not logs.lines_before:
        return unknown("no log lines before the onset to compare with", EvidenceKind.LOG)
    if not logs.new:
        text = f"no new kind of line among {logs.lines_after} since the onset"
        return Observation(False, text, kind=EvidenceKind.LOG, query=logs.selector, result=[])
    top = logs.new[0]
    first = moment(top.first_at / 1e9)
    more = "" if logs.checked else " (not all lines could be read)"
    return Observation(
        True,
        f'new template "{top.text}" ×{top.count} since {clock(first)}{more}',
        kind=EvidenceKind.LOG,
        query=template_query(logs.selector, top.text),
        at=first,
        result=[[one.text, one.count, one.first_at] for one in logs.new],
    )


def observations(found: Iterable[LogExcerpt]) -> dict[str, Observation]:
    """Each excerpt of a report under its id."""
    return {
        one.id: Observation(
            True,
            f'{one.mark.value.lower()} "{one.template}" ×{one.count} since {clock(one.first_at)}, {one.before} before; '
            f"first: {one.example}",
            kind=EvidenceKind.LOG,
            query=one.query,
            at=one.first_at,
            result=[one.mark.value, one.template, one.count, one.before],
        )
        for one in found
    }
