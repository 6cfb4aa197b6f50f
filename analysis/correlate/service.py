"""Grouping as ``/v1/detect`` uses it: keeps who calls whom, read now and then. The one impure file here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime

from analysis.contract import Candidate, OpenIncident, SharedChange, Topology
from analysis.correlate.graph import Calls, Named
from analysis.correlate.live import incidents
from analysis.telemetry.errors import SourceError
from analysis.telemetry.prometheus import Prometheus
from analysis.telemetry.query import Matcher, among, differs, selector
from analysis.telemetry.scope import Scope

logger = logging.getLogger(__name__)

METRIC, CALLEE = "upstream_requests_total", "upstream"
LOOK_BACK = "15m"
"""Who called whom in this time: callers of something that is down may have stopped calling it."""
READ_EVERY = 60.0
MAX_EDGES = 50_000


class Correlator:
    """Groups the alarms of any cluster. Calls are kept per cluster's set of namespaces, for a minute."""

    def __init__(self) -> None:
        self._calls: dict[tuple[Scope, tuple[str, ...]], tuple[float, Calls]] = {}

    async def group(
        self,
        alarms: Sequence[Candidate],
        topology: Topology,
        held: Sequence[OpenIncident],
        now: datetime,
        prometheus: Prometheus,
        changes: Sequence[SharedChange] = (),
    ) -> tuple[Candidate, ...]:
        """One candidate per fault. Without the metrics of calls it groups by what else is known."""
        if not alarms:
            return ()
        namespaces = {one.target.namespace for one in alarms} | {one.target.namespace for one in held}
        calls = await self._read(namespaces - {""}, now, prometheus)
        return await asyncio.to_thread(incidents, alarms, topology, calls, held, changes)

    async def _read(self, namespaces: Iterable[str], now: datetime, prometheus: Prometheus) -> Calls:
        spaces = tuple(sorted(namespaces))
        key = (prometheus.scope, spaces)
        known = self._calls.get(key)
        if known is not None and now.timestamp() - known[0] < READ_EVERY:
            return known[1]
        if not spaces:
            return {}
        try:
            found = await _query(among("namespace", spaces), now, prometheus)
        except SourceError as error:
            logger.warning("who calls whom is not known: %s", error)
            return known[1] if known is not None else {}
        if len(self._calls) > 64:
            self._calls.clear()
        self._calls[key] = (now.timestamp(), found)
        return found


async def _query(scope: Matcher, now: datetime, prometheus: Prometheus) -> Calls:
    counted = selector(METRIC, scope, differs(CALLEE, ""))
    query = f"count by (namespace, pod, {CALLEE}) (last_over_time({counted}[{LOOK_BACK}]))"
    vector = await prometheus.instant(query, now)
    found: dict[Named, set[str]] = {}
    for labels in vector.labels[:MAX_EDGES]:
        if labels.get("namespace") and labels.get("pod") and labels.get(CALLEE):
            found.setdefault((labels["namespace"], labels["pod"]), set()).add(labels[CALLEE])
    return {caller: frozenset(callees) for caller, callees in found.items()}
