"""Where detection reads metrics: from memory where that is complete and fresh, else from the metrics store.

Both ways give the same answer; ``tests/unit/analysis/telemetry/test_reader.py`` holds them to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from analysis.telemetry.groups import Values
from analysis.telemetry.look import Chosen, Look
from analysis.telemetry.prometheus import Prometheus
from analysis.telemetry.query import RateSum, Select
from analysis.telemetry.store import LOOKBACK, Store
from analysis.windows.block import Block, grid, regroup
from analysis.windows.rates import Rates
from analysis.words import moment


@dataclass(frozen=True, slots=True)
class Found:
    """A block and the Unix time of its newest sample; None when there is none."""

    block: Block
    newest: float | None


class Reader:
    """Blocks, rates and latest values. ``read`` is told of each answer where it came from: ``ring`` or ``query``."""

    def __init__(
        self, prometheus: Prometheus, store: Store | None = None, read: Callable[[str], None] = lambda _: None
    ) -> None:
        self.prometheus = prometheus
        self.address = prometheus.address
        self._store = store
        self._read = read

    def of(self, cluster: str) -> Reader:
        """The same, reading one cluster only, in memory and in the store."""
        found = copy(self)
        found.prometheus = self.prometheus.of(cluster)
        return found

    def look(self, select: Select, by: tuple[str, ...], seconds: float, now: float, step: float) -> Look | None:
        """The first look at all that :meth:`block` would show; None where that is not in memory."""
        select = self._own(select)
        if self._store is None or not self._covered(select, seconds, now, exact=False):
            return None
        return self._store.look(select, by, seconds, now, step)

    async def block(
        self,
        select: Select,
        by: tuple[str, ...],
        seconds: float,
        now: float,
        step: float,
        chosen: Chosen | None = None,
    ) -> Found:
        """Raw samples of the ``seconds`` before ``now``, series that agree in ``by`` joined, on a grid of ``step``.

        Of the ``chosen`` ones at least, of all without.

        Raises:
            SourceError: the metrics store was needed and does not answer.
        """
        select = self._own(select)
        if self._store is not None and self._covered(select, seconds, now, exact=False):
            block = self._store.block(select, by, seconds, now, step, chosen)
            self._read("ring")
            newest = float(np.nanmax(block.offsets)) + block.start if block.offsets.size else None
            return Found(block, newest)
        self._read("query")
        samples = await self.prometheus.samples(str(select), seconds, moment(now))
        return Found(grid(regroup(samples, by), now, seconds, step), samples.newest)

    async def rates(self, query: RateSum, lasting: float, step: float, now: float) -> Rates:
        """The expression at each step of the last ``lasting`` seconds.

        Raises:
            SourceError: the metrics store was needed and does not answer.
        """
        query = replace(query, select=self._own(query.select))
        if self._store is not None and self._covered(query.select, lasting + query.window, now, exact=True):
            self._read("ring")
            return self._store.rates(query, lasting, step, now)
        self._read("query")
        samples = await self.prometheus.range(str(query), moment(now - lasting), moment(now), step)
        block = grid(samples, now + step / 2, lasting + step, step)
        times = np.arange(block.values.shape[1], dtype=np.float64) * step + (block.start + step / 2)
        return Rates(samples.labels, times, block.values.astype(np.float64))

    async def latest(self, select: Select, by: tuple[str, ...], now: float) -> Mapping[Values, float]:
        """``max by (…) (metric)`` now, by the values of those labels.

        Raises:
            SourceError: the metrics store was needed and does not answer.
        """
        select = self._own(select)
        if self._store is not None and self._covered(select, LOOKBACK, now, exact=True):
            self._read("ring")
            return self._store.latest(select, by, now)
        self._read("query")
        vector = await self.prometheus.instant(f"max by ({', '.join(by)}) ({select})", moment(now))
        named = (tuple(labels.get(name, "") for name in by) for labels in vector.labels)
        return dict(zip(named, vector.values.tolist(), strict=True))

    def _own(self, select: Select) -> Select:
        return replace(select, matchers=(*self.prometheus.scope.matchers, *select.matchers))

    def _covered(self, select: Select, seconds: float, now: float, *, exact: bool) -> bool:
        if self._store is None or not self._store.covers(select, seconds, now, exact=exact):
            return False
        return all(_known(matcher.value) for matcher in select.matchers if "~" in matcher.operator)


def _known(pattern: str) -> bool:
    """Whether Python reads this RE2 pattern too."""
    try:
        re.compile(pattern.encode())
    except re.error:
        return False
    return True
