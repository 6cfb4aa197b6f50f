"""Loki reader: bounded log queries over a closed window."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from analysis.telemetry.errors import QueryRefused
from analysis.telemetry.http import JsonSource
from analysis.telemetry.query import duration
from analysis.telemetry.scope import Scope
from analysis.windows.block import Labels

MAX_SERIES = 10_000
"""Of one answer."""
AT_ONCE = 8
"""Queries under way at a time: many small ones must not make each other wait until all are late."""
MAX_LINE_CHARS = 2048
"""Longer lines are cut: a stack trace's head tells its template."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line. ``at`` is Unix time in nanoseconds; ``stream`` is ``stdout`` or ``stderr``, where that is known."""

    at: int
    text: str
    pod: str = ""
    container: str = ""
    stream: str = ""


class Loki:
    """Queries against any service with Loki's HTTP API.

    Args:
        cluster_label: of a store that holds several clusters: the label that tells them apart. See :meth:`of`.
    """

    def __init__(self, url: str, timeout_seconds: float, client: httpx.AsyncClient, cluster_label: str = "") -> None:
        self._source = JsonSource("Loki", url, timeout_seconds, client)
        self.address = self._source.address
        self.scope = Scope(cluster_label)
        self._turns = asyncio.Semaphore(AT_ONCE)

    def of(self, cluster: str) -> Loki:
        """The same service, asked about one cluster only; they wait for the same turns."""
        found = copy(self)
        found.scope = self.scope.of(cluster)
        return found

    async def lines(self, query: str, start: datetime, end: datetime, limit: int, *, newest: bool) -> list[LogLine]:
        """Up to ``limit`` lines of ``[start, end)``, oldest first; the newest or the oldest ones when there are more.

        Raises:
            SourceError: the service does not answer or refuses the query.
        """
        data = await self._ask(
            "/loki/api/v1/query_range", _params(self.scope.within(query), start, end, limit, newest=newest)
        )
        if not isinstance(data, dict) or data.get("resultType") != "streams":
            raise QueryRefused("Loki", self.address, "expected streams")
        found = [
            log_line(stream["stream"], int(stamp), text)
            for stream in data.get("result") or ()
            for stamp, text, *_ in (reversed(stream["values"]) if newest else stream["values"])
        ]
        # lines of one stream with the same time stay in the order in which they were written
        return sorted(found, key=lambda one: (one.at, one.pod, one.container, one.stream))

    async def count(self, query: str, seconds: float, at: datetime) -> int:
        """Lines that a log query finds in the ``seconds`` before ``at``, counted by Loki.

        Raises:
            SourceError: the service does not answer or refuses the query.
        """
        asked = f"sum(count_over_time({query} [{duration(seconds)}]))"
        return sum(round(value) for _, value in await self.vector(asked, at))

    async def vector(self, query: str, at: datetime) -> list[tuple[Labels, float]]:
        """Labels and values of a metric query at one moment.

        Raises:
            SourceError: the service does not answer or refuses the query.
        """
        params = {"query": self.scope.within(query), "time": str(int(at.timestamp() * 1e9)), "limit": str(MAX_SERIES)}
        data = await self._ask("/loki/api/v1/query", params)
        if not isinstance(data, dict) or data.get("resultType") != "vector":
            raise QueryRefused("Loki", self.address, "expected a vector")
        return [(item["metric"], float(item["value"][1])) for item in data.get("result") or ()]

    async def alive(self) -> None:
        """One cheap query.

        Raises:
            SourceError: the service does not answer.
        """
        await self._source.ask("/loki/api/v1/query", {"query": "vector(1)", "limit": "1"})

    async def _ask(self, path: str, params: dict[str, str]) -> Any:
        async with self._turns:  # the timeout is of the query, not of the wait for a turn
            return await self._source.ask(path, params)


def log_line(labels: Mapping[str, str], at: int, text: str) -> LogLine:
    """A line from the labels of its stream."""
    pod, container = labels.get("k8s_pod_name", ""), labels.get("k8s_container_name", "")
    return LogLine(at, text[:MAX_LINE_CHARS], pod, container, labels.get("log_iostream", ""))


def _params(query: str, start: datetime, end: datetime, limit: int, *, newest: bool) -> dict[str, str]:
    return {
        "query": query,
        "start": str(int(start.timestamp() * 1e9)),
        "end": str(int(end.timestamp() * 1e9)),
        "limit": str(limit),
        "direction": "backward" if newest else "forward",
    }
