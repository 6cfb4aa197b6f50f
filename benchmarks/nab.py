"""Numenta Anomaly Benchmark: one stream at a time, one frozen threshold for all.

Scoring follows Lavin & Ahmad 2015 (arXiv:1510.03336) and the reference implementation: the earliest detection within a
labelled window counts by a sigmoid of its position, each detection outside costs by its distance from the window
before, a missed window costs one; the first 15 % of a file (at most 750 rows) are not judged. 0 is a detector that
says nothing, 100 one that is right at each window's first sample.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from analysis.detect.baseline import alarms
from analysis.windows.block import Bool, Float64
from benchmarks.data import data_dir
from benchmarks.report import Row, accuracy_table
from benchmarks.split import halves

SOURCE = "https://github.com/numenta/NAB (data/, labels/combined_windows.json, config/profiles.json)"
PROBATION = 0.15
PROBATION_ROWS = 5000
"""The probationary share is taken of at most so many rows."""
WEEK = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Series:
    """One file: ``times`` (Unix seconds) and ``values`` in parallel, and its windows as pairs of rows, inclusive."""

    name: str
    times: Float64
    values: Float64
    windows: tuple[tuple[int, int], ...]

    @property
    def probation(self) -> int:
        """Rows at the start that are not judged."""
        return math.floor(PROBATION * min(len(self.values), PROBATION_ROWS))


@dataclass(frozen=True, slots=True)
class Profile:
    """What a hit, a false alarm and a miss weigh."""

    hit: float
    false_alarm: float
    miss: float


@dataclass(frozen=True, slots=True)
class Result:
    """Of one series."""

    score: float
    hits: int
    misses: int
    false_alarms: int
    delays: tuple[float, ...]
    """Seconds from a window's start to its first detection."""


def sigmoid(position: float) -> float:
    """Weight of a detection at ``position`` windows after a window's end: −1 is its start, beyond 3 is plain false."""
    return -1.0 if position > 3.0 else 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0


def judge(series: Series, detections: Bool, profile: Profile) -> Result:
    """Score one series' detections, ``bool[time]``."""
    rows = np.flatnonzero(detections)
    rows = rows[rows >= series.probation]
    score, hits, inside = 0.0, 0, np.zeros(len(detections), dtype=np.bool_)
    delays: list[float] = []
    for first, last in series.windows:
        inside[first : last + 1] = True
        found = rows[(rows >= first) & (rows <= last)]
        if found.size == 0:
            score -= profile.miss
            continue
        hits += 1
        delays.append(float(series.times[found[0]] - series.times[first]))
        position = -(last - int(found[0]) + 1) / (last - first + 1)
        score += profile.hit * sigmoid(position) / sigmoid(-1.0)
    false = [int(row) for row in rows if not inside[row]]
    score += sum(profile.false_alarm * _false_weight(series, row) for row in false)
    return Result(score, hits, len(series.windows) - hits, len(false), tuple(delays))


def _false_weight(series: Series, row: int) -> float:
    before = [window for window in series.windows if window[1] < row]
    if not before:
        return -1.0
    first, last = before[-1]
    return sigmoid((row - last) / max(last - first, 1))


def total(results: Mapping[str, Result], series: Mapping[str, Series], profile: Profile) -> float:
    """The normalised score of a corpus, 0 to 100."""
    windows = sum(len(one.windows) for one in series.values())
    if windows == 0:
        return math.nan
    nothing, perfect = -profile.miss * windows, profile.hit * windows
    return 100.0 * (sum(result.score for result in results.values()) - nothing) / (perfect - nothing)


