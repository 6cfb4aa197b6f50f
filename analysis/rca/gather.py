"""Reads the facts of one incident from the metrics and log stores, all at once, each source failing for itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from analysis.contract import RcaRequest
from analysis.logs.context import LogContext, read_context
from analysis.rca.asking import Asker, attempt
from analysis.rca.facts import AFTER_THE_FACT, BeforeAfter, Facts, Memory, memory_facts
from analysis.rca.measured import BEFORE_SECONDS
from analysis.rca.neighbours import FAILED, RATE, Neighbourhood, Span, calls_query, neighbourhood, queries
from analysis.rca.probes import ProbeSpec, pods_of
from analysis.rca.subject import subjects_of
from analysis.telemetry.loki import Loki
from analysis.telemetry.prometheus import Prometheus
from analysis.telemetry.query import among, differs, equal, matching, quantile_query, selector
from analysis.windows.block import Samples, grid, regroup
from analysis.workloads import pod_matcher
from crds.v1alpha1.base import Window

MEMORY = "container_memory_working_set_bytes"
LIMIT = "container_spec_memory_limit_bytes"
STEP = 5.0
RANGE_STEP = 15.0
RATE_SECONDS = 60.0
"""Of ``RATE``."""
LOOK_BACK = timedelta(minutes=10)
MAX_WINDOW = timedelta(hours=1)
MAX_LOG_NEIGHBOURS = 4
NEIGHBOUR_LINES = 400


def full_window(request: RcaRequest) -> Window:
    """The request's window, widened to show ten minutes before the onset, at most an hour long."""
    end = max(request.window.end, request.incident.started_at)
    start = min(request.window.start, request.incident.started_at - LOOK_BACK)
    return Window(start=max(start, end - MAX_WINDOW), end=end)


