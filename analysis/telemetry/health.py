"""Whether the sources answer, asked rarely enough to be cheap."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from analysis.contract import SourceHealth
from analysis.telemetry.errors import SourceError
from analysis.telemetry.loki import Loki
from analysis.telemetry.prometheus import Prometheus
from analysis.words import moment

CACHE_SECONDS = 15.0


class SourceProbe:
    """Asks each source one cheap question a few times a minute and remembers the answer.

    An answer that is due for renewal is renewed in the background: a log store that hangs must not slow down detection,
    which does not need it. Only the very first answer is waited for.
    """

    def __init__(self, prometheus: Prometheus, loki: Loki, clock: Callable[[], float] = time.monotonic) -> None:
        self._prometheus = prometheus
        self._loki = loki
        self._clock = clock
        self._known: dict[str, tuple[float, SourceHealth]] = {}
        self._running: dict[str, asyncio.Task[SourceHealth]] = {}

    async def loki(self) -> SourceHealth:
        """Whether Loki answers queries."""
        return await self._latest("loki", self._loki.address, self._loki.alive)

    async def prometheus(self) -> SourceHealth:
        """Whether Prometheus answers queries."""
        return await self._latest("prometheus", self._prometheus.address, self._ask_prometheus)

    async def _ask_prometheus(self) -> None:
        await self._prometheus.instant("vector(1)", moment(time.time()))

    async def _latest(self, name: str, address: str, ask: Callable[[], Awaitable[None]]) -> SourceHealth:
        at, health = self._known.get(name, (float("-inf"), None))
        if self._clock() - at >= CACHE_SECONDS and name not in self._running:
            task = asyncio.create_task(self._renew(name, address, ask))
            self._running[name] = task
            task.add_done_callback(lambda _: self._running.pop(name, None))
        if health is not None:
            return health
        return await asyncio.shield(self._running[name])

    async def _renew(self, name: str, address: str, ask: Callable[[], Awaitable[None]]) -> SourceHealth:
        try:
            await ask()
            health = SourceHealth(name=name, address=address, ok=True)
        except SourceError as error:
            health = SourceHealth(name=name, address=error.address, ok=False, message=error.why[:300])
        self._known[name] = (self._clock(), health)
        return health