def read(root: Path) -> tuple[dict[str, Series], dict[str, Profile]]:
    """All series of a folder with ``data/**/*.csv``, ``windows.json`` and ``profiles.json``."""
    labels: dict[str, list[list[str]]] = json.loads((root / "windows.json").read_text(encoding="utf-8"))
    found = {}
    for path in sorted((root / "data").rglob("*.csv")):
        name = path.relative_to(root / "data").as_posix()
        if name in labels:
            times, values = read_series(path)
            spans = [(_unix(first), _unix(last)) for first, last in labels[name]]
            windows = tuple(
                (int(np.searchsorted(times, first)), int(np.searchsorted(times, last, side="right")) - 1)
                for first, last in sorted(spans)
            )
            found[name] = Series(name, times, values, windows)
    raw = json.loads((root / "profiles.json").read_text(encoding="utf-8"))
    profiles = {
        name: Profile(costs["tpWeight"], costs["fpWeight"], costs["fnWeight"])
        for name, costs in ((name, entry["CostMatrix"]) for name, entry in raw.items())
    }
    return found, profiles


def read_series(path: Path) -> tuple[Float64, Float64]:
    """``times`` and ``values`` of a file with the columns timestamp and value, in order of the file."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(_unix(row["timestamp"]), float(row["value"] or "nan")) for row in csv.DictReader(file)]
    return np.array([at for at, _ in rows], dtype=np.float64), np.array([value for _, value in rows], dtype=np.float64)


def _unix(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def rows(root: Path | None = None) -> list[Row]:
    """The report's rows.

    Raises:
        Missing: the data are not on this machine.
    """
    series, profiles = read(root or data_dir("nab", SOURCE))
    detections = {name: alarms(one.times, one.values[None, :])[0] for name, one in series.items()}
    return _rows(series, profiles, detections) + _halves(series, profiles, detections)


def _halves(series: dict[str, Series], profiles: dict[str, Profile], detections: dict[str, Bool]) -> list[Row]:
    """The half on which constants were chosen beside the half that had no say in them."""
    shown = {"score, standard", "false alarms per series and week"}
    return [
        replace(row, set=f"nab, {which} half", floor=None, goal=None)
        for which, some in halves(series).items()
        for row in _rows(some, profiles, detections)
        if row.measure in shown
    ]


def _rows(series: dict[str, Series], profiles: dict[str, Profile], detections: dict[str, Bool]) -> list[Row]:
    report = []
    results: dict[str, Result] = {}
    windows = sum(len(one.windows) for one in series.values())
    for name, profile in profiles.items():
        results = {key: judge(one, detections[key], profile) for key, one in series.items()}
        standard = name == "standard"
        score = total(results, series, profile)
        report.append(
            Row("nab", f"score, {name}", score, 62.0 if standard else None, 78.0 if standard else None, windows)
        )
    hits, misses = sum(r.hits for r in results.values()), sum(r.misses for r in results.values())
    false = sum(r.false_alarms for r in results.values())
    weeks = sum(float(one.times[-1] - one.times[one.probation]) for one in series.values()) / WEEK
    delays = [delay for result in results.values() for delay in result.delays]
    report += [
        Row("nab", "event recall", hits / max(hits + misses, 1), n=windows),
        Row("nab", "event precision", hits / max(hits + false, 1), n=hits + false),
        Row("nab", "false alarms per series and week", false / max(weeks, 1e-9), 1.0, 1.0, len(series), at_most=True),
        Row("nab", "false alarms per series and day", false / max(weeks, 1e-9) / 7, n=len(series)),
        Row("nab", "median delay, hours", float(np.median(delays)) / 3600 if delays else math.nan, n=hits),
    ]
    return report


def run(argv: list[str]) -> int:
    """``python -m benchmarks nab [--data DIR]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks nab")
    parser.add_argument("--data", help="folder with data/, windows.json and profiles.json")
    parser.add_argument("--each", action="store_true", help="print each series too")
    given = parser.parse_args(argv)
    series, profiles = read(data_dir("nab", SOURCE, given.data))
    detections = {name: alarms(one.times, one.values[None, :])[0] for name, one in series.items()}
    if given.each:
        for name, one in series.items():
            result = judge(one, detections[name], profiles["standard"])
            print(f"{name:60} hit {result.hits}/{len(one.windows)}  false {result.false_alarms}  {result.score:+.2f}")
    report = _rows(series, profiles, detections) + _halves(series, profiles, detections)
    print(accuracy_table(report))
    return 1 if any(row.met is False for row in report) else 0