class Gatherer:
    """Reads with the queries that the evidence will show."""

    def __init__(self, prometheus: Prometheus, loki: Loki) -> None:
        self._prometheus = prometheus
        self._loki = loki
        self._asker = Asker(prometheus, loki)

    async def gather(self, request: RcaRequest, probes: Sequence[ProbeSpec] = ()) -> Facts:
        """All facts. A source that fails is named in ``missing``, once.

        Args:
            probes: what the causes in question ask beyond what is always read.
        """
        window = full_window(request)
        missing: dict[str, None] = {}
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(attempt(self._memory(request, window), missing))
            traffic = group.create_task(attempt(self._traffic(request, window), missing))
            node_free = group.create_task(attempt(self._node_free(request, window), missing))
            upstream = group.create_task(attempt(self._upstream(request, window), missing))
            upstream_errors = group.create_task(attempt(self._upstream_errors(request, window), missing))
            logs = group.create_task(attempt(self._logs(request, window), missing))
            around = group.create_task(self._around(request, window, missing))
            asking = group.create_task(self._asker.ask(probes, request, window, missing))
        memory, asked = reading.result(), asking.result()
        if memory is not None and not bool(memory.mine.any()):
            missing[f"Prometheus at {self._prometheus.address}: no container metrics of this workload"] = None
            memory = None
        return Facts(
            request=request,
            window=window,
            onset=request.incident.started_at.timestamp(),
            memory=memory,
            traffic=traffic.result(),
            node_free=node_free.result(),
            upstream=upstream.result(),
            upstream_errors=upstream_errors.result(),
            logs=logs.result(),
            neighbours=around.result()[0],
            neighbour_logs=around.result()[1],
            queries=asked.queries,
            measured=asked.measured,
            counted=asked.counted,
            missing=tuple(text[:300] for text in sorted(missing)),
        )

    async def _memory(self, request: RcaRequest, window: Window) -> Memory:
        target = subjects_of(request)[0]
        seconds = (window.end - window.start).total_seconds()
        scope = (equal("namespace", target.namespace), differs("container", ""), differs("container", "POD"))
        found, limits = await asyncio.gather(
            self._prometheus.samples(selector(MEMORY, *scope), seconds, window.end),
            self._prometheus.samples(selector(LIMIT, *scope), seconds, window.end),
        )
        names = ("namespace", "pod", "container")
        block = grid(regroup(found, names), window.end.timestamp(), seconds, STEP)
        limit_block = grid(regroup(limits, names), window.end.timestamp(), seconds, STEP)
        query = selector(MEMORY, equal("namespace", target.namespace), pod_matcher(target), differs("container", ""))
        onset = request.incident.started_at.timestamp()
        ended = request.incident.type in AFTER_THE_FACT
        return memory_facts(block, limit_block, target, onset, query, ended=ended)

    async def _traffic(self, request: RcaRequest, window: Window) -> BeforeAfter:
        target = request.incident.target
        counter = selector("http_requests_total", equal("namespace", target.namespace), pods_of(request))
        query = f"sum(rate({counter}[{RATE}]))"
        samples = await self._prometheus.range(query, window.start, window.end, RANGE_STEP)
        return split(full(samples, window.start.timestamp()), 0, request.incident.started_at.timestamp(), query)

    async def _node_free(self, request: RcaRequest, window: Window) -> BeforeAfter:
        nodes = [pod.node for pod in request.pods if pod.node]
        where = [among("node", nodes)] if nodes else []
        free, total = (
            selector(name, *where) for name in ("node_memory_MemAvailable_bytes", "node_memory_MemTotal_bytes")
        )
        return await self._compare(f"min({free} / {total})", request, window, lowest=True)

    async def _upstream(self, request: RcaRequest, window: Window) -> dict[str, BeforeAfter]:
        target = request.incident.target
        scope = (equal("namespace", target.namespace), pods_of(request))
        query = quantile_query(0.95, "upstream_request_duration_seconds", "60s", *scope, by=("upstream",))
        return await self._by_upstream(query, request, window)

    async def _upstream_errors(self, request: RcaRequest, window: Window) -> dict[str, BeforeAfter]:
        scope = (equal("namespace", request.incident.target.namespace), pods_of(request))
        bad = selector("upstream_requests_total", *scope, matching("code", f"{FAILED}|none|0"))
        total = f"sum by (upstream) (rate({selector('upstream_requests_total', *scope)}[60s]))"
        query = f"(sum by (upstream) (rate({bad}[60s])) or 0 * {total}) / {total}"
        return await self._by_upstream(query, request, window)

    async def _by_upstream(self, query: str, request: RcaRequest, window: Window) -> dict[str, BeforeAfter]:
        samples = await self._prometheus.range(query, window.start, window.end, RANGE_STEP)
        onset = request.incident.started_at.timestamp()
        return {
            labels.get("upstream", ""): split(samples, row, onset, query)
            for row, labels in enumerate(samples.labels)
            if labels.get("upstream")
        }

    async def _around(
        self, request: RcaRequest, window: Window, missing: dict[str, None]
    ) -> tuple[Neighbourhood | None, tuple[LogContext, ...]]:
        """The neighbours' metrics, and the logs of those that it calls or is called by."""
        found = await attempt(self._neighbours(request, window), missing)
        if found is None:
            return None, ()
        own = {one.name for one in subjects_of(request)}
        callees = {name for one in own for name in found.calls.get(one, ())}
        callers = {name for name, called in found.calls.items() if own & set(called)}
        states = {one.target.name: one.target for one in request.workloads}
        names = [*sorted(callees - own), *sorted(callers - callees - own)]
        targets = [states[name] for name in names if name in states][:MAX_LOG_NEIGHBOURS]
        onset = request.incident.started_at
        reading = (read_context(self._loki, one, onset, window.end, NEIGHBOUR_LINES) for one in targets)
        contexts = await asyncio.gather(*(attempt(one, missing) for one in reading))
        return found, tuple(one for one in contexts if one is not None)

    async def _neighbours(self, request: RcaRequest, window: Window) -> Neighbourhood:
        scope = equal("namespace", request.incident.target.namespace)
        asked = queries(scope)
        *read, called = await asyncio.gather(
            *(self._prometheus.range(one, window.start, window.end, RANGE_STEP) for one in asked.values()),
            self._prometheus.range(calls_query(scope), window.start, window.end, RANGE_STEP),
        )
        span = Span(window.end.timestamp(), (window.end - window.start).total_seconds(), RANGE_STEP)
        return neighbourhood(dict(zip(asked, read, strict=True)), called, asked, span)

    async def _compare(self, query: str, request: RcaRequest, window: Window, *, lowest: bool = False) -> BeforeAfter:
        samples = await self._prometheus.range(query, window.start, window.end, RANGE_STEP)
        return split(samples, 0, request.incident.started_at.timestamp(), query, lowest=lowest)

    async def _logs(self, request: RcaRequest, window: Window) -> LogContext:
        incident = request.incident
        return await read_context(self._loki, subjects_of(request)[0], incident.started_at, window.end)


def full(samples: Samples, start: float) -> Samples:
    """Rates without those whose window reaches back to before the first sample: a new pod's traffic only seems to grow.

    Args:
        start: Unix seconds from which on was read; a series that was there by then has begun earlier.
    """
    known = samples.times[np.isfinite(samples.values)]
    first = float(known.min(initial=np.inf))
    if first <= start + RANGE_STEP:
        return samples
    whole = samples.times >= first + RATE_SECONDS
    return Samples(samples.labels, samples.series[whole], samples.times[whole], samples.values[whole])


def split(samples: Samples, row: int, onset: float, query: str, *, lowest: bool = False) -> BeforeAfter:
    """Median (or minimum) of one series before and since the onset."""
    own = (samples.series == row) & np.isfinite(samples.values)
    reduce = np.min if lowest else np.median

    def one(side: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
        values = samples.values[own & side]
        return float(reduce(values)) if values.size else float("nan")

    recent = samples.times >= onset - BEFORE_SECONDS
    middle = (onset + float(samples.times.max(initial=onset))) / 2
    early, late = one((samples.times >= onset) & (samples.times < middle)), one(samples.times >= middle)
    return BeforeAfter(
        before=one((samples.times < onset) & recent),
        after=one(samples.times >= onset),
        query=query,
        trend=late / early - 1 if early > 0 else float("nan"),
    )
