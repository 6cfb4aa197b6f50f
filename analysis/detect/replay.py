"""Recorded samples through the rules with their hysteresis, tick by tick: what the server would have reported, when."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from analysis.contract import ApiSignal, Candidate, NodeFact, PodFact
from analysis.detect.evaluate import evaluate_all, level_queries, rates_wanted
from analysis.detect.finding import ContainerKey, Level, Observed, PodKey
from analysis.detect.rules import (
    AbsentRule,
    FillRule,
    GrowthRule,
    RuleSet,
    StepRule,
)
from analysis.detect.tracker import Tracks, advance, candidates
from analysis.telemetry.query import Matcher, RateSum, Select
from analysis.windows.block import Float64, Samples, grid, regroup
from analysis.windows.rates import Rates, rate, summed
from analysis.words import moment

GRID_STEP = 5.0
LIMIT_WINDOW = 300.0


@dataclass(frozen=True, slots=True)
class Recording:
    """All that was seen. ``samples`` by metric name, series with the labels namespace, pod, container."""

    pods: Mapping[PodKey, PodFact]
    samples: Mapping[str, Samples]
    started: Mapping[ContainerKey, float] = field(default_factory=dict)
    series: Mapping[str, Samples] = field(default_factory=dict)
    """By metric name, with whatever labels, for rules that are not about containers."""
    nodes: Mapping[str, NodeFact] = field(default_factory=dict)
    signals: tuple[ApiSignal, ...] = ()
    """Moments: each is seen from its own time on."""
    states: tuple[tuple[ApiSignal, float, float], ...] = ()
    """States with their first and last Unix time: seen anew at each tick between, as detection sends them."""

    def signals_at(self, now: float) -> tuple[ApiSignal, ...]:
        """What detection sends at that time."""
        moments = [one for one in self.signals if one.at.timestamp() <= now]
        held = [
            one.model_copy(update={"at": moment(now), "since": moment(start)})
            for one, start, end in self.states
            if start <= now <= end
        ]
        return (*moments, *held)


def replay(
    rules: RuleSet, recording: Recording, start: float, end: float, tick: float
) -> Iterator[tuple[float, tuple[Candidate, ...]]]:
    """Unix time and what is reported then, every ``tick`` seconds from ``start`` until before ``end``."""
    windows, levels = _windows(rules), _levels(rules, recording)
    tracks: Tracks = {}
    pods, now = dict(recording.pods), start
    while now < end:
        empty = Observed(now=now, pods=pods)
        observed = Observed(
            now=now,
            pods=pods,
            blocks={
                metric: grid(samples, now, windows.get(metric, LIMIT_WINDOW), GRID_STEP)
                for metric, samples in recording.samples.items()
            },
            signals=recording.signals_at(now),
            rates=_rates(rules, recording, empty),
            levels={level: grid(samples, now, seconds, GRID_STEP) for level, (samples, seconds) in levels.items()},
            nodes=recording.nodes,
            started={key: at for key, at in recording.started.items() if at <= now},
        )
        tracks = advance(tracks, rules, evaluate_all(rules, observed), observed)
        yield now, candidates(tracks, rules)
        now += tick


def _levels(rules: RuleSet, recording: Recording) -> dict[Level, tuple[Samples, float]]:
    """What the server would read, and for how long back."""
    found: dict[Level, tuple[Samples, float]] = {}
    empty = Observed(now=0.0, pods=dict(recording.pods), nodes=recording.nodes)
    for rule in rules.rules:
        if isinstance(rule, FillRule | AbsentRule):
            for level in level_queries(rule, empty):
                found[level] = (regroup(selected(recording, level.select), level.by), rule.window)
    return found


def _rates(rules: RuleSet, recording: Recording, observed: Observed) -> dict[RateSum, Rates]:
    """What the server would read as rates; nothing when no counters were recorded."""
    found: dict[RateSum, Rates] = {}
    if not recording.series or not recording.pods:
        return found
    for query, (lasting, step) in rates_wanted(rules, observed).items():
        steps = np.arange(round(lasting / step), -1, -1)
        found[query] = _rate(recording, query, (observed.now - steps * step).astype(np.float64))
    return found


def _rate(recording: Recording, query: RateSum, at: Float64) -> Rates:
    samples = selected(recording, query.select)
    counts = np.bincount(samples.series, minlength=len(samples.labels))
    shape = (len(samples.labels), int(counts.max(initial=0)))
    times, values = np.full(shape, np.nan), np.full(shape, np.nan)
    column = np.arange(samples.series.size) - np.repeat(np.cumsum(counts) - counts, counts)
    times[samples.series, column], values[samples.series, column] = samples.times * 1000, samples.values
    times[np.isnan(values)] = np.nan
    keys = [tuple(labels.get(name, "") for name in query.by) for labels in samples.labels]
    unique = sorted(set(keys))
    groups = np.array([unique.index(key) for key in keys], dtype=np.int64)
    total = summed(groups, len(unique), rate(times, values, at * 1000, query.window))
    return Rates(tuple(dict(zip(query.by, key, strict=True)) for key in unique), at, total)


def selected(recording: Recording, select: Select) -> Samples:
    """The recorded series that a selector picks."""
    nothing = np.zeros(0, dtype=np.float64)
    samples = recording.series.get(select.metric, Samples((), nothing.astype(np.int64), nothing, nothing))
    keep = [all(_matches(one, labels.get(one.label, "")) for one in select.matchers) for labels in samples.labels]
    rows = np.flatnonzero(np.array(keep, dtype=np.bool_))
    position = np.full(len(keep) + 1, -1, dtype=np.int64)
    position[rows] = np.arange(rows.size)
    inside = position[samples.series] >= 0
    labels = tuple(samples.labels[row] for row in rows)
    return Samples(labels, position[samples.series[inside]], samples.times[inside], samples.values[inside])


def _matches(one: Matcher, value: str) -> bool:
    equal = re.fullmatch(one.value, value) is not None if "~" in one.operator else one.value == value
    return equal != one.operator.startswith("!")


def _windows(rules: RuleSet) -> dict[str, float]:
    found: dict[str, float] = {}
    for rule in rules.rules:
        if isinstance(rule, GrowthRule | StepRule):
            found[rule.metric] = max(rule.window, found.get(rule.metric, 0.0))
    return found
