"""Log template mining against LogHub's hand-made templates (https://github.com/logpai/loghub, 2k samples).

Grouping accuracy (GA) is the share of lines whose group holds exactly the lines that it should; FGA is the F1 of
groups that are exactly right (Jiang et al., "A Large-Scale Evaluation for Log Parsing Techniques", ISSTA 2024). The
message part of each line goes to the miner, as in the literature; no format has settings of its own.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
import time
from collections import defaultdict
from collections.abc import Hashable, Sequence
from pathlib import Path

from analysis.logs.mining import mine
from benchmarks.data import Missing, data_dir
from benchmarks.report import Row, accuracy_table

SOURCE = "https://github.com/logpai/loghub"
PATTERN = "*_structured.csv"
REPEATS = 3


def run(argv: list[str]) -> int:
    """``python -m benchmarks logs [--data DIR]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks logs")
    parser.add_argument("--data", help="folder with a folder per system, each with a *_structured.csv")
    try:
        report = rows(parser.parse_args(argv).data)
    except Missing as missing:
        print(f"skipped: {missing}", file=sys.stderr)
        return 0
    print(accuracy_table(report))
    return 1 if any(row.met is False for row in report) else 0


def rows(given: str | None = None) -> list[Row]:
    """GA and FGA per system and their means, with reference rows.

    Raises:
        Missing: there are no data.
    """
    root = data_dir("loghub", SOURCE, given)
    files = sorted([*root.glob(f"*/{PATTERN}"), *root.glob(f"loghub/*/{PATTERN}"), *root.glob(PATTERN)])
    if not files:
        raise Missing(f"no */{PATTERN} under {root}; the set is public: {SOURCE}")
    found: list[Row] = []
    scores: list[tuple[float, float]] = []
    texts: list[str] = []
    reference: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for path in files:
        lines, truth = read(path)
        texts += lines
        scores.append(score(mine(lines).groups, truth))
        reference["dummy: each line alone"].append(score(range(len(lines)), truth))
        reference["naive: digits masked"].append(score([re.sub(r"\d+", "0", line) for line in lines], truth))
        if whole := whole_lines(path, len(lines)):
            reference["whole lines, headers included"].append(score(mine(whole).groups, truth))
        name = path.name.removesuffix("_2k.log_structured.csv")
        found += _pair(f"logs/{name}", "", scores[-1], len(lines))
    found += _pair("logs", "", _mean(scores), len(texts), floors=(0.85, 0.80), goals=(0.95, 0.88))
    for name, values in reference.items():
        found += _pair("logs", f" ({name})", _mean(values), len(texts))
    found.append(Row("logs", "lines per second, one core", speed(texts), 30_000, None, len(texts)))
    return found


def read(path: Path) -> tuple[list[str], list[str]]:
    """Messages and their true template's id."""
    with path.open(encoding="utf-8", newline="") as file:
        records = list(csv.DictReader(file))
    return [one["Content"] for one in records], [one["EventId"] for one in records]


def whole_lines(path: Path, count: int) -> list[str]:
    """The lines as they were logged, from the file beside; empty when it is not there or does not fit."""
    beside = path.with_name(path.name.removesuffix("_structured.csv"))
    if not beside.is_file():
        return []
    lines = beside.read_text(encoding="utf-8", errors="replace").rstrip("\n").split("\n")
    return lines if len(lines) == count else []


def score(predicted: Sequence[Hashable], truth: Sequence[Hashable]) -> tuple[float, float]:
    """GA and FGA of a grouping, both in 0..1."""
    mine_, theirs = _members(predicted), {tuple(lines) for lines in _members(truth)}
    right = [lines for lines in mine_ if tuple(lines) in theirs]
    return sum(map(len, right)) / len(truth), 2 * len(right) / (len(mine_) + len(theirs))


def speed(lines: Sequence[str]) -> float:
    """Lines per second of CPU time, the best of a few runs from cold caches."""
    best = float("inf")
    for _ in range(REPEATS):
        start = time.process_time()
        mine(lines)
        best = min(best, time.process_time() - start)
    return len(lines) / best


def _members(keys: Sequence[Hashable]) -> list[list[int]]:
    members: dict[Hashable, list[int]] = defaultdict(list)
    for line, key in enumerate(keys):
        members[key].append(line)
    return list(members.values())


def _mean(values: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return sum(ga for ga, _ in values) / len(values), sum(fga for _, fga in values) / len(values)


def _pair(
    name: str,
    note: str,
    value: tuple[float, float],
    n: int,
    floors: tuple[float | None, float | None] = (None, None),
    goals: tuple[float | None, float | None] = (None, None),
) -> list[Row]:
    return [
        Row(name, measure + note, one, floor, goal, n)
        for measure, one, floor, goal in zip(("GA", "FGA"), value, floors, goals, strict=True)
    ]
