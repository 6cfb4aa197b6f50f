"""Fills the store from the metrics store: once for what is missing, and every few seconds in pull mode.

After a restart nothing is known; what detection asks for first is read by query, and in the background once for the
store, in shards by namespace so that no answer is too large, at most ``CONCURRENT`` at a time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from analysis.telemetry.errors import SourceError
from analysis.telemetry.kept import Missing
from analysis.telemetry.native import LE
from analysis.telemetry.prometheus import Prometheus
from analysis.telemetry.query import Matcher, Select, among, duration
from analysis.telemetry.store import Store
from analysis.words import moment

logger = logging.getLogger(__name__)

SHARD_SERIES = 5000
"""Series of one query: some ten megabytes of JSON at 15 minutes of 15 s."""
CONCURRENT = 4
TICK = 1.0
TIDY_EVERY = 10
"""Ticks between clean-ups."""
BACKOFF = (2.0, 60.0)
"""Seconds between attempts, first and longest."""


@dataclass(slots=True)
class Attempt:
    """When a metric may be tried again."""

    at: float = 0.0
    wait: float = BACKOFF[0]


@dataclass(slots=True)
class Seeder:
    """Runs beside the server. ``told`` hears of each metric ``seeded``, ``pulled`` or ``failed``.

    Args:
        pull: seconds between pulls; None when samples come by remote_write.
    """

    store: Store
    prometheus: Prometheus
    now: Callable[[], float]
    pull: float | None = None
    told: Callable[[str], None] = lambda _: None
    _attempts: dict[str, Attempt] = field(default_factory=dict)
    _pulled: float = float("-inf")

    async def run(self) -> None:
        """Until cancelled."""
        tick = 0
        while True:
            tick += 1
            try:
                await self.step()
                if tick % TIDY_EVERY == 0:
                    self.store.tidy(self.now())
            except Exception:  # a defect here must not end what keeps the store complete; detection reads by query
                logger.exception("the store could not be filled")
                self.told("failed")
            await asyncio.sleep(TICK)

    async def step(self) -> None:
        """What is due now."""
        now = self.now()
        if self.pull is not None and now - self._pulled >= self.pull:
            self._pulled = now
            await self._pull(self.pull)
        for missing in self.store.missing(now, arriving=self.pull is None):
            attempt = self._attempts.setdefault(missing.metric, Attempt())
            if now >= attempt.at:
                await self._seed(missing, attempt)

    async def _seed(self, missing: Missing, attempt: Attempt) -> None:
        began = self.now()
        try:
            refused = await self._fetch(missing)
        except SourceError as error:
            attempt.at, attempt.wait = began + attempt.wait, min(2 * attempt.wait, BACKOFF[1])
            logger.warning("cannot seed %s, again in %.0f s: %s", missing.metric, attempt.at - began, error)
            self.told("failed")
            return
        self._attempts.pop(missing.metric, None)
        if refused:
            logger.warning("no room for %d series of %s: they are read by query", refused, missing.metric)
        if self.pull is not None:
            self.store.arrived(missing.metric, began)
        self.store.completed(missing.metric, began - missing.seconds)
        self.told("seeded")

    async def _pull(self, every: float) -> None:
        for metric in self.store.wanted():
            began = self.now()
            try:
                # twice the distance: what was late for the last pull is there now
                await self._fetch(Missing(metric.name, 2 * every + 15.0, metric.native))
            except SourceError as error:
                logger.warning("cannot pull %s: %s", metric.name, error)
                self.told("failed")
                return  # the source is away: the others would wait for their timeouts one by one
            self.store.arrived(metric.name, began)
            self.told("pulled")

    async def _fetch(self, missing: Missing) -> int:
        at, refused = moment(self.now()), 0
        counted = await self.prometheus.instant(
            f"count by (namespace) (last_over_time({missing.metric}[{duration(missing.seconds)}]))", at
        )
        sizes = {
            labels.get("namespace", ""): int(count)
            for labels, count in zip(counted.labels, counted.values.tolist(), strict=True)
        }
        gate = asyncio.Semaphore(CONCURRENT)

        async def one(matcher: Matcher) -> int:
            async with gate:
                select = str(Select(missing.metric, (matcher,)))
                samples = await self.prometheus.samples(select, missing.seconds, at)
                return self.store.put(missing.metric, samples, self.now())

        limit = SHARD_SERIES // (len(LE) if missing.native else 1)
        for found in await asyncio.gather(*(one(matcher) for matcher in shards(sizes, limit))):
            refused += found
        return refused


def shards(sizes: dict[str, int], limit: int = SHARD_SERIES) -> Sequence[Matcher]:
    """Matchers that together select every namespace once, each at most ``limit`` series where a namespace allows it."""
    found: list[list[str]] = []
    room = 0
    for namespace, size in sorted(sizes.items()):
        if not found or size > room:
            found.append([])
            room = limit
        found[-1].append(namespace)
        room -= size
    return [among("namespace", names) for names in found]
