"""``/v1/detect``: reads what the rules need, evaluates them, keeps the hysteresis. The one impure file here."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime

import numpy as np

from analysis.contract import DetectRequest, DetectResponse, SourceHealth, Topology
from analysis.correlate.service import Correlator
from analysis.detect.containers import container_key
from analysis.detect.evaluate import evaluate_all
from analysis.detect.finding import ContainerKey, Observed, Rates
from analysis.detect.rules import GrowthRule, QuantileRule, RatioRule, RuleSet, StepRule
from analysis.detect.services import in_namespaces, queries
from analysis.detect.tracker import Tracks, advance, candidates
from analysis.telemetry.errors import SourceError
from analysis.telemetry.health import SourceProbe
from analysis.telemetry.prometheus import Prometheus
from analysis.telemetry.query import Matcher, differs, selector
from analysis.windows.block import Block, Samples, grid, regroup
from analysis.words import moment

logger = logging.getLogger(__name__)

GRID_STEP = 5.0
MAX_TOPOLOGIES = 8
STALE_AFTER = 90.0
"""Seconds after which the newest sample of all says that the writer, not the workload, has stopped."""


class UnknownTopology(Exception):
    """The digest is not known here: the caller sends the whole."""


class Detector:
    """Evaluates the rules for one or more clusters. Requests of one cluster are evaluated one after the other."""

    def __init__(self, rules: RuleSet, prometheus: Prometheus, probe: SourceProbe, now: Callable[[], datetime]) -> None:
        self.rules = rules
        self._prometheus = prometheus
        self._probe = probe
        self._now = now
        self._correlator = Correlator(prometheus)
        self._topologies: OrderedDict[tuple[str, str], Topology] = OrderedDict()
        self._tracks: dict[str, Tracks] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def detect(self, request: DetectRequest) -> DetectResponse:
        """All faults that are on now, and the health of the sources.

        Raises:
            UnknownTopology: the digest is unknown and the topology did not come along.
        """
        topology = self._topology(request)
        if len(self._locks) >= MAX_TOPOLOGIES and request.cluster not in self._locks:
            self._forget_clusters()
        async with self._locks.setdefault(request.cluster, asyncio.Lock()):
            now = self._now()
            pods = {(pod.namespace, pod.name): pod for pod in topology.pods}
            empty = Observed(now=now.timestamp(), pods=pods, signals=request.signals)
            observed, metrics = await self._observe(empty, now)
            evaluations = await asyncio.to_thread(evaluate_all, self.rules, observed)
            tracks = advance(self._tracks.get(request.cluster, {}), self.rules, evaluations, observed)
            self._tracks[request.cluster] = tracks
        alarms = candidates(tracks, self.rules)
        found = await self._correlator.group(alarms, pods, request.incidents, now)
        sources = (metrics, await self._probe.loki())
        return DetectResponse(evaluated_at=now, candidates=found, sources=sources)

    def _topology(self, request: DetectRequest) -> Topology:
        key = (request.cluster, request.topology_digest)
        if request.topology is not None:
            if request.topology.digest != request.topology_digest:
                raise UnknownTopology
            self._topologies[key] = request.topology
        if key not in self._topologies:
            raise UnknownTopology
        self._topologies.move_to_end(key)
        while len(self._topologies) > MAX_TOPOLOGIES:
            self._topologies.popitem(last=False)
        return self._topologies[key]

    def _forget_clusters(self) -> None:
        """Cluster names come from callers: what is kept about them is bounded by the topologies that are."""
        alive = {cluster for cluster, _ in self._topologies}
        for cluster in [name for name, lock in self._locks.items() if name not in alive and not lock.locked()]:
            del self._locks[cluster]
            self._tracks.pop(cluster, None)

    async def _observe(self, empty: Observed, now: datetime) -> tuple[Observed, SourceHealth]:
        if not empty.pods:
            return empty, SourceHealth(name="prometheus", address=self._prometheus.address, ok=True, message="no pods")
        blocks_wanted, rates_wanted = self._wanted(empty)
        scope = (in_namespaces(empty), differs("container", ""), differs("container", "POD"))
        try:
            samples = await asyncio.gather(
                *(
                    self._prometheus.samples(selector(metric, *scope), seconds, now)
                    for metric, seconds in blocks_wanted.items()
                )
            )
            rates = await asyncio.gather(
                *(self._rates(query, lasting, step, now) for query, (lasting, step) in rates_wanted.items())
            )
            started = await self._started(now, *scope)
        except SourceError as error:
            logger.warning("detection without metrics: %s", error)
            return empty, SourceHealth(name="prometheus", address=error.address, ok=False, message=error.why[:300])
        blocks = {
            metric: _block(found, empty.now, seconds)
            for (metric, seconds), found in zip(blocks_wanted.items(), samples, strict=True)
        }
        observed = Observed(
            now=empty.now,
            pods=empty.pods,
            signals=empty.signals,
            blocks=blocks,
            rates=dict(zip(rates_wanted, rates, strict=True)),
            started=started,
        )
        return observed, self._freshness(samples, empty.now)

    def _wanted(self, empty: Observed) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
        blocks: dict[str, float] = {}
        rates: dict[str, tuple[float, float]] = {}
        for rule in self.rules.rules:
            if isinstance(rule, GrowthRule | StepRule):
                blocks[rule.metric] = max(rule.window, blocks.get(rule.metric, 0.0))
                blocks[rule.limit] = max(300.0, blocks.get(rule.limit, 0.0))
            elif isinstance(rule, RatioRule | QuantileRule):
                for query in queries(rule, empty):
                    lasting, step = rates.get(query, (0.0, rule.step))
                    rates[query] = (max(lasting, rule.lasting), min(step, rule.step))
        return blocks, rates

    async def _started(self, now: datetime, *scope: Matcher) -> dict[ContainerKey, float]:
        found: dict[ContainerKey, float] = {}
        metrics = {
            rule.started for rule in self.rules.rules if isinstance(rule, GrowthRule | StepRule) and rule.started
        }
        for metric in sorted(metrics):
            query = f"max by (namespace, pod, container) ({selector(metric, *scope)})"
            vector = await self._prometheus.instant(query, now)
            found |= {container_key(labels): float(at) for labels, at in zip(vector.labels, vector.values, strict=True)}
        return found

    async def _rates(self, query: str, lasting: float, step: float, now: datetime) -> Rates:
        start = moment(now.timestamp() - lasting)
        samples = await self._prometheus.range(query, start, now, step)
        block = grid(samples, now.timestamp() + step / 2, lasting + step, step)
        times = np.arange(block.values.shape[1], dtype=np.float64) * step + (block.start + step / 2)
        return Rates(samples.labels, times, block.values.astype(np.float64))

    def _freshness(self, samples: list[Samples], now: float) -> SourceHealth:
        newest = max((found.newest for found in samples if found.newest is not None), default=None)
        age = None if newest is None else max(0.0, now - newest)
        message = ""
        if age is None:
            message = "it answers, but has no container metrics of the watched namespaces: is the agent writing?"
        elif age > STALE_AFTER:
            message = f"it answers, but its newest container sample is {age:.0f} s old: is the agent writing?"
        return SourceHealth(
            name="prometheus",
            address=self._prometheus.address,
            ok=not message,
            message=message,
            newest_sample_age_seconds=None if age is None else round(age, 1),
        )


def _block(samples: Samples, now: float, seconds: float) -> Block:
    return grid(regroup(samples, ("namespace", "pod", "container")), now, seconds, GRID_STEP)
