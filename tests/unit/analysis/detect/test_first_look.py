"""What the first look leaves out, no rule would have called: evaluations are the same with and without it."""

from __future__ import annotations

import asyncio
from importlib import import_module
from unittest.mock import patch

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.config import DATA_ROOT
from analysis.detect import containers
from analysis.detect.evaluate import evaluate, evaluate_all
from analysis.detect.finding import Evaluation, Observed
from analysis.detect.observe import Observer
from analysis.detect.rulebook import load_rules
from analysis.detect.rules import GrowthRule, Rule, RuleSet, StepRule
from analysis.telemetry.prometheus import Prometheus
from analysis.telemetry.query import Select
from analysis.telemetry.reader import Reader
from analysis.telemetry.store import LOOKBACK, Store
from analysis.windows.block import Samples
from tests.unit.analysis.detect.world import observed, pods, signal
from tests.unit.analysis.shapes import END, MIB, Shape, flat, leak, sampled, step

RULES = [rule for rule in load_rules(DATA_ROOT / "rules").rules if isinstance(rule, GrowthRule | StepRule)]
LIMIT = 256.0
EASY = {
    "growth": {"min_growth": 0.0, "min_monotonicity": 0.3, "min_recent_share": 0.01, "min_elapsed_share": 0.0},
    "step": {"min_level_share": 0.01},
}
"""Leave the comparison that the first look anticipates the last word."""


def unscreened(rule: Rule, world: Observed) -> Evaluation | None:
    with patch.object(containers, "risen", lambda block, least: np.isfinite(least)):
        return evaluate(rule, world)


levels = st.one_of(st.integers(1, 260).map(float), st.floats(0.5, 260.0))


@st.composite
def anything(draw: st.DrawFn) -> Shape:
    """Ramps, or levels with jumps between them."""
    points = sorted(draw(st.lists(st.tuples(st.floats(0.0, 900.0), levels), min_size=1, max_size=6)))
    at, level = np.array(points).T
    if draw(st.booleans()):
        return lambda t: level[np.clip(np.searchsorted(at, t) - 1, 0, len(at) - 1)]
    return lambda t: np.interp(t, at, level)


@st.composite
def rise(draw: st.DrawFn) -> Shape:
    """A leak or a jump of any size that falls back a little at its end, or not."""
    base, onset, share = draw(levels), draw(st.floats(500.0, 860.0)), draw(st.floats(0.005, 0.6))
    kept, seconds = draw(st.sampled_from([1.0, 1.0, 1.0, 0.7, 0.4])), draw(st.sampled_from([1.0, 900.0 - onset]))

    def shape(t: np.ndarray) -> np.ndarray:
        risen = base + share * LIMIT * np.clip((t - onset) / seconds, 0.0, 1.0)
        return np.where(t < 885.0, risen, base + kept * (risen - base))

    return shape


