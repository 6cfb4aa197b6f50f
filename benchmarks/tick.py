"""A tick of the server: every series' sample comes as remote_write, and detection looks at all of them.

All that is measured is what ``/v1/detect`` runs: the store, the observer, the shipped memory rules, their hysteresis.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import httpx
import numpy as np

from analysis.config import DATA_ROOT
from analysis.contract import Candidate
from analysis.detect.evaluate import evaluate_all
from analysis.detect.finding import Evaluation, Observed
from analysis.detect.observe import Observer
from analysis.detect.pods import Pods
from analysis.detect.rulebook import load_rules
from analysis.detect.rules import GrowthRule, RuleSet, StepRule
from analysis.detect.topologies import compact
from analysis.detect.tracker import Tracks, advance, candidates
from analysis.telemetry.prometheus import Prometheus
from analysis.telemetry.query import Select
from analysis.telemetry.reader import Reader
from analysis.telemetry.store import LOOKBACK, Store
from analysis.windows.block import Float64
from benchmarks import load

SCRAPES = 61
"""A window of the rules, fifteen minutes, and one."""
INTERVAL = 15.0
BEFORE_LAST = (SCRAPES - 1) * INTERVAL
ROUND = 5.0
"""Seconds between two looks."""


def memory_rules() -> RuleSet:
    """Those of the shipped rules that look at every container's memory."""
    rules = load_rules(DATA_ROOT / "rules")
    return RuleSet(
        rules=tuple(one for one in rules.rules if isinstance(one, GrowthRule | StepRule)), version=rules.version
    )


@dataclass(frozen=True, slots=True)
class Tick:
    """CPU seconds of one tick, and what came of it."""

    accepting: float
    looking: float
    candidates: int

    @property
    def seconds(self) -> float:
        """Requests to candidates."""
        return self.accepting + self.looking


class Server:
    """The store of an analysis server with full windows, and detection over it."""

    def __init__(self, series: int, seed: int) -> None:
        containers = series // load.PER_CONTAINER
        self.rules, self.store = memory_rules(), Store(series, INTERVAL)
        self.fleet = load.Fleet.of(containers, BEFORE_LAST, seed)
        self._pods = Pods.of(compact(map(load.pod, range(containers))))  # as the server keeps a topology
        self._traffic, self._loop = load.Traffic(series), asyncio.new_event_loop()
        self._asked: list[str] = []
        nowhere = Prometheus("http://127.0.0.1:9", 1.0, httpx.AsyncClient())
        self._observer = Observer(self.rules, Reader(nowhere, self.store, self._asked.append))
        self._tracks: Tracks = {}
        self._want()
        for scrape in range(SCRAPES - 1):
            self.accept(self.requests(scrape * INTERVAL))

    def requests(self, seconds: float) -> list[bytes]:
        """The scrape of all series at a time since the beginning."""
        values: Float64 = np.zeros(len(self.fleet.limits) * load.PER_CONTAINER)
        values[0 :: load.PER_CONTAINER] = self.fleet.at(seconds)
        values[1 :: load.PER_CONTAINER] = self.fleet.limits
        values[2 :: load.PER_CONTAINER] = load.MILLIS / 1000 - 86_400.0
        values[3 :: load.PER_CONTAINER] = seconds
        self._now = load.MILLIS / 1000 + seconds
        return list(self._traffic.requests(values, round(self._now * 1000)))

    def accept(self, bodies: list[bytes]) -> None:
        """Take requests in, at the time for which they were made."""
        for body in bodies:
            self.store.accept(body, self._now)

    def observed(self, now: float) -> Observed:
        """What the rules look at, all of it from memory.

        Raises:
            AssertionError: something was asked for by query, which is not what is measured.
        """
        for metric in self.store.wanted():  # as the seeder says it when it has read what came before
            self.store.completed(metric.name, load.MILLIS / 1000 - 1)
        self._asked.clear()
        found, health = self._loop.run_until_complete(self._observer.observe(Observed(now=now, pods=self._pods)))
        if not health.ok or set(self._asked) != {"ring"}:
            raise AssertionError(f"not answered from memory: {health.message}, {self._asked}")
        return found

    def look(self, now: float) -> tuple[Candidate, ...]:
        """One round of detection."""
        found = self.observed(now)
        self._tracks = advance(self._tracks, self.rules, evaluate_all(self.rules, found), found)
        return candidates(self._tracks, self.rules)

    def tick(self) -> Tick:
        """The last scrape, twice, and a look after each; the cheaper one: the first also reads labels, once for all."""
        bodies, ticks = self.requests(BEFORE_LAST), []
        for again in range(2):
            start = time.process_time()
            self.accept(bodies)
            accepted = time.process_time()
            found = self.look(self._now + again * ROUND)
            ticks.append(Tick(accepted - start, time.process_time() - accepted, len(found)))
        return Tick(min(one.accepting for one in ticks), min(one.looking for one in ticks), ticks[-1].candidates)

    def _want(self) -> None:
        """Ask for what the rules read, as the first look does, which is answered by queries."""
        for rule in self.rules.rules:
            if isinstance(rule, GrowthRule | StepRule):
                for metric, exact in ((rule.metric, False), (rule.limit, False), (rule.started or "", True)):
                    self.store.covers(Select(metric), rule.window if not exact else LOOKBACK, 0.0, exact=exact)


def called(evaluations: dict[str, Evaluation | None]) -> set[str]:
    """Pods of which a rule fires."""
    found = [one for one in evaluations.values() if one is not None]
    return {pod for one in found for finding in one.findings if finding.firing for pod in finding.pods}
