"""Runs the queries of the probes that are data: all at once, a bounded number of them, each failing for itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from analysis.contract import RcaRequest
from analysis.rca.facts import Counted, Measured
from analysis.rca.measured import BEFORE_SECONDS, compare
from analysis.rca.probes import ProbeSpec, fill
from analysis.telemetry.errors import SourceError
from analysis.telemetry.loki import Loki
from analysis.telemetry.prometheus import Prometheus
from crds.v1alpha1.base import Window

STEP = 15.0
AT_ONCE = 8
"""Queries under way at a time: an incident must not be what overloads the metrics store."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """What came back, by probe; a probe that is missing could not be asked."""

    queries: Mapping[str, str] = field(default_factory=dict)
    measured: Mapping[str, tuple[Measured, ...]] = field(default_factory=dict)
    counted: Mapping[str, Counted] = field(default_factory=dict)


class Asker:
    """Asks the metrics and the log store."""

    def __init__(self, prometheus: Prometheus, loki: Loki) -> None:
        self._prometheus = prometheus
        self._loki = loki

    async def ask(
        self, probes: Sequence[ProbeSpec], request: RcaRequest, window: Window, missing: dict[str, None]
    ) -> Asked:
        """Run all of them. A source that fails is named in ``missing``."""
        gate = asyncio.Semaphore(AT_ONCE)
        metrics = {one.name: one.metric for one in probes if one.metric is not None}
        logs = {one.name: one.log for one in probes if one.log is not None}
        queries = {name: fill(one.promql, request) for name, one in metrics.items()}
        queries |= {name: fill(one.logql, request) for name, one in logs.items()}
        onset = request.incident.started_at
        found = await asyncio.gather(
            *(
                attempt(_gated(gate, self._compare(queries[name], one.by, onset, window)), missing)
                for name, one in metrics.items()
            )
        )
        counts = await asyncio.gather(
            *(
                attempt(_gated(gate, self._count(queries[name], one.at_least, onset, window)), missing)
                for name, one in logs.items()
            )
        )
        return Asked(
            queries,
            {name: one for name, one in zip(metrics, found, strict=True) if one is not None},
            {name: one for name, one in zip(logs, counts, strict=True) if one is not None},
        )

    async def _compare(self, query: str, by: str, onset: datetime, window: Window) -> tuple[Measured, ...]:
        samples = await self._prometheus.range(query, window.start, window.end, STEP)
        return compare(samples, by, onset.timestamp())

    async def _count(self, query: str, at_least: int, onset: datetime, window: Window) -> Counted:
        end = max(window.end, onset + timedelta(seconds=1))
        seconds = (end - onset).total_seconds()
        after = await self._loki.count(query, seconds, end)
        before = await self._loki.count(query, BEFORE_SECONDS, onset) if after >= at_least else None
        return Counted(query, before, BEFORE_SECONDS, after, seconds)


async def _gated(gate: asyncio.Semaphore, reading: Awaitable[T]) -> T:
    async with gate:
        return await reading


async def attempt(reading: Awaitable[T], missing: dict[str, None]) -> T | None:
    """The answer, or None with the reason noted."""
    try:
        return await reading
    except SourceError as error:
        missing[str(error)] = None
        return None
