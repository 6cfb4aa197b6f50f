"""Root cause ranking on public data: RCD's Sock Shop, PetShop, and Nezha's Online Boutique by its metrics.

What is measured is ``analysis.rca.suspects``, with the thresholds that it has in production. Beside it in each table: a
random order (``dummy``) and the largest absolute z-score (``naive``). An empty answer counts as wrong, except on
PetShop's data without issue, where it is the right one (``specificity``).
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from analysis.rca.suspects import Suspect, onset_of, suspects
from benchmarks.data import Missing, data_dir
from benchmarks.rca_data import (
    Case,
    nezha,
    petshop,
    petshop_calls,
    petshop_metrics,
    petshop_scenarios,
    petshop_signals,
    rcd,
)
from benchmarks.report import Row, accuracy_table

Ranking = tuple[list[str], list[str]]
"""Entities and series, most likely first."""
Ranker = Callable[[Case], Ranking]

SOURCES = {
    "rcd": "https://github.com/azamikram/rcd",
    "petshop": "https://github.com/amazon-science/petshop-root-cause-analysis",
    "nezha": "https://github.com/IntelligentDDS/Nezha",
}
READERS: dict[str, Callable[[Path], Iterator[Case]]] = {"rcd": rcd, "petshop": petshop, "nezha": nezha}
FLOORS: dict[tuple[str, str], tuple[float, float]] = {
    ("rcd", "service AC@1"): (0.90, 0.96),
    ("rcd", "service Avg@5"): (0.95, 0.98),
    ("petshop", "top-1"): (0.60, 0.70),
    ("petshop", "top-3"): (0.80, 0.90),
    ("petshop", "specificity"): (0.80, 0.90),
    ("nezha", "service AS@1"): (0.50, 0.65),
}
DUMMY_ROUNDS = 200
ONSET_TOLERANCE = 15.0
"""Seconds by which a detected onset may be off."""


def run(argv: list[str]) -> int:
    """``python -m benchmarks rca [--data DIR]``: a set's folder, or a folder with several of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks rca")
    parser.add_argument("--data", type=Path, help="folder of one of the sets, or with rcd/, petshop/, nezha/ in it")
    parser.add_argument("--each", action="store_true", help="name the cases whose cause was not ranked first")
    given = parser.parse_args(argv)
    report = rows(given.data, each=given.each)
    print(accuracy_table(report))
    return 1 if any(row.met is False for row in report) else 0


def rows(root: Path | None = None, *, each: bool = False) -> list[Row]:
    """All figures of the sets that are there; a set that is not is named on stderr."""
    report: list[Row] = []
    for name, reader in READERS.items():
        try:
            folder = _folder(name, root)
        except Missing as missing:
            if root is None:
                print(f"skipped: {missing}", file=sys.stderr)
            continue
        cases = list(reader(folder))
        if not cases:
            continue
        for label, ranker in (("", platform), (" (dummy: random)", None), (" (naive: z-score)", naive)):
            found = _measure(name, cases, ranker)
            report += [_row(name, measure, label, value, len(cases)) for measure, value in found]
        if each:
            _tell(cases)
        report += _extra(name, folder, cases)
    return report


def _folder(name: str, root: Path | None) -> Path:
    if root is None:
        return data_dir(name, SOURCES[name])
    return root / name if (root / name).is_dir() else root


def platform(case: Case) -> Ranking:
    """The production code."""
    found = _suspects(case)
    names = [case.signals.names[one.row] for suspect in found for one in suspect.accusations]
    return [suspect.entity for suspect in found], names


def naive(case: Case) -> Ranking:
    """Entities by their series' largest absolute z-score after the (true) onset; no graph, no kinds."""
    signals = case.signals
    since = int(np.searchsorted(signals.times, case.true_onset))
    before = np.concatenate([signals.history, signals.values[:, :since]], axis=1)
    with np.errstate(invalid="ignore"):
        centre = np.nan_to_num(
            np.array([row[np.isfinite(row)].mean() if np.isfinite(row).any() else 0 for row in before])
        )
        spread = np.array([row[np.isfinite(row)].std() if np.isfinite(row).any() else 0 for row in before])
        score = np.abs(signals.values[:, since:] - centre[:, None]) / np.where(spread > 0, spread, 1.0)[:, None]
    best = np.where(np.isfinite(score), score, 0.0).max(axis=1, initial=0.0)
    order = [int(row) for row in np.argsort(-best, kind="stable")]
    return list(dict.fromkeys(signals.entities[row] for row in order)), [signals.names[row] for row in order]


