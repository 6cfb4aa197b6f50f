from __future__ import annotations

import pytest

from analysis.detect.evaluate import evaluate_all
from analysis.detect.rules import RuleSet
from tests.unit.analysis.detect.world import observed, signal
from tests.unit.analysis.shapes import END, flat, sampled

POD = "payments-7c9d8f6b5d-abcde"
TWIN = "payments-7c9d8f6b5d-fghij"


def types(rules: RuleSet, *signals) -> list[str]:
    world = observed({POD: sampled(flat()), TWIN: sampled(flat())}, signals=signals)
    return sorted(
        finding.type
        for evaluation in evaluate_all(rules, world).values()
        if evaluation
        for finding in evaluation.findings
    )


@pytest.mark.parametrize(
    ("kind", "ago", "count", "expected"),
    [
        ("OOMKilled", 10.0, 1, ["OOMKilled"]),
        ("OOMKilled", 400.0, 1, []),
        ("CrashLoop", 0.0, 4, ["CrashLoop"]),
        ("Restarted", 10.0, 1, []),
        ("Restarted", 10.0, 3, ["Restarted"]),
        ("ImagePull", 0.0, 1, ["ImagePullFailed"]),
        ("Evicted", 30.0, 1, ["Evicted"]),
        ("SomethingElse", 1.0, 9, []),
    ],
)
def test_signals_become_findings(rules: RuleSet, kind: str, ago: float, count: int, expected: list[str]) -> None:
    assert types(rules, signal(kind, POD, END - ago, count=count)) == expected


def test_signals_of_one_workload_make_one_finding_with_all_its_pods(rules: RuleSet) -> None:
    signals = (signal("OOMKilled", POD, END - 60, count=2), signal("OOMKilled", TWIN, END - 5, count=1))
    world = observed({POD: sampled(flat()), TWIN: sampled(flat())}, signals=signals)
    evaluation = evaluate_all(rules, world)["oom-killed"]
    assert evaluation is not None
    (found,) = evaluation.findings
    assert found.pods == (POD, TWIN)
    assert found.count == 3
    assert found.onset == END - 60
