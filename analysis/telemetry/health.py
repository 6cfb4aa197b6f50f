"""Whether the sources answer, asked rarely enough to be cheap."""

from __future__ import annotations

import time
from collections.abc import Callable

from analysis.contract import SourceHealth
from analysis.telemetry.errors import SourceError
from analysis.telemetry.loki import Loki
from analysis.telemetry.prometheus import Prometheus
from analysis.words import moment

CACHE_SECONDS = 15.0


class SourceProbe:
    """Asks each source one cheap question and remembers the answer for a quarter of a minute."""

    def __init__(self, prometheus: Prometheus, loki: Loki, clock: Callable[[], float] = time.monotonic) -> None:
        self._prometheus = prometheus
        self._loki = loki
        self._clock = clock
        self._cached: dict[str, tuple[float, SourceHealth]] = {}

    async def loki(self) -> SourceHealth:
        """Whether Loki answers queries."""
        cached = self._recent("loki")
        if cached is not None:
            return cached
        try:
            await self._loki.alive()
        except SourceError as error:
            return self._keep(SourceHealth(name="loki", address=error.address, ok=False, message=error.why[:300]))
        return self._keep(SourceHealth(name="loki", address=self._loki.address, ok=True))

    async def prometheus(self) -> SourceHealth:
        """Whether Prometheus answers queries."""
        cached = self._recent("prometheus")
        if cached is not None:
            return cached
        try:
            await self._prometheus.instant("vector(1)", moment(time.time()))
        except SourceError as error:
            return self._keep(SourceHealth(name="prometheus", address=error.address, ok=False, message=error.why[:300]))
        return self._keep(SourceHealth(name="prometheus", address=self._prometheus.address, ok=True))

    def _recent(self, name: str) -> SourceHealth | None:
        at, health = self._cached.get(name, (float("-inf"), None))
        return health if self._clock() - at < CACHE_SECONDS else None

    def _keep(self, health: SourceHealth) -> SourceHealth:
        self._cached[health.name] = (self._clock(), health)
        return health
