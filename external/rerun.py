"""Runs what a report cites again and holds the answers against the report."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from analysis.logs.records import line_id, time_of
from analysis.rca.results import Language, Same, compare, language, log_result, metric_result, span
from analysis.telemetry.loki import log_line
from controllers.kube.api import Kube
from controllers.kube.errors import NotFound
from controllers.kube.resources import ResourceType
from controllers.runtime.errors import ReconcileError
from crds.v1alpha1.base import Window
from crds.v1alpha1.rcareport import LogExcerpt, QueryResult, RCAReport, RootCause
from external.errors import ExternalError
from external.query import Gateway, LogLine

__all__ = ["AGREES", "DIFFERS", "Checked", "Rerun", "exit_code", "id_of"]

_PATH = re.compile(
    r"/(?:api|apis/(?P<group>[a-z0-9.-]+))/(?P<version>v[a-z0-9]+)"
    r"(?:/namespaces/(?P<namespace>[a-z0-9-]+))?/(?P<plural>[a-z]+)/(?P<name>[a-z0-9.:-]+)"
)
AROUND = timedelta(minutes=5)
MAX_SAME_TIME = 100
AGREES = frozenset({Same.SAME.value, Same.CLOSE.value, "there"})
DIFFERS = frozenset({Same.CHANGED.value})


@dataclass(frozen=True, slots=True)
class Checked:
    """One query, what was claimed, and what it says now."""

    cause: str
    role: str
    """``evidence``, ``refuter`` or ``log line``."""
    claim: str
    language: str
    query: str
    verdict: str
    detail: str = ""

    def wire(self) -> dict[str, str]:
        """JSON-ready."""
        return asdict(self)


def exit_code(checked: list[Checked]) -> int:
    """0: all agree; 1: something changed; 3: nothing changed, but not all could be checked, or there was nothing."""
    verdicts = {one.verdict for one in checked}
    if verdicts & DIFFERS:
        return 1
    return 0 if verdicts and verdicts <= AGREES else 3


class Rerun:
    """Asks the gateway for metrics and logs, and the API server, with the caller's own rights, for objects."""

    def __init__(self, gateway: Gateway, kube: Kube) -> None:
        self._gateway = gateway
        self._kube = kube

    def check(self, report: RCAReport, *, everything: bool = False) -> Iterator[Checked]:
        """Every query of the causes that stand (or of all), evidence first."""
        window = report.status.window or report.spec.window
        for cause in report.status.root_causes:
            if cause.refuted and not everything:
                continue
            for one in cause.evidence:
                if one.query:
                    yield self._checked(cause, "evidence", one.summary, one.query, one.ran, window)
            for refuter in cause.refuters:
                if refuter.query:
                    yield self._checked(cause, "refuter", refuter.result, refuter.query, refuter.ran, window)
        for excerpt in report.status.logs:
            if excerpt.query:
                yield self._quoted(excerpt)

    def record(self, excerpt: LogExcerpt, around: int) -> list[LogLine]:
        """The line that an excerpt quotes, with ``around`` lines of its streams before and after.

        Raises:
            ExternalError: the gateway does not answer.
        """
        at = moment_of(excerpt)
        streams = excerpt.query.partition(" |= ")[0]
        tick = timedelta(microseconds=2)
        before = self._gateway.lines(streams, at - AROUND, at, around, newest=True) if around else []
        here = self._gateway.lines(streams, at, at + tick, MAX_SAME_TIME, newest=False)
        after = self._gateway.lines(streams, at + tick, at + AROUND, around, newest=False) if around else []
        return [*before, *here, *after]

    def _quoted(self, excerpt: LogExcerpt) -> Checked:
        try:
            there = any(id_of(one) == excerpt.id for one in self.record(excerpt, 0))
            verdict, detail = ("there", "") if there else ("gone", "Loki has no such line (any more)")
        except ExternalError as error:
            verdict, detail = "unreadable", str(error)
        claim = f"{excerpt.mark.value} x{excerpt.count}: {excerpt.template}"
        return Checked("What the logs say", "log line", claim, Language.LOGQL.value, excerpt.query, verdict, detail)

    def _checked(
        self, cause: RootCause, role: str, claim: str, query: str, ran: QueryResult | None, window: Window
    ) -> Checked:
        verdict, detail = self._verdict(query, ran, window)
        title = f"{cause.kind} ({cause.confidence_percent} %): {cause.summary}"
        return Checked(title, role, claim, language(query).value, query, verdict, detail)

    def _verdict(self, query: str, ran: QueryResult | None, window: Window) -> tuple[str, str]:
        try:
            if language(query) is Language.API:
                return self._there(query)
            if ran is None:
                return "not run", "the report holds no result of this query to compare with"
            now = self._run(query, window)
        except ExternalError as error:
            return "unreadable", str(error)
        same = compare(ran, now)
        return same.value, "" if same is Same.SAME else f"then {_said(ran)}; now {_said(now)}"

    def _run(self, query: str, window: Window) -> QueryResult:
        start, end, step = span(window)
        if language(query) is Language.LOGQL:
            return log_result(self._gateway.count(query, end, round((end - start).total_seconds())))
        series = self._gateway.values(query, start, end, step)
        return metric_result([(one.labels, one.points) for one in series])

    def _there(self, path: str) -> tuple[str, str]:
        found = _PATH.fullmatch(path)
        if found is None:
            return "unreadable", "not the path of one object"
        resource = ResourceType(found["group"] or "", found["version"], "", found["plural"], bool(found["namespace"]))
        try:
            body = self._kube.get_raw(resource, found["namespace"] or "", found["name"])
        except NotFound:
            return "gone", "deleted since, or expired (events are kept for an hour)"
        except ReconcileError as error:
            return "unreadable", error.message
        return "there", _described(body)


def moment_of(excerpt: LogExcerpt) -> datetime:
    """When the quoted line was written, to the microsecond below. Raises ExternalError."""
    at = time_of(excerpt.id)
    if at is None:
        raise ExternalError(f"{excerpt.id} is not the id of a log line")
    return datetime.fromtimestamp(at // 10**9, tz=UTC) + timedelta(microseconds=at % 10**9 // 1000)


def id_of(line: LogLine) -> str:
    """As the analysis server gives it to the same line."""
    return line_id(log_line(line.labels, line.at, line.text))


def _described(body: dict[str, Any]) -> str:
    metadata = body.get("metadata") or {}
    return f"created {metadata.get('creationTimestamp', 'at an unknown time')}"


def _said(result: QueryResult) -> str:
    if result.series == 0:
        return f"{result.samples} lines" if result.samples else "nothing"
    return f"{result.series} series, {result.lowest} to {result.highest}, last {result.last}"
