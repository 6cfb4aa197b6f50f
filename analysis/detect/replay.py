"""Recorded samples through the rules with their hysteresis, tick by tick: what the server would have reported, when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from analysis.contract import ApiSignal, Candidate, PodFact
from analysis.detect.evaluate import evaluate_all
from analysis.detect.finding import ContainerKey, Observed, PodKey
from analysis.detect.rules import GrowthRule, RuleSet, StepRule
from analysis.detect.tracker import Tracks, advance, candidates
from analysis.windows.block import Samples, grid
from analysis.words import moment

GRID_STEP = 5.0
LIMIT_WINDOW = 300.0


@dataclass(frozen=True, slots=True)
class Recording:
    """All that was seen. ``samples`` by metric name, series with the labels namespace, pod, container."""

    pods: Mapping[PodKey, PodFact]
    samples: Mapping[str, Samples]
    started: Mapping[ContainerKey, float] = field(default_factory=dict)
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
    windows = _windows(rules)
    tracks: Tracks = {}
    now = start
    while now < end:
        observed = Observed(
            now=now,
            pods=dict(recording.pods),
            blocks={
                metric: grid(samples, now, windows.get(metric, LIMIT_WINDOW), GRID_STEP)
                for metric, samples in recording.samples.items()
            },
            signals=recording.signals_at(now),
            started={key: at for key, at in recording.started.items() if at <= now},
        )
        tracks = advance(tracks, rules, evaluate_all(rules, observed), observed)
        yield now, candidates(tracks, rules)
        now += tick


def _windows(rules: RuleSet) -> dict[str, float]:
    found: dict[str, float] = {}
    for rule in rules.rules:
        if isinstance(rule, GrowthRule | StepRule):
            found[rule.metric] = max(rule.window, found.get(rule.metric, 0.0))
    return found
