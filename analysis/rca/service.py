"""``/v1/rca``: gather, observe, rank, recommend; then let a model add to it, if one is configured."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from analysis.contract import RcaRequest, RcaResponse
from analysis.history.service import Historian
from analysis.logs.excerpts import excerpts
from analysis.rca import loglines
from analysis.rca.actions import recommend
from analysis.rca.catalogue import Catalogue, Cause
from analysis.rca.facts import Facts
from analysis.rca.gather import Gatherer
from analysis.rca.observation import digest
from analysis.rca.rank import Observations, observe, rank
from analysis.rca.results import Language, language
from analysis.rca.runs import Runner
from analysis.telemetry.loki import Loki
from analysis.telemetry.prometheus import Prometheus
from analysis.telemetry.scope import Scope
from crds.v1alpha1.rcareport import MAX_QUERY_CHARS, Evidence, LogExcerpt, Refuter

if TYPE_CHECKING:
    from analysis.llm.service import Narrator

logger = logging.getLogger(__name__)

MAX_MISSING = 8

Queried = TypeVar("Queried", Evidence, Refuter, LogExcerpt)


class Explainer:
    """Answers why an incident happened."""

    def __init__(
        self,
        catalogue: Catalogue,
        prometheus: Prometheus,
        loki: Loki,
        narrator: Narrator | None,
        historian: Historian | None = None,
    ) -> None:
        self._historian = historian
        self._catalogue = catalogue
        self._prometheus = prometheus
        self._loki = loki
        self._narrator = narrator

    async def explain(self, request: RcaRequest) -> RcaResponse:
        """The report. Sources and models that fail are named in it; they never fail the request."""
        prometheus, loki = self._prometheus.of(request.cluster), self._loki.of(request.cluster)
        specs = self._catalogue.specs(applicable(self._catalogue, request))
        facts = await Gatherer(prometheus, loki).gather(request, specs)
        if facts.missing:
            logger.warning(
                "root cause of %s/%s without: %s", request.incident.namespace, request.incident.name, facts.missing
            )
        report, seen = await asyncio.to_thread(explain, self._catalogue, facts)
        if self._narrator is not None:
            report = await self._narrator.enrich(report, request, {**seen, **loglines.observations(report.logs)})
        report = _within(report, prometheus.scope, loki.scope)
        causes = await Runner(prometheus, loki).run(report.root_causes, facts.window)
        report = report.model_copy(update={"root_causes": causes, "window": facts.window})
        if self._historian is None:
            return report
        templates = tuple(one.text for one in facts.logs.new) if facts.logs is not None else ()
        return await self._historian.enrich(request, report, templates)


def applicable(catalogue: Catalogue, request: RcaRequest) -> tuple[Cause, ...]:
    """The causes that could explain any of the incident's signals."""
    return catalogue.applicable((request.incident.type, *request.incident.signals))


def explain(catalogue: Catalogue, facts: Facts) -> tuple[RcaResponse, Observations]:
    """The deterministic report: equal facts give equal bytes."""
    causes = applicable(catalogue, facts.request)
    seen = observe(catalogue, causes, facts)
    found = rank(catalogue, causes, facts, seen)
    contexts = (*((facts.logs,) if facts.logs is not None else ()), *facts.neighbour_logs)
    evidence = {name: [one.answer, one.summary, one.query, digest(one.result)] for name, one in sorted(seen.items())}
    report = RcaResponse(
        root_causes=found,
        recommended_actions=recommend(causes, found, facts, seen),
        logs=excerpts(contexts),
        method="deterministic",
        missing_data=facts.missing[:MAX_MISSING],
        evidence_digest=digest(evidence),
    )
    return report, seen


def _within(report: RcaResponse, metrics: Scope, logs: Scope) -> RcaResponse:
    """The report with its queries as they have to be asked to see the same again; too long ones are left out."""

    def own(query: str) -> str:
        match language(query):
            case Language.PROMQL:
                query = metrics.within(query)
            case Language.LOGQL:
                query = logs.within(query)
            case Language.API:
                pass
        return query if len(query) <= MAX_QUERY_CHARS else ""

    def each(found: Sequence[Queried]) -> list[Queried]:
        return [one.model_copy(update={"query": own(one.query)}) for one in found]

    causes = tuple(
        cause.model_copy(update={"evidence": each(cause.evidence), "refuters": each(cause.refuters)})
        for cause in report.root_causes
    )
    return report.model_copy(update={"root_causes": causes, "logs": tuple(each(report.logs))})
