"""Root causes of live faults: what `iirp demo --scenario … --report build/live.json` saw, as rows of accuracy.

A case is an incident whose first cause the scenario names, kind and target. An incident that did not come, and a report
that is ``Unresolved``, count as wrong. Beside the platform: a random order of the causes that could explain such an
incident (``dummy``, in closed form), and the report's causes by whose metrics moved most, refuted or not (``naive``).
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.config import DATA_ROOT
from analysis.rca.catalogue import Catalogue, load_causes
from benchmarks.data import Missing
from benchmarks.report import BUILD, Row, accuracy_table

REPORT = BUILD / "live.json"
FLOORS = {1: (0.8, 0.9), 3: (0.95, 1.0)}
Cause = tuple[str, str]
"""Kind and target."""


@dataclass(frozen=True, slots=True)
class Case:
    """One expected incident, and what the platform's report said."""

    scenario: str
    type: str
    truth: frozenset[Cause]
    """Any of them is right."""
    ranking: tuple[Cause, ...] = ()
    by_deviation: tuple[Cause, ...] = ()


def run(argv: list[str]) -> int:
    """``python -m benchmarks live [--data FILE]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks live")
    parser.add_argument("--data", type=Path, help=f"what `iirp demo --report` wrote (default: {REPORT})")
    parser.add_argument("--each", action="store_true", help="name the cases whose cause was not ranked first")
    given = parser.parse_args(argv)
    report = rows(given.data, each=given.each)
    print(accuracy_table(report))
    return 1 if any(row.met is False for row in report) else 0


def rows(path: Path | None = None, *, each: bool = False) -> list[Row]:
    """AC@1 and AC@3 with their dummy and naive rows.

    Raises:
        Missing: there is no report of live runs, or none of its scenarios names a cause.
    """
    path = path or REPORT
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Missing(f"{path} is not there: iirp demo --scenario faults --repeat 3 --report {path}") from error
    found = list(cases(written))
    if not found:
        raise Missing(f"{path} has no run of a scenario that expects a cause")
    if each:
        for case in found:
            if not case.truth & set(case.ranking[:1]):
                print(f"{case.scenario:24} {sorted(case.truth)} found {list(case.ranking[:3]) or 'nothing'}")
    catalogue = load_causes(DATA_ROOT / "causes")
    scores: dict[str, Callable[[Case, int], float]] = {
        "": _platform,
        " (dummy: random)": lambda case, k: _dummy(case, k, catalogue),
        " (naive: largest deviation)": _naive,
    }
    report = []
    for label, score in scores.items():
        for k, bounds in FLOORS.items():
            floor, goal = bounds if not label else (None, None)
            report.append(Row("live", f"AC@{k}{label}", _mean(found, score, k), floor, goal, len(found)))
    return report


def cases(written: dict[str, Any]) -> Iterator[Case]:
    """Of every run, each incident whose cause is told beforehand."""
    for run in written["runs"]:
        incidents = {one["name"]: one for one in run["incidents"]}
        for expected in run.get("expected", ()):
            if expected["cause"]:
                yield _case(run["scenario"], expected, incidents.get(expected["incident"]))


def _case(scenario: str, expected: dict[str, Any], came: dict[str, Any] | None) -> Case:
    targets = expected["causeTarget"] or ([came["target"]] if came else expected["target"])
    truth = frozenset((kind, target) for kind in expected["cause"] for target in targets)
    if came is None:
        return Case(scenario, expected["type"][0], truth)
    causes = came["causes"]
    claimed = came["confidencePercent"] > 0
    moved = sorted(causes, key=lambda one: (-one["deviation"], one["kind"]))
    return Case(
        scenario,
        came["type"],
        truth,
        tuple((one["kind"], one["target"]) for one in causes if claimed and not one["refuted"]),
        tuple((one["kind"], one["target"]) for one in moved if one["deviation"] > 0),
    )


def _mean(found: Sequence[Case], score: Callable[[Case, int], float], k: int) -> float:
    return sum(score(case, k) for case in found) / len(found)


def _platform(case: Case, k: int) -> float:
    return float(bool(case.truth & set(case.ranking[:k])))


def _naive(case: Case, k: int) -> float:
    return float(bool(case.truth & set(case.by_deviation[:k])))


def _dummy(case: Case, k: int, catalogue: Catalogue) -> float:
    """Chance that one of k different causes drawn at random is right; where it lies is given."""
    kinds = {cause.kind for cause in catalogue.applicable((case.type,))}
    right = len(kinds & {kind for kind, _ in case.truth})
    return 1 - math.comb(len(kinds) - right, k) / math.comb(len(kinds), k) if len(kinds) > k else float(right > 0)
