"""What the rules look at, read all at once: from memory or from the metrics store, of one cluster."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from analysis.contract import SourceHealth
from analysis.detect.containers import STALE_SECONDS
from analysis.detect.evaluate import level_queries, rates_wanted
from analysis.detect.finding import ContainerKey, Level, Observed, Rates
from analysis.detect.first_look import FirstLook, first_look
from analysis.detect.rules import (
    AbsentRule,
    FillRule,
    GrowthRule,
    RuleSet,
    StepRule,
    ThrottleRule,
)
from analysis.detect.services import in_namespaces
from analysis.telemetry.errors import SourceError
from analysis.telemetry.query import Matcher, RateSum, Select, differs
from analysis.telemetry.reader import Found, Reader
from analysis.windows.block import Block

logger = logging.getLogger(__name__)

GRID_STEP = 5.0
LIMIT_WINDOW = 300.0
CONTAINER = ("namespace", "pod", "container")
STALE_AFTER = 90.0
"""Seconds after which the newest sample of all says that the writer, not the workload, has stopped."""


class Observer:
    """Reads what ``rules`` need."""

    def __init__(self, rules: RuleSet, reader: Reader) -> None:
        self._rules = rules
        self._reader = reader

    async def observe(self, empty: Observed) -> tuple[Observed, SourceHealth]:
        """``empty`` with what was read, and how the metrics store is; without samples when it does not answer."""
        if not empty.pods:
            return empty, SourceHealth(name="prometheus", address=self._reader.address, ok=True, message="no pods")
        scope = (in_namespaces(empty), differs("container", ""), differs("container", "POD"))
        try:
            look, found = await self._blocks(empty, scope)
            rates = await self._rates(empty)
            levels = await self._levels(empty)
            started = await self._started(empty.now, *scope)
        except SourceError as error:
            logger.warning("detection without metrics: %s", error)
            return empty, SourceHealth(name="prometheus", address=error.address, ok=False, message=error.why[:300])
        blocks = {metric: one.block for metric, one in found.items()}
        seen = {metric: one.pods_since(empty.now - STALE_SECONDS) for metric, one in look.looks.items()}
        observed = replace(empty, blocks=blocks, seen=seen, rates=rates, levels=levels, started=started)
        times = [*(one.newest for one in found.values()), *(one.newest for one in look.looks.values())]
        return observed, self._freshness(max((at for at in times if at is not None), default=None), empty.now)

    async def _blocks(self, empty: Observed, scope: tuple[Matcher, ...]) -> tuple[FirstLook, dict[str, Found]]:
        wanted: dict[str, float] = {}
        for rule in self._rules.rules:
            if isinstance(rule, GrowthRule | StepRule):
                wanted[rule.metric] = max(rule.window, wanted.get(rule.metric, 0.0))
                wanted[rule.limit] = max(LIMIT_WINDOW, wanted.get(rule.limit, 0.0))
            elif isinstance(rule, AbsentRule):
                wanted.setdefault(rule.alive, LIMIT_WINDOW)
            elif isinstance(rule, ThrottleRule):
                wanted |= dict.fromkeys((rule.quota, rule.period), LIMIT_WINDOW)
        window = (empty.now, GRID_STEP)
        look = first_look(
            self._rules,
            wanted,
            lambda metric, seconds: self._reader.look(Select(metric, scope), CONTAINER, seconds, *window),
            empty.now,
        )
        found = await asyncio.gather(
            *(
                self._reader.block(Select(metric, scope), CONTAINER, seconds, *window, look.chosen.get(metric))
                for metric, seconds in wanted.items()
            )
        )
        return look, dict(zip(wanted, found, strict=True))

    async def _levels(self, empty: Observed) -> dict[Level, Block]:
        rules = [rule for rule in self._rules.rules if isinstance(rule, FillRule | AbsentRule)]
        wanted = {level: rule.window for rule in rules for level in level_queries(rule, empty)}
        found = await asyncio.gather(
            *(self._reader.block(one.select, one.by, seconds, empty.now, GRID_STEP) for one, seconds in wanted.items())
        )
        return {level: one.block for level, one in zip(wanted, found, strict=True)}

    async def _rates(self, empty: Observed) -> dict[RateSum, Rates]:
        wanted = rates_wanted(self._rules, empty)
        rates = await asyncio.gather(*(self._reader.rates(query, *how, empty.now) for query, how in wanted.items()))
        return dict(zip(wanted, rates, strict=True))

    async def _started(self, now: float, *scope: Matcher) -> Mapping[ContainerKey, float]:
        metrics = {
            rule.started
            for rule in self._rules.rules
            if isinstance(rule, GrowthRule | StepRule | ThrottleRule | AbsentRule) and rule.started
        }
        found = [await self._reader.latest(Select(metric, scope), CONTAINER, now) for metric in sorted(metrics)]
        by_container = cast("list[Mapping[ContainerKey, float]]", found)
        if len(by_container) == 1:  # as it mostly is: one of memory is read where it lies
            return by_container[0]
        return {key: at for one in by_container for key, at in one.items()}

    def _freshness(self, newest: float | None, now: float) -> SourceHealth:
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
