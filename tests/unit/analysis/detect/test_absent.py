"""What rule test files cannot say about absent series: pods that end, and a server that has just restarted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.detect.absent import evaluate_absent, levels
from analysis.detect.finding import Observed, fingerprint
from analysis.detect.rules import AbsentRule, RuleSet
from analysis.detect.tracker import advance, candidates
from analysis.windows.block import Block
from crds.v1alpha1.base import Scope
from tests.unit.analysis.detect.world import deployment, pods

NOW, STEP, CELLS = 10_000.0, 15.0, 60
PAYMENTS, OTHER = "payments-7c9d8f6b5d-abcde", "cart-6b9c5d7f48-abcde"


@pytest.fixture
def rule(rules: RuleSet) -> AbsentRule:
    return next(one for one in rules.rules if isinstance(one, AbsentRule))


def samples(labels: tuple[dict[str, str], ...], values: list[list[float]]) -> Block:
    offsets = np.tile(np.arange(CELLS) * STEP, (len(values), 1)).astype(np.float32)
    return Block(labels, NOW - CELLS * STEP, STEP, offsets, np.array(values, dtype=np.float32))


def world(rule: AbsentRule, up: list[float]) -> Observed:
    """Payments as given, the other workload always up; both run since long ago."""
    empty = Observed(now=NOW, pods=pods(PAYMENTS, OTHER))
    keys = tuple({"namespace": "shop", "pod": pod} for pod in (PAYMENTS, OTHER))
    containers = tuple(key | {"container": "app"} for key in keys)
    (level,) = levels(rule, empty)
    return replace(
        empty,
        levels={level: samples(keys, [up, [1.0] * CELLS])},
        blocks={rule.alive: samples(containers, [[1.0] * CELLS] * 2)},
        started={("shop", pod, "app"): 0.0 for pod in (PAYMENTS, OTHER)},
    )


LOST = [1.0] * 40 + [0.0] * 20
ALWAYS_LOST = [0.0] * CELLS


def test_it_says_since_when_and_asks_for_what_it_saw(rule: AbsentRule) -> None:
    evaluation = evaluate_absent(rule, world(rule, LOST))
    assert evaluation is not None
    (found,) = evaluation.findings
    assert (found.target, found.firing, found.pods) == (deployment("payments"), True, (PAYMENTS,))
    assert found.onset == NOW - 21 * STEP
    assert found.metrics[0].query.startswith("sum(up{")


def test_a_pod_that_is_told_to_end_need_not_serve_metrics(rule: AbsentRule) -> None:
    seen = world(rule, LOST)
    ending = replace(seen.pods["shop", PAYMENTS], deleting=True)
    evaluation = evaluate_absent(rule, replace(seen, pods=seen.pods | {("shop", PAYMENTS): ending}))
    assert evaluation is not None
    assert evaluation.findings == ()


@pytest.mark.parametrize("missing", ["blocks", "levels"])
def test_without_data_nothing_is_judged(rule: AbsentRule, missing: str) -> None:
    assert evaluate_absent(rule, replace(world(rule, LOST), **{missing: {}})) is None


@pytest.mark.parametrize(("held", "told"), [(True, 1), (False, 0)], ids=["an Incident is on", "none is"])
def test_a_restarted_server_goes_on_with_what_it_would_not_call_anew(
    rule: AbsentRule, rules: RuleSet, held: bool, told: int
) -> None:
    """All that is left in memory are failed scrapes: nothing to call, and nothing to call over."""
    known = fingerprint(rule.type, Scope.WORKLOAD, deployment("payments"))
    seen = replace(world(rule, ALWAYS_LOST), held=frozenset({known} if held else ()))
    only = RuleSet(rules=(rule,), version="")
    tracks = advance({}, only, {rule.name: evaluate_absent(rule, seen)}, seen)
    assert len(candidates(tracks, only)) == told