@st.composite
def samples(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Late births, silence at the end, and noise or none."""
    shape = draw(st.one_of(rise(), rise(), anything()))
    first, last = draw(st.sampled_from([0.0, 0.0, 0.0, 780.0])), draw(st.sampled_from([900.0, 900.0, 900.0, 850.0]))
    every, noise = draw(st.sampled_from([5.0, 10.0, 15.0])), draw(st.sampled_from([0.0, 0.0, 0.1, 2.0]))
    times, values = sampled(shape, first=first, last=last, every=every, noise=noise)
    return times, np.maximum(values, 0.0)


shares = st.floats(0.01, 0.5)
numbers = st.fixed_dictionaries({
    "min_growth_share": shares, "clear_factor": st.floats(1.0, 5.0), "max_step_share": st.floats(0.3, 1.0),
    "min_rise_share": shares, "stay_share": st.floats(0.01, 1.0), "min_jump_share": shares,
})  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@given(series=st.lists(samples(), min_size=1, max_size=8), drawn=numbers, easy=st.booleans(), died=st.booleans())
@settings(max_examples=150, deadline=None)
def test_nothing_that_a_rule_calls_is_left_out(rule: GrowthRule | StepRule, series, drawn, easy, died) -> None:
    chosen = drawn | (EASY[rule.detector] if easy else {})
    rule = rule.model_copy(update={key: value for key, value in chosen.items() if hasattr(rule, key)})
    named = {f"app{index}-7c9d8f6b5d-abcde": one for index, one in enumerate(series)}
    signals = [signal("OOMKilled", name, 1_700_000_700.0) for name in named] if died else []
    world = observed(named, limit=LIMIT, signals=signals)
    assert evaluate(rule, world) == unscreened(rule, world)


EDGES: dict[str, tuple[str, Shape]] = {
    "growth by just so much": ("growth", leak(600.0, per_minute=1.85, base=200.0)),
    "a jump by just so much": ("step", step(700.0, 128.0, 128.0 + LIMIT * 0.25)),
    "a jump that half stays": ("step", lambda t: np.where(t < 700, 100.0, np.where(t < 885, 165.0, 140.0))),
    "from nothing": ("step", step(700.0, 0.0, 200.0)),
}


@pytest.mark.parametrize("name", EDGES)
def test_what_is_only_just_called_is_still_called(name: str) -> None:
    detector, shape = EDGES[name]
    (rule,) = (rule for rule in RULES if rule.detector == detector)
    world = observed({"payments-7c9d8f6b5d-abcde": sampled(shape, noise=0.0)}, limit=LIMIT)
    found = evaluate(rule, world)
    assert found is not None
    assert found.findings
    assert found == unscreened(rule, world)


@pytest.mark.parametrize(("rule", "fit"), list(zip(RULES, ("measure", "largest_step"), strict=True)))
def test_only_what_has_risen_is_fitted(rule: Rule, fit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module(f"analysis.detect.{rule.detector}")
    real, fitted = getattr(module, fit), []
    monkeypatch.setattr(module, fit, lambda block, *rest: fitted.extend(block.labels) or real(block, *rest))
    series = {f"web{index}-7c9d8f6b5d-abcde": sampled(flat(60.0 + index)) for index in range(40)}
    evaluate(rule, observed(series | {"payments-7c9d8f6b5d-abcde": sampled(leak(600.0))}, limit=LIMIT))
    assert [labels["pod"] for labels in fitted] == ["payments-7c9d8f6b5d-abcde"]


def remembered(series: dict[str, list[tuple]], limits: dict[str, tuple]) -> Reader:
    """A store with samples of each pod's instances, and limits; whatever would need a query fails."""
    store = Store(1000, 5.0)
    (rule, *_) = RULES
    for metric, exact in ((rule.metric, False), (rule.limit, False), (rule.started, True)):
        store.covers(Select(metric), LOOKBACK if exact else 900.0, END, exact=exact)
        store.completed(metric, 0.0)
    instances = [(pod, number, *samples) for pod, found in series.items() for number, samples in enumerate(found)]
    limited = [(pod, 0, *samples) for pod, samples in limits.items()]
    for metric, sent in ((rule.metric, instances), (rule.limit, limited)):
        labels = tuple({"namespace": "shop", "pod": pod, "container": "app", "id": str(n)} for pod, n, *_ in sent)
        of = np.repeat(np.arange(len(sent)), [len(times) for _, _, times, _ in sent])
        times, values = (np.concatenate([one[index] for one in sent]) for index in (2, 3))
        store.put(metric, Samples(labels, of, times, values), END)
    calm = Samples(({"namespace": "shop", "pod": "calm", "container": "app"},), *np.array([[0.0], [END - 1], [1.0]]))
    for metric in (rule.metric, rule.limit, rule.started):  # so that each is fresh, whatever was drawn
        store.put(metric, Samples(calm.labels, np.array([0]), calm.times, calm.values), END)
    return Reader(Prometheus("http://127.0.0.1:9", 1.0, httpx.AsyncClient()), store)


def looked(reader: Reader, *names: str) -> tuple[Observed, dict[str, Evaluation | None]]:
    rules = RuleSet(rules=tuple(RULES), version="test")
    world, health = asyncio.run(Observer(rules, reader).observe(Observed(now=END, pods=pods(*names))))
    assert health.ok
    return world, evaluate_all(rules, world)


lives = st.tuples(samples(), st.sampled_from([None, None, 300.0, 700.0]), st.sampled_from([LIMIT, LIMIT, 512.0, 0.0]))


@given(drawn=st.lists(lives, min_size=1, max_size=6))
@settings(max_examples=100, deadline=None)
def test_from_memory_the_same_is_called_with_and_without(drawn) -> None:
    series, limits = {}, {}
    for index, ((times, values), restart, other) in enumerate(drawn):
        name = f"app{index}-7c9d8f6b5d-abcde"
        before = times < END - 900.0 + (restart or 0.0)
        series[name] = [(times[before], values[before]), (times[~before], values[~before])]
        limits[name] = (times, np.where(times < END - 100.0, other, LIMIT) * MIB)
    reader = remembered(series, limits)
    world, ours = looked(reader, *series)
    assert world.seen
    with patch.object(Reader, "look", lambda *_: None):
        whole, theirs = looked(reader, *series)
    assert not whole.seen
    assert ours == theirs


def test_from_memory_only_what_has_risen_is_laid_on_a_grid() -> None:
    shapes = {f"web{index}-7c9d8f6b5d-abcde": flat(60.0 + index) for index in range(40)}
    shapes["payments-7c9d8f6b5d-abcde"] = leak(600.0)
    series = {name: [sampled(shape)] for name, shape in shapes.items()}
    limits = {name: (times, np.full(len(times), LIMIT * MIB)) for name, [(times, _)] in series.items()}
    world, found = looked(remembered(series, limits), *series)
    for rule in RULES:
        assert [labels["pod"] for labels in world.blocks[rule.metric].labels] == ["payments-7c9d8f6b5d-abcde"]
        assert found[rule.name].fresh >= {("shop", name) for name in series}, (
            "of the calm ones it is known that they are"
        )