def _suspects(case: Case) -> tuple[Suspect, ...]:
    onset = onset_of(case.signals) if case.onset is None else case.onset
    return suspects(case.signals, case.calls, onset, case.symptom)


def _measure(name: str, cases: Sequence[Case], ranker: Ranker | None) -> list[tuple[str, float]]:
    """Figures of one ranker over the cases; None is the random one, averaged over many orders."""
    entities: list[int | None] = []
    series: list[int | None] = []
    rounds = DUMMY_ROUNDS if ranker is None else 1
    for number, case in enumerate(cases):
        for turn in range(rounds):
            by_entity, by_series = ranker(case) if ranker else _shuffled(case, number * DUMMY_ROUNDS + turn)
            entities.append(_place(case.truth, by_entity))
            if case.truth_series is not None:
                series.append(_place(case.truth_series, by_series))
    if name == "petshop":
        return [("top-1", _top(entities, 1)), ("top-3", _top(entities, 3))]
    if name == "nezha":
        return [("service AS@1", _top(entities, 1)), ("service AS@3", _top(entities, 3))]
    return [
        (f"{what} {measure}", value)
        for what, places in (("service", entities), ("metric", series))
        for measure, value in (("AC@1", _top(places, 1)), ("Avg@5", sum(_top(places, k) for k in range(1, 6)) / 5))
    ]


def _shuffled(case: Case, seed: int) -> Ranking:
    order = random.Random(seed)  # noqa: S311 - an order to compare with, not a secret
    entities, names = sorted(set(case.signals.entities)), sorted(case.signals.names)
    return order.sample(entities, len(entities)), order.sample(names, len(names))


def _place(truth: str, ranking: Sequence[str]) -> int | None:
    return ranking.index(truth) + 1 if truth in ranking else None


def _top(places: Sequence[int | None], k: int) -> float:
    return sum(place is not None and place <= k for place in places) / len(places)


def _extra(name: str, folder: Path, cases: Sequence[Case]) -> list[Row]:
    if name == "petshop":
        right = [not found for scenario in petshop_scenarios(folder) for found in _without_issue(scenario)]
        return [_row(name, "specificity", "", sum(right) / len(right), len(right))] if right else []
    detected = [case for case in cases if case.onset is None]
    if not detected:
        return []
    near = [abs(onset_of(case.signals) - case.true_onset) <= ONSET_TOLERANCE for case in detected]
    return [Row(name, "onset found within 15 s", sum(near) / len(near), n=len(near))]


def _without_issue(scenario: Path) -> Iterator[tuple[Suspect, ...]]:
    """Windows as long as an issue's out of the later half of the quiet data, compared with the earlier half."""
    times, samples = petshop_metrics(scenario / "noissue" / "metrics.csv")
    half, length = len(times) // 2, 5
    usual = {key: values[:half] for key, values in samples.items()}
    calls = petshop_calls(scenario)
    callers = sorted(set(calls) - {callee for caller in calls for callee in calls[caller]})
    entry = max(callers, key=lambda one: (len(calls[one]), one))
    for start in range(half, len(times) - length + 1, length):
        window = times[start : start + length], {key: one[start : start + length] for key, one in samples.items()}
        for metric in ("latency", "availability"):
            signals = petshop_signals(usual, window, metric, "Average")
            yield suspects(signals, calls, float(window[0][1]), entry)


def _row(name: str, measure: str, label: str, value: float, n: int) -> Row:
    floor, goal = FLOORS.get((name, measure), (None, None)) if not label else (None, None)
    return Row(name, measure + label, value, floor, goal, n)


def _tell(cases: Sequence[Case]) -> None:
    for case in cases:
        ranking, _ = platform(case)
        if ranking[:1] != [case.truth]:
            print(f"{case.name:40} {case.truth:36} found {', '.join(ranking[:3]) or 'nothing'}")
