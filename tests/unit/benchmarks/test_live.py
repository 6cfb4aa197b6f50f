"""Live runs as rows of accuracy: what counts as right, and that nothing there is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import live
from benchmarks.data import Missing

LEAK = {"type": ["MemoryLeak"], "target": ["Deployment/payments"], "cause": ["MemoryLeak"], "causeTarget": []}


def cause(kind: str, target: str = "Deployment/payments", deviation: float = 0.5, refuted: bool = False) -> dict:
    return {"kind": kind, "target": target, "confidence": 50, "refuted": refuted, "deviation": deviation}


def run(*causes: dict, confidence: int = 80, came: bool = True, **expected: Any) -> dict[str, Any]:
    incident = {
        "name": "payments-1", "type": "MemoryLeak", "target": "Deployment/payments", "confidencePercent": confidence,
        "causes": list(causes),
    }  # fmt: skip
    wanted = {**LEAK, "incident": "payments-1" if came else None, **expected}
    return {"scenario": "leak", "incidents": [incident] if came else [], "expected": [wanted]}


def figures(tmp_path: Path, *runs: dict) -> dict[str, float]:
    path = tmp_path / "live.json"
    path.write_text(json.dumps({"runs": runs}))
    return {row.measure: row.value for row in live.rows(path)}


OTHERS = (cause("TrafficGrowth"), cause("NodePressure"), cause("BadRollout"))


@pytest.mark.parametrize(
    ("given", "first", "third"),
    [
        (run(cause("MemoryLeak"), *OTHERS), 1, 1),
        (run(*OTHERS[:2], cause("MemoryLeak")), 0, 1),
        (run(*OTHERS, cause("MemoryLeak")), 0, 0),
        (run(cause("MemoryLeak", refuted=True), *OTHERS), 0, 0),
        (run(cause("MemoryLeak", "Deployment/checkout")), 0, 0),
        (run(cause("MemoryLeak", "Node/n1"), causeTarget=["Node/n1"]), 1, 1),
        (run(cause("BadRollout"), cause=["MemoryLeak", "BadRollout"]), 1, 1),
        (run(cause("MemoryLeak"), confidence=0), 0, 0),
        (run(came=False), 0, 0),
    ],
)
def test_the_first_causes_that_stand_are_held_against_what_was_broken(
    tmp_path: Path, given: dict, first: float, third: float
) -> None:
    found = figures(tmp_path, given)
    assert (found["AC@1"], found["AC@3"]) == (first, third)


def test_what_moved_most_and_chance_stand_beside_it(tmp_path: Path) -> None:
    found = figures(tmp_path, run(cause("MemoryLeak", deviation=0.9, refuted=True), *OTHERS), run(*OTHERS))
    assert found["AC@1 (naive: largest deviation)"] == 0.5
    assert 0 < found["AC@1 (dummy: random)"] < found["AC@3 (dummy: random)"] <= 1


@pytest.mark.parametrize("runs", [None, [], [{"scenario": "calm", "incidents": [], "expected": []}]])
def test_without_live_runs_it_is_said_how_to_get_them(tmp_path: Path, runs: list | None) -> None:
    path = tmp_path / "live.json"
    if runs is not None:
        path.write_text(json.dumps({"runs": runs}))
    with pytest.raises(Missing, match=r"live\.json"):
        live.rows(path)
