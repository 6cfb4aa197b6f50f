from __future__ import annotations

import numpy as np
import pytest

from analysis.detect.rules import RuleSet, StepRule
from analysis.detect.step import evaluate_step
from tests.unit.analysis.detect.world import observed
from tests.unit.analysis.shapes import START, flat, leak, pulse, sampled, sawtooth, step, warm_up

POD = "payments-7c9d8f6b5d-abcde"


@pytest.fixture
def rule(rules: RuleSet) -> StepRule:
    return next(one for one in rules.rules if isinstance(one, StepRule))


@pytest.mark.parametrize("at", [700.0, 800.0, 850.0, 880.0])
def test_a_jump_that_stays_is_called_with_its_moment(rule: StepRule, at: float) -> None:
    evaluation = evaluate_step(rule, observed({POD: sampled(step(at, 42.0, 180.0))}))
    assert evaluation is not None
    (found,) = evaluation.findings
    assert found.onset - START == pytest.approx(at, abs=12.0)
    assert "42 MiB to 180 MiB" in found.summary.replace("41.9", "42").replace("42.1", "42")


@pytest.mark.parametrize(
    ("name", "shape", "options"),
    [
        ("flat", flat(), {}),
        ("leak", leak(840.0), {}),
        ("leak for minutes", leak(680.0, 36.0), {"every": 12.0}),
        ("fast leak", leak(800.0, 70.0), {}),
        ("small", step(850.0, 42.0, 80.0), {}),
        ("came back", pulse(800.0, 850.0, 42.0, 180.0), {}),
        ("new pod fills its memory", warm_up(760.0, 180.0, 8.0), {"first": 760.0}),
        ("sawtooth", sawtooth(120.0, 40.0, 100.0), {}),
        ("fell", step(850.0, 180.0, 42.0), {}),
        ("long ago", step(400.0, 42.0, 180.0), {}),
        ("restart", lambda t: np.where(t < 850, 180.0, 42.0), {}),
    ],
)
def test_what_is_no_jump_is_not_called(rule: StepRule, name: str, shape, options: dict) -> None:
    evaluation = evaluate_step(rule, observed({POD: sampled(shape, **options)}))
    assert evaluation is not None
    assert evaluation.findings == (), name
