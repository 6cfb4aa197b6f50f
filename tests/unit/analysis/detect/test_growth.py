"""What is a leak, and what only looks like one."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.detect.growth import evaluate_growth
from analysis.detect.rules import GrowthRule, RuleSet
from crds.v1alpha1.base import Severity
from tests.unit.analysis.detect.world import observed, signal
from tests.unit.analysis.shapes import (
    END,
    Shape,
    flat,
    leak,
    pulse,
    sampled,
    sawtooth,
    step,
    stopped,
    warm_up,
)

POD = "payments-7c9d8f6b5d-abcde"
TWIN = "payments-7c9d8f6b5d-fghij"
OTHER = "checkout-6d5f7c8b9d-aaaaa"


@pytest.fixture
def rule(rules: RuleSet) -> GrowthRule:
    return next(one for one in rules.rules if isinstance(one, GrowthRule))


def findings(rule: GrowthRule, world) -> tuple:
    evaluation = evaluate_growth(rule, world)
    assert evaluation is not None
    return tuple(one for one in evaluation.findings if one.firing)


LEAKS = {
    "45 s old": (leak(855.0), {}),
    "a minute old": (leak(840.0), {}),
    "five minutes old": (leak(600.0, per_minute=30.0), {}),
    "slow": (leak(300.0, per_minute=4.0, base=100.0), {}),
    "from the start of the pod": (leak(600.0, per_minute=30.0), {"first": 600.0}),
    "a minute after the start of the pod": (leak(845.0, per_minute=36.0), {"first": 775.0}),
    "soon after the start of the pod": (leak(740.0, per_minute=36.0), {"first": 720.0}),
    "sampled every 5 s": (leak(850.0), {"every": 5.0}),
    "sampled every 15 s": (leak(810.0), {"every": 15.0}),
    "noisy": (leak(780.0), {"noise": 1.5}),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_called(rule: GrowthRule, name: str) -> None:
    shape, options = LEAKS[name]
    (found,) = findings(rule, observed({POD: sampled(shape, **options), OTHER: sampled(flat())}))
    assert found.target.name == "payments"
    assert found.predicted
    assert found.prediction is not None
    assert found.prediction.earliest_at <= found.prediction.expected_at <= found.prediction.latest_at


NOT_LEAKS: dict[str, tuple[Shape, dict]] = {
    "flat": (flat(), {}),
    "noise": (flat(), {"noise": 4.0}),
    "warm-up of a new pod": (warm_up(780.0, 120.0, 30.0), {"first": 780.0}),
    "slow warm-up of a new pod": (warm_up(600.0, 150.0, 90.0), {"first": 600.0}),
    "cache that fills up": (lambda t: 42 + np.where(t > 700, 100 * (1 - np.exp(-(t - 700) / 60)), 0), {}),
    "growth that has stopped": (stopped(700.0, 800.0), {}),
    "growth that has stopped at one value": (stopped(700.0, 800.0), {"noise": 0.0}),
    "exactly flat": (flat(), {"noise": 0.0}),
    "garbage collection, two minutes": (sawtooth(120.0, 40.0, 130.0), {}),
    "garbage collection, five minutes": (sawtooth(310.0, 40.0, 200.0), {}),
    "garbage collection, small": (sawtooth(45.0, 90.0, 110.0), {}),
    "a jump": (step(860.0, 42.0, 150.0), {}),
    "a jump in the last sample": (step(893.0, 42.0, 150.0), {}),
    "a pulse": (pulse(840.0, 870.0, 42.0, 150.0), {}),
    "falling": (lambda t: 200.0 - t * 0.1, {}),
    "too slow to matter": (leak(0.0, per_minute=0.3, base=60.0), {}),
    "20 s of growth": (leak(880.0), {}),
    "no samples for two minutes": (leak(600.0), {"last": 780.0}),
    "restarted, flat since": (lambda t: np.where(t < 700, 240.0, 42.0), {}),
}


@pytest.mark.parametrize("name", NOT_LEAKS)
def test_what_is_not_a_leak_is_not_called(rule: GrowthRule, name: str) -> None:
    shape, options = NOT_LEAKS[name]
    assert findings(rule, observed({POD: sampled(shape, **options)})) == ()


def test_quiet_at_every_moment_of_a_warm_up_and_a_sawtooth(rule: GrowthRule) -> None:
    series = {POD: sampled(warm_up(300.0, 120.0, 45.0), first=300.0), OTHER: sampled(sawtooth(130.0, 40.0, 160.0))}
    for now in np.arange(END - 500.0, END, 10.0):
        cut = {pod: (times[times < now], values[times < now]) for pod, (times, values) in series.items()}
        assert findings(rule, observed(cut, now=float(now))) == (), f"at {now - END:.0f} s"


def test_called_within_a_minute_and_long_before_the_limit(rule: GrowthRule) -> None:
    times, values = sampled(leak(600.0))
    called = [
        float(now - (END - 900.0) - 600.0)
        for now in np.arange(END - 300.0, END, 5.0)
        if findings(rule, observed({POD: (times[times < now], values[times < now])}, now=float(now)))
    ]
    assert called[0] <= 45.0
    assert len(called) == len(np.arange(END - 300.0 + called[0], END, 5.0)), "and it stays called until the limit"


def test_pods_of_a_workload_make_one_finding(rule: GrowthRule) -> None:
    series = {POD: sampled(leak(800.0)), TWIN: sampled(leak(810.0, per_minute=60.0)), OTHER: sampled(flat())}
    (found,) = findings(rule, observed(series))
    assert found.pods == (POD, TWIN)
    assert "on 2 of 2 pods" in found.summary
    assert len(found.metrics) == 2
    assert found.fingerprint == findings(rule, observed({POD: sampled(leak(850.0))}))[0].fingerprint


def test_pods_that_the_topology_does_not_know_are_ignored(rule: GrowthRule) -> None:
    assert findings(rule, observed({POD: sampled(leak(800.0))}, known=(OTHER,))) == ()


def test_without_a_limit_there_is_no_prediction_and_no_finding(rule: GrowthRule) -> None:
    assert findings(rule, observed({POD: sampled(leak(800.0))}, limit=0.0)) == ()


def test_severity_rises_shortly_before_the_limit(rule: GrowthRule) -> None:
    (found,) = findings(rule, observed({POD: sampled(leak(700.0))}))
    assert found.severity is Severity.CRITICAL
    (found,) = findings(rule, observed({POD: sampled(leak(840.0))}))
    assert found.severity is Severity.HIGH


def test_a_leak_goes_on_after_the_kill_that_it_led_to(rule: GrowthRule) -> None:
    def shape(t: np.ndarray) -> np.ndarray:
        return np.where(t < 500, 250.0, 42.0 + np.maximum(t - 500.0, 0.0) * 0.5)

    killed = [signal("OOMKilled", POD, END - 400.0)]
    assert findings(rule, observed({POD: sampled(shape)})) == ()
    assert len(findings(rule, observed({POD: sampled(shape)}, signals=killed))) == 1


@pytest.mark.parametrize(("age", "called"), [(5000.0, True), (95.0, False)])
def test_an_old_container_that_the_agent_saw_late_is_not_a_new_one(rule: GrowthRule, age: float, called: bool) -> None:
    series = {POD: sampled(leak(845.0), first=800.0)}
    assert bool(findings(rule, observed(series, started={POD: END - age}))) == called


def test_no_data_is_no_answer(rule: GrowthRule) -> None:
    world = observed({POD: sampled(flat())})
    world.blocks.clear()
    assert evaluate_growth(rule, world) is None


def test_evidence_can_be_run_again(rule: GrowthRule) -> None:
    (found,) = findings(rule, observed({POD: sampled(leak(840.0))}))
    metric = found.metrics[0]
    assert metric.query.startswith('deriv(container_memory_working_set_bytes{namespace="shop",pod="payments-')
    assert float(metric.value) == pytest.approx(0.8 * 1024 * 1024, rel=0.05)
    assert metric.unit == "bytes/s"
