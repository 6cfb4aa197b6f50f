"""``/v1/rca``: gather, observe, rank, recommend; then let a model add to it, if one is configured."""

from __future__ import annotations

import asyncio
import logging

from analysis.contract import RcaRequest, RcaResponse
from analysis.llm.service import Narrator
from analysis.rca.actions import recommend
from analysis.rca.catalogue import Cause
from analysis.rca.facts import Facts
from analysis.rca.gather import Gatherer
from analysis.rca.observation import digest
from analysis.rca.rank import Observations, observe, rank
from analysis.telemetry.loki import Loki
from analysis.telemetry.prometheus import Prometheus

logger = logging.getLogger(__name__)

MAX_MISSING = 8


class Explainer:
    """Answers why an incident happened."""

    def __init__(
        self, causes: tuple[Cause, ...], prometheus: Prometheus, loki: Loki, narrator: Narrator | None
    ) -> None:
        self._causes = causes
        self._gatherer = Gatherer(prometheus, loki)
        self._narrator = narrator

    async def explain(self, request: RcaRequest) -> RcaResponse:
        """The report. Sources and models that fail are named in it; they never fail the request."""
        facts = await self._gatherer.gather(request)
        if facts.missing:
            logger.warning(
                "root cause of %s/%s without: %s", request.incident.namespace, request.incident.name, facts.missing
            )
        report, seen = await asyncio.to_thread(explain, self._causes, facts)
        if self._narrator is None:
            return report
        return await self._narrator.enrich(report, request, seen)


def explain(causes: tuple[Cause, ...], facts: Facts) -> tuple[RcaResponse, Observations]:
    """The deterministic report: equal facts give equal bytes."""
    applicable = tuple(cause for cause in causes if facts.request.incident.type in cause.explains)
    seen = observe(applicable, facts)
    found = rank(applicable, facts, seen)
    evidence = {name: [one.answer, one.summary, one.query, digest(one.result)] for name, one in sorted(seen.items())}
    report = RcaResponse(
        root_causes=found,
        recommended_actions=recommend(applicable, found, facts),
        method="deterministic",
        missing_data=facts.missing[:MAX_MISSING],
        evidence_digest=digest(evidence),
    )
    return report, seen
