"""``/v1/detect``: reads what the rules need, evaluates them, keeps the hysteresis. The one impure file here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from analysis.alerts.book import AlertBook
from analysis.alerts.findings import alert_candidates
from analysis.contract import Candidate, DetectRequest, DetectResponse, SourceHealth
from analysis.correlate.service import Correlator
from analysis.detect.containers import container_key
from analysis.detect.evaluate import evaluate_all, rate_queries
from analysis.detect.fill import concerns, gauges
from analysis.detect.finding import ContainerKey, Level, Observed, Rates
from analysis.detect.learner import Learner
from analysis.detect.logwatch import LogWatch
from analysis.detect.rulebook import RuleBook
from analysis.detect.rules import FillRule, GrowthRule, QuantileRule, RatioRule, RuleSet, StepRule, ThrottleRule
from analysis.detect.services import in_namespaces
from analysis.detect.topologies import MAX_CLUSTERS, Topologies
from analysis.detect.tracker import Tracks, advance, candidates
from analysis.telemetry.errors import SourceError
from analysis.telemetry.health import SourceProbe
from analysis.telemetry.query import Matcher, RateSum, Select, differs
from analysis.telemetry.reader import Found, Reader
from analysis.windows.block import Block

logger = logging.getLogger(__name__)

GRID_STEP = 5.0
LIMIT_WINDOW = 300.0
CONTAINER = ("namespace", "pod", "container")
STALE_AFTER = 90.0
"""Seconds after which the newest sample of all says that the writer, not the workload, has stopped."""


class Detector:
    """Evaluates the rules for one or more clusters. Requests of one cluster are evaluated one after the other."""

    def __init__(
        self,
        rules: RuleSet | RuleBook,
        reader: Reader,
        probe: SourceProbe,
        now: Callable[[], datetime],
        learner: Learner | None = None,
        alerts: AlertBook | None = None,
        logs: LogWatch | None = None,
    ) -> None:
        self._book = rules if isinstance(rules, RuleBook) else None
        self.rules = rules.current() if isinstance(rules, RuleBook) else rules
        self._reader = reader
        self._probe = probe
        self._now = now
        self._learner = learner
        self._alerts = alerts
        self._logs = logs
        self._correlator = Correlator(reader.prometheus)
        self._topologies = Topologies()
        self._tracks: dict[str, Tracks] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def detect(self, request: DetectRequest) -> DetectResponse:
        """All faults that are on now, and the health of the sources.

        Raises:
            UnknownTopology: the digest is unknown and the topology did not come along.
        """
        topology = self._topologies.resolve(request)
        if len(self._locks) >= MAX_CLUSTERS and request.cluster not in self._locks:
            self._forget_clusters()
        async with self._locks.setdefault(request.cluster, asyncio.Lock()):
            if self._book is not None:
                self.rules = await asyncio.to_thread(self._book.current)
            now = self._now()
            pods = {(pod.namespace, pod.name): pod for pod in topology.pods}
            empty = Observed(
                now=now.timestamp(),
                pods=pods,
                nodes={node.name: node for node in topology.nodes},
                services=topology.services,
                signals=request.signals,
            )
            observed, metrics = await self._observe(empty)
            evaluations = await asyncio.to_thread(evaluate_all, self.rules, observed)
            tracks = advance(self._tracks.get(request.cluster, {}), self.rules, evaluations, observed)
            self._tracks[request.cluster] = tracks
        alarms: tuple[Candidate, ...] = candidates(tracks, self.rules)
        others = [_rules_health(self._book)] if self._book is not None else []
        if self._learner is not None:
            self._learner.note(request, topology, now.timestamp())
            alarms += self._learner.alarms(request.cluster, now.timestamp())
            others.append(self._learner.health(request.cluster))
        if self._logs is not None:
            self._logs.note(request.cluster, topology, now.timestamp())
            alarms += self._logs.alarms(request.cluster)
        if self._alerts is not None and (alerts := self._alerts.firing(request.cluster, now)):
            mapped, unmapped = alert_candidates(alerts, observed)
            alarms += mapped
            others.append(_alertmanager(len(alerts), unmapped))
        found = await self._correlator.group(alarms, topology, request.incidents, now, request.changes)
        sources = (metrics, await self._probe.loki(), *others)
        return DetectResponse(evaluated_at=now, candidates=found, sources=sources)

    def _forget_clusters(self) -> None:
        """Cluster names come from callers: what is kept about them is bounded by the topologies that are."""
        alive = self._topologies.clusters
        for cluster in [name for name, lock in self._locks.items() if name not in alive and not lock.locked()]:
            del self._locks[cluster]
            self._tracks.pop(cluster, None)

    async def _observe(self, empty: Observed) -> tuple[Observed, SourceHealth]:
        if not empty.pods:
            return empty, SourceHealth(name="prometheus", address=self._reader.address, ok=True, message="no pods")
        scope = (in_namespaces(empty), differs("container", ""), differs("container", "POD"))
        try:
            found = await self._blocks(empty, scope)
            rates = await self._rates(empty)
            levels = await self._levels(empty)
            started = await self._started(empty.now, *scope)
        except SourceError as error:
            logger.warning("detection without metrics: %s", error)
            return empty, SourceHealth(name="prometheus", address=error.address, ok=False, message=error.why[:300])
        blocks = {metric: one.block for metric, one in found.items()}
        observed = replace(empty, blocks=blocks, rates=rates, levels=levels, started=started)
        return observed, self._freshness(list(found.values()), empty.now)

    async def _blocks(self, empty: Observed, scope: tuple[Matcher, ...]) -> dict[str, Found]:
        wanted: dict[str, float] = {}
        for rule in self.rules.rules:
            if isinstance(rule, GrowthRule | StepRule):
                wanted[rule.metric] = max(rule.window, wanted.get(rule.metric, 0.0))
                wanted[rule.limit] = max(LIMIT_WINDOW, wanted.get(rule.limit, 0.0))
            elif isinstance(rule, ThrottleRule):
                wanted |= dict.fromkeys((rule.quota, rule.period), LIMIT_WINDOW)
        found = await asyncio.gather(
            *(
                self._reader.block(Select(metric, scope), CONTAINER, seconds, empty.now, GRID_STEP)
                for metric, seconds in wanted.items()
            )
        )
        return dict(zip(wanted, found, strict=True))

    async def _levels(self, empty: Observed) -> dict[Level, Block]:
        rules = [rule for rule in self.rules.rules if isinstance(rule, FillRule) and concerns(rule, empty)]
        wanted = {level: rule.window for rule in rules for level in gauges(rule)}
        found = await asyncio.gather(
            *(self._reader.block(one.select, one.by, seconds, empty.now, GRID_STEP) for one, seconds in wanted.items())
        )
        return {level: one.block for level, one in zip(wanted, found, strict=True)}

    async def _rates(self, empty: Observed) -> dict[RateSum, Rates]:
        wanted: dict[RateSum, tuple[float, float]] = {}
        for rule in self.rules.rules:
            if isinstance(rule, RatioRule | QuantileRule | ThrottleRule):
                for query in rate_queries(rule, empty):
                    lasting, step = wanted.get(query, (0.0, rule.step))
                    wanted[query] = (max(lasting, rule.lasting), min(step, rule.step))
        rates = await asyncio.gather(*(self._reader.rates(query, *how, empty.now) for query, how in wanted.items()))
        return dict(zip(wanted, rates, strict=True))

    async def _started(self, now: float, *scope: Matcher) -> dict[ContainerKey, float]:
        found: dict[ContainerKey, float] = {}
        metrics = {
            rule.started
            for rule in self.rules.rules
            if isinstance(rule, GrowthRule | StepRule | ThrottleRule) and rule.started
        }
        for metric in sorted(metrics):
            vector = await self._reader.latest(Select(metric, scope), CONTAINER, now)
            found |= {container_key(labels): float(at) for labels, at in zip(vector.labels, vector.values, strict=True)}
        return found

    def _freshness(self, found: list[Found], now: float) -> SourceHealth:
        newest = max((one.newest for one in found if one.newest is not None), default=None)
        age = None if newest is None else max(0.0, now - newest)
        message = ""
        if age is None:
            message = "it answers, but has no container metrics of the watched namespaces: is the agent writing?"
        elif age > STALE_AFTER:
            message = f"it answers, but its newest container sample is {age:.0f} s old: is the agent writing?"
        return SourceHealth(
            name="prometheus",
            address=self._reader.address,
            ok=not message,
            message=message,
            newest_sample_age_seconds=None if age is None else round(age, 1),
        )


def _rules_health(book: RuleBook) -> SourceHealth:
    """A file that cannot be used is said, and blinds nobody: the rules before it stay in force."""
    return SourceHealth(
        name="rules", address=str(book.directory), ok=not book.problem, message=book.problem, blinds=False
    )


def _alertmanager(firing: int, unmapped: int) -> SourceHealth:
    about = f", {unmapped} of them about nothing that is known here" if unmapped else ""
    return SourceHealth(name="alertmanager", address="", ok=True, message=f"{firing} alerts fire{about}")
