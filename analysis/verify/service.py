"""``/v1/verify``: reads both windows, then decides."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np

from analysis.contract import VerifyRequest, VerifyResponse
from analysis.detect.rules import RuleSet
from analysis.telemetry.errors import SourceError
from analysis.telemetry.prometheus import Prometheus
from analysis.telemetry.query import differs, duration, equal, selector
from analysis.telemetry.scope import Scope
from analysis.verify.decide import Reading, judge, settled
from analysis.verify.requests import compare, quantities
from analysis.windows.block import grid, regroup
from analysis.windows.robust import row_max
from analysis.workloads import owns, pod_matcher
from crds.v1alpha1.verification import Verdict

logger = logging.getLogger(__name__)

MEMORY = "container_memory_working_set_bytes"
LIMIT = "container_spec_memory_limit_bytes"
STARTED = "container_start_time_seconds"
MEMORY_TYPES = frozenset({"MemoryLeak", "MemorySpike", "OOMKilled", "CrashLoop", "Restarted"})
STEP = 5.0
MAX_BEFORE = timedelta(minutes=5)
MIN_BEFORE = timedelta(minutes=1)
LEAD = timedelta(minutes=2)
"""Read before the window after the action: whether a pod was already there then tells start-up from growth."""


class Verifier:
    """Answers whether actions helped."""

    def __init__(self, prometheus: Prometheus, rules: Callable[[], RuleSet], now: Callable[[], datetime]) -> None:
        """``rules`` are those in force: what raised an incident says what has to be better."""
        self._prometheus = prometheus
        self._rules = rules
        self._now = now

    async def verify(self, request: VerifyRequest) -> VerifyResponse:
        """The verdict, or None while the data do not suffice yet. A source that fails never makes a verdict."""
        now = self._now()
        complete = request.final or now >= request.window.end
        prometheus = self._prometheus.of(request.cluster)
        try:
            if request.incident.type in MEMORY_TYPES:
                reading = await _memory(prometheus, request, now)
                return _within(await asyncio.to_thread(judge, reading), prometheus.scope)
            if measured := quantities(request.incident, self._rules()):
                answer = await compare(prometheus, request, measured, now, complete=complete)
                return _within(answer, prometheus.scope)
        except SourceError as error:
            logger.warning("cannot verify %s/%s: %s", request.incident.namespace, request.incident.name, error)
            verdict = Verdict.INCONCLUSIVE if request.final else None
            return VerifyResponse(verdict=verdict, reason="SourceUnavailable", message=str(error)[:1024])
        verdict = Verdict.INCONCLUSIVE if complete else None
        message = f"there is no measurement for incidents of type {request.incident.type} yet"
        return VerifyResponse(verdict=verdict, reason="NotMeasurable", message=message)


async def _memory(prometheus: Prometheus, request: VerifyRequest, now: datetime) -> Reading:
    incident, executed = request.incident, request.executed_at
    target = incident.target
    start = min(max(incident.started_at, executed - MAX_BEFORE), executed - MIN_BEFORE)
    begin = min(start, executed - LEAD)
    seconds = max((now - begin).total_seconds(), STEP)
    scope = (equal("namespace", target.namespace), differs("container", ""), differs("container", "POD"))
    mine = (equal("namespace", target.namespace), pod_matcher(target), differs("container", ""))
    window = max(request.window.end - executed, timedelta(seconds=1))
    since = duration(max((now - executed).total_seconds(), STEP))
    found, limits, restarts = await asyncio.gather(
        prometheus.samples(selector(MEMORY, *scope), seconds, now),
        prometheus.samples(selector(LIMIT, *scope), seconds, now),
        prometheus.instant(f"sum(changes({selector(STARTED, *mine)}[{since}]))", now),
    )
    names = ("namespace", "pod", "container")
    whole = grid(regroup(found, names), now.timestamp(), seconds, STEP)
    limit_block = grid(regroup(limits, names), now.timestamp(), seconds, STEP)
    newest = row_max(limit_block.values.astype(np.float64))
    by_name = {tuple(labels.values()): value for labels, value in zip(limit_block.labels, newest, strict=True)}
    limit = np.array([by_name.get(tuple(labels.values()), 0.0) for labels in whole.labels], dtype=np.float64)
    steady = settled(whole)
    return Reading(
        before=steady.between(start.timestamp(), executed.timestamp()),
        after=steady.between(executed.timestamp(), now.timestamp() + STEP),
        mine=np.array([owns(target, labels["pod"]) for labels in whole.labels], dtype=np.bool_),
        limit=np.nan_to_num(limit),
        query=selector(MEMORY, *mine),
        executed_at=executed.timestamp(),
        restarted=bool(restarts.values.size and restarts.values[0] > 0),
        elapsed_share=(now - executed) / window,
        window_seconds=window.total_seconds(),
        final=request.final,
    )


def _within(answer: VerifyResponse, scope: Scope) -> VerifyResponse:
    """Its queries as they have to be asked to see the same again."""
    measurements = tuple(one.model_copy(update={"query": scope.within(one.query)}) for one in answer.measurements)
    return answer.model_copy(update={"measurements": measurements})
