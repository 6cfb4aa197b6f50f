"""``/v1/detect``: reads what the rules need, evaluates them, keeps the hysteresis. The one impure file here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from analysis.alerts.book import AlertBook
from analysis.alerts.findings import alert_candidates
from analysis.contract import Candidate, DetectRequest, DetectResponse, SourceHealth, Topology
from analysis.correlate.service import Correlator
from analysis.detect.evaluate import evaluate_all
from analysis.detect.finding import Observed
from analysis.detect.learner import Learner
from analysis.detect.logwatch import LogWatch
from analysis.detect.observe import Observer
from analysis.detect.pods import Pods
from analysis.detect.rulebook import RuleBook
from analysis.detect.rules import Rule, RuleSet
from analysis.detect.topologies import MAX_CLUSTERS, Topologies
from analysis.detect.tracker import Tracks, advance, candidates
from analysis.telemetry.health import SourceProbe
from analysis.telemetry.reader import Reader
from analysis.telemetry.scope import Scope
from crds.v1alpha1.base import MAX_QUERY

logger = logging.getLogger(__name__)


class Detector:
    """Evaluates the rules for one or more clusters. Requests of one cluster are evaluated one after the other.

    ``failed`` hears the name of a rule whenever it could not be evaluated.
    """

    def __init__(
        self,
        rules: RuleSet | RuleBook,
        reader: Reader,
        probe: SourceProbe,
        now: Callable[[], datetime],
        learner: Learner | None = None,
        alerts: AlertBook | None = None,
        logs: LogWatch | None = None,
        failed: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._book = rules if isinstance(rules, RuleBook) else None
        self.rules = rules.current() if isinstance(rules, RuleBook) else rules
        self._reader = reader
        self._probe = probe
        self._now = now
        self._learner = learner
        self._alerts = alerts
        self._logs = logs
        self._failed = failed
        self._told: set[tuple[str, str]] = set()
        self._correlator = Correlator()
        self._topologies = Topologies()
        self._pods: dict[str, tuple[Topology, Pods]] = {}
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
        reader = self._reader.of(request.cluster)
        async with self._locks.setdefault(request.cluster, asyncio.Lock()):
            if self._book is not None:
                self.rules = await asyncio.to_thread(self._book.current)
            now = self._now()
            seen = self._surroundings(request, topology, now)
            observed, metrics = await Observer(self.rules, reader).observe(seen)
            evaluations = await asyncio.to_thread(evaluate_all, self.rules, observed, self._rule_failed)
            tracks = advance(self._tracks.get(request.cluster, {}), self.rules, evaluations, observed)
            self._tracks[request.cluster] = tracks
        alarms, others = self._from_elsewhere(request, topology, observed, now)
        found = await self._correlator.group(
            candidates(tracks, self.rules) + alarms,
            topology,
            request.incidents,
            now,
            reader.prometheus,
            request.changes,
        )
        return DetectResponse(
            evaluated_at=now,
            candidates=tuple(_within(one, reader.prometheus.scope) for one in found),
            sources=(metrics, await self._probe.loki(), *self._shared_health(reader), *others),
        )

    def _surroundings(self, request: DetectRequest, topology: Topology, now: datetime) -> Observed:
        """What the request itself shows, before any metric is read."""
        held = [one for one in request.incidents if one.active]
        return Observed(
            now=now.timestamp(),
            pods=self._pods_of(request.cluster, topology),
            nodes={node.name: node for node in topology.nodes},
            services=topology.services,
            signals=request.signals,
            held=frozenset(name for one in held for name in (one.fingerprint, *one.members)),
        )

    def _pods_of(self, cluster: str, topology: Topology) -> Pods:
        """By namespace and name; kept as long as the cluster's topology is this very one."""
        if cluster in self._pods and self._pods[cluster][0] is not topology:
            del self._pods[cluster]  # before the new ones are made: 150,000 of them take 20 MB
        if cluster not in self._pods:
            self._pods[cluster] = (topology, Pods.of(topology.pods))
        return self._pods[cluster][1]

    def _rule_failed(self, rule: Rule, error: Exception) -> None:
        """Counted each time, logged once for each kind of error: a round is every few seconds."""
        self._failed(rule.name)
        told = (rule.name, type(error).__name__)
        if told not in self._told:
            self._told.add(told)
            logger.error("rule %s failed (%s): what it reported stays, the others go on", *told, exc_info=error)

    def _from_elsewhere(
        self, request: DetectRequest, topology: Topology, observed: Observed, now: datetime
    ) -> tuple[tuple[Candidate, ...], list[SourceHealth]]:
        """Alarms that no rule raised (learned baselines, log lines, an Alertmanager), and how those sources are."""
        alarms: tuple[Candidate, ...] = ()
        health = []
        if self._learner is not None:
            self._learner.note(request, topology, now.timestamp())
            alarms += self._learner.alarms(request.cluster, now.timestamp())
            health.append(self._learner.health(request.cluster))
        if self._logs is not None:
            self._logs.note(request.cluster, topology, now.timestamp())
            alarms += self._logs.alarms(request.cluster)
        if self._alerts is not None and (alerts := self._alerts.firing(request.cluster, now)):
            mapped, unmapped = alert_candidates(alerts, observed)
            alarms += mapped
            health.append(_alertmanager(len(alerts), unmapped))
        return alarms, health

    def _shared_health(self, reader: Reader) -> list[SourceHealth]:
        """Of what all clusters have in common."""
        health = [_rules_health(self._book)] if self._book is not None else []
        if len(self._topologies.clusters) > 1 and not reader.prometheus.scope.label:
            health.append(_mixed(self._topologies.clusters))
        return health

    def _forget_clusters(self) -> None:
        """Cluster names come from callers: what is kept about them is bounded by the topologies that are."""
        alive = self._topologies.clusters
        for cluster in [name for name, lock in self._locks.items() if name not in alive and not lock.locked()]:
            del self._locks[cluster]
            self._tracks.pop(cluster, None)
            self._pods.pop(cluster, None)


def _rules_health(book: RuleBook) -> SourceHealth:
    """A file that cannot be used is said, and blinds nobody: the rules before it stay in force."""
    return SourceHealth(
        name="rules", address=str(book.directory), ok=not book.problem, message=book.problem, blinds=False
    )


def _alertmanager(firing: int, unmapped: int) -> SourceHealth:
    about = f", {unmapped} of them about nothing that is known here" if unmapped else ""
    return SourceHealth(name="alertmanager", address="", ok=True, message=f"{firing} alerts fire{about}")


def _mixed(clusters: frozenset[str]) -> SourceHealth:
    """Several clusters are asked about, and nothing tells their samples apart."""
    known = ", ".join(sorted(clusters))
    message = f"{known} ask, and clusterLabels is not set: equal names of two clusters are taken for one"
    return SourceHealth(name="scope", address="", ok=False, message=message[:300], blinds=False)


def _within(candidate: Candidate, scope: Scope) -> Candidate:
    """Its queries as they have to be asked to see the same again; one that gets too long for that is left out."""
    if not scope.matchers:
        return candidate
    queries = [scope.within(one.query) for one in candidate.metrics]
    metrics = tuple(
        one.model_copy(update={"query": query if len(query) <= MAX_QUERY else ""})
        for one, query in zip(candidate.metrics, queries, strict=True)
    )
    signals = tuple(_within(one, scope) for one in candidate.signals)
    return candidate.model_copy(update={"metrics": metrics, "signals": signals})
