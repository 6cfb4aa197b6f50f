"""Runs the queries that a report shows, exactly as they are shown, and writes down what they returned."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

import numpy as np

from analysis.rca.results import Language, language, log_result, metric_result, span
from analysis.telemetry.errors import SourceError
from analysis.telemetry.loki import Loki
from analysis.telemetry.prometheus import Prometheus
from crds.v1alpha1.base import Window
from crds.v1alpha1.rcareport import QueryResult, RootCause

logger = logging.getLogger(__name__)

AT_ONCE = 8


class Runner:
    """Metric and log queries; paths of the API server were read by the controller, with its credential."""

    def __init__(self, prometheus: Prometheus, loki: Loki) -> None:
        self._prometheus = prometheus
        self._loki = loki

    async def run(self, causes: tuple[RootCause, ...], window: Window) -> tuple[RootCause, ...]:
        """The causes with each query's own result. A query that cannot be run has none; it never fails the report."""
        asked = {one.query for cause in causes for one in cause.evidence}
        asked |= {one.query for cause in causes for one in cause.refuters}
        queries = [query for query in sorted(asked) if query and language(query) is not Language.API]
        gate = asyncio.Semaphore(AT_ONCE)

        async def gated(query: str) -> QueryResult | None:
            async with gate:
                return await self._one(query, window)

        found = await asyncio.gather(*(gated(query) for query in queries))
        results = {query: one for query, one in zip(queries, found, strict=True) if one is not None}
        return tuple(_with(cause, results) for cause in causes)

    async def _one(self, query: str, window: Window) -> QueryResult | None:
        start, end, step = span(window)
        try:
            if language(query) is Language.LOGQL:
                return log_result(await self._loki.count(query, (end - start).total_seconds(), end))
            samples = await self._prometheus.range(query, start, end, step)
        except SourceError as error:
            logger.warning("a query of the report was not run: %s", error)
            return None
        series = []
        for row, labels in enumerate(samples.labels):
            own = np.flatnonzero(samples.series == row)
            series.append((labels, list(zip(samples.times[own].tolist(), samples.values[own].tolist(), strict=True))))
        return metric_result(series)


def _with(cause: RootCause, results: Mapping[str, QueryResult]) -> RootCause:
    return cause.model_copy(
        update={
            "evidence": [one.model_copy(update={"ran": results.get(one.query)}) for one in cause.evidence],
            "refuters": [one.model_copy(update={"ran": results.get(one.query)}) for one in cause.refuters],
        }
    )
