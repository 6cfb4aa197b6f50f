"""Prometheus reader.

Raw samples are read with a range selector in an *instant* query: they come with their own timestamps. A range query
would repeat the last value for up to five minutes after an agent has died, and a flat line looks like recovery.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

import httpx
import numpy as np

from analysis.telemetry.errors import QueryRefused
from analysis.telemetry.http import JsonSource
from analysis.telemetry.native import as_classic
from analysis.telemetry.query import duration
from analysis.telemetry.scope import Scope
from analysis.windows.block import Float64, Int64, Labels, Samples


@dataclass(frozen=True, slots=True)
class Vector:
    """An instant vector. ``values: float64[series]``."""

    labels: tuple[Labels, ...]
    values: Float64


class Prometheus:
    """Queries against any service with Prometheus' HTTP API.

    Args:
        cluster_label: of a store that holds several clusters: the label that tells them apart. See :meth:`of`.
    """

    def __init__(self, url: str, timeout_seconds: float, client: httpx.AsyncClient, cluster_label: str = "") -> None:
        self._source = JsonSource("Prometheus", url, timeout_seconds, client)
        self.address = self._source.address
        self.scope = Scope(cluster_label)

    def of(self, cluster: str) -> Prometheus:
        """The same service, asked about one cluster only."""
        found = copy(self)
        found.scope = self.scope.of(cluster)
        return found

    async def samples(self, select: str, seconds: float, at: datetime) -> Samples:
        """All raw samples of a selector in the ``seconds`` before ``at``, with their own timestamps.

        Raises:
            SourceError: the service does not answer or refuses the query.
        """
        query = self.scope.within(f"{select}[{duration(seconds)}]")
        data = await self._source.ask("/api/v1/query", {"query": query, "time": f"{at.timestamp():.3f}"})
        return decode_matrix(_result(data, "matrix", self._source))

    async def range(self, query: str, start: datetime, end: datetime, step_seconds: float) -> Samples:
        """Evaluate an expression at each step; for expressions whose own windows go empty when data stop (``rate``)."""
        params = {
            "query": self.scope.within(query),
            "start": f"{start.timestamp():.3f}",
            "end": f"{end.timestamp():.3f}",
            "step": duration(step_seconds),
        }
        return decode_matrix(_result(await self._source.ask("/api/v1/query_range", params), "matrix", self._source))

    async def instant(self, query: str, at: datetime) -> Vector:
        """Evaluate an expression at one moment."""
        params = {"query": self.scope.within(query), "time": f"{at.timestamp():.3f}"}
        data = await self._source.ask("/api/v1/query", params)
        result = _result(data, "vector", self._source)
        result = [item for item in result if "value" in item]  # a histogram has none
        labels = tuple(_labels(item["metric"]) for item in result)
        return Vector(labels, np.array([float(item["value"][1]) for item in result], dtype=np.float64))


def decode_matrix(result: list[dict[str, Any]]) -> Samples:
    """Flatten Prometheus' JSON matrix into three parallel arrays; native histograms as classic buckets."""
    natives = [classic for item in result if item.get("histograms") for classic in as_classic(item)]
    result = [item for item in result if "values" in item] + natives
    labels = tuple(_labels(item["metric"]) for item in result)
    values_of = [item["values"] for item in result]
    lengths = np.array([len(values) for values in values_of], dtype=np.int64)
    flat = list(chain.from_iterable(chain.from_iterable(values_of)))
    times = np.array(flat[0::2], dtype=np.float64)
    values = np.array(flat[1::2], dtype=np.float64)
    series: Int64 = np.repeat(np.arange(len(labels), dtype=np.int64), lengths)
    return Samples(labels=labels, series=series, times=times, values=values)


def _labels(metric: dict[str, str]) -> Labels:
    return {name: value for name, value in metric.items() if name != "__name__"}


def _result(data: Any, kind: str, source: JsonSource) -> list[dict[str, Any]]:
    if not isinstance(data, dict) or data.get("resultType") != kind:
        raise QueryRefused(source.name, source.address, f"expected a {kind}")
    return list(data.get("result") or ())
