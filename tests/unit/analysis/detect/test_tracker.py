from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.detect.finding import Evaluation, Finding, Observed
from analysis.detect.rules import RuleSet
from analysis.detect.tracker import advance, candidates
from crds.v1alpha1.base import Severity
from tests.unit.analysis.detect.world import deployment, pods, signal

POD = "payments-7c9d8f6b5d-abcde"
FRESH = frozenset({("shop", POD)})


@pytest.fixture
def leak_only(rules: RuleSet) -> RuleSet:
    return RuleSet(rules=tuple(rule for rule in rules.rules if rule.name == "memory-leak"), version="v")


def finding(**changes) -> Finding:
    base = Finding(
        type="MemoryLeak",
        target=deployment("payments"),
        firing=True,
        severity=Severity.HIGH,
        confidence_percent=80,
        summary="grows",
        onset=900.0,
        seen_at=1000.0,
        pods=(POD,),
        predicted=True,
    )
    return replace(base, **changes)


ON = Evaluation((finding(),), FRESH)
WEAK = Evaluation((finding(firing=False),), FRESH)
OFF = Evaluation((), FRESH)
BLIND = Evaluation((), frozenset())


def play(
    rules: RuleSet, *steps: tuple[float, Evaluation | None], gone_at: float = float("inf"), signals=()
) -> list[int]:
    """Number of candidates after each evaluation."""
    tracks, seen = {}, []
    for now, evaluation in steps:
        known = pods(POD) if now < gone_at else {}
        tracks = advance(tracks, rules, {"memory-leak": evaluation}, Observed(now, known, signals=tuple(signals)))
        seen.append(len(candidates(tracks, rules)))
    return seen


def test_two_evaluations_in_a_row_are_needed(leak_only: RuleSet) -> None:
    assert play(leak_only, (0, ON), (5, ON)) == [0, 1]
    assert play(leak_only, (0, ON), (5, OFF), (10, ON)) == [0, 0, 0]
    assert play(leak_only, (0, ON), (5, WEAK), (10, ON)) == [0, 0, 0]


def test_an_early_look_at_the_same_samples_is_no_second_evaluation(leak_only: RuleSet) -> None:
    assert play(leak_only, (0, ON), (1, ON), (2, ON), (5, ON)) == [0, 0, 0, 1]


def test_easier_thresholds_keep_it(leak_only: RuleSet) -> None:
    assert play(leak_only, (0, ON), (5, ON), (100, WEAK), (200, WEAK)) == [0, 1, 1, 1]


def test_it_is_held_for_a_while_and_then_over(leak_only: RuleSet) -> None:
    assert play(leak_only, (0, ON), (5, ON), (10, OFF), (19, OFF), (21, OFF)) == [0, 1, 1, 1, 0]


def test_missing_data_never_end_it(leak_only: RuleSet) -> None:
    assert play(leak_only, (0, ON), (5, ON), (100, BLIND), (1000, BLIND), (2000, None)) == [0, 1, 1, 1, 1]


@pytest.mark.parametrize("gap", [BLIND, None])
def test_after_a_gap_it_is_held_anew_for_the_first_samples_say_little(
    leak_only: RuleSet, gap: Evaluation | None
) -> None:
    steps = ((0, ON), (5, ON), (600, gap), (605, OFF), (610, ON), (620, OFF))
    assert play(leak_only, *steps) == [0, 1, 1, 1, 1, 1]
    assert play(leak_only, (0, ON), (5, ON), (600, gap), (605, OFF), (616, OFF)) == [0, 1, 1, 1, 0], "not for ever"


def test_it_is_over_when_its_pods_are_gone(leak_only: RuleSet) -> None:
    assert play(leak_only, (0, ON), (5, ON), (10, BLIND), gone_at=10.0) == [0, 1, 0]


def test_a_kill_is_not_a_recovery(leak_only: RuleSet) -> None:
    killed = [signal("OOMKilled", POD, 990.0)]
    assert play(leak_only, (980, ON), (985, ON), (1100, OFF), (1400, OFF), signals=killed) == [0, 1, 1, 0]


def test_onset_stays_the_earliest(leak_only: RuleSet) -> None:
    later = Evaluation((finding(onset=950.0),), FRESH)
    tracks = {}
    for now, evaluation in ((0.0, ON), (5.0, later)):
        tracks = advance(tracks, leak_only, {"memory-leak": evaluation}, Observed(now, pods(POD)))
    (candidate,) = candidates(tracks, leak_only)
    assert candidate.onset.timestamp() == 900.0
    assert candidate.fingerprint == finding().fingerprint
    assert len(candidate.fingerprint) == 16
