"""``python -m benchmarks choose {nab,asd}``: the grids from which constants were chosen, on the development half only.

Prints each setting's score on that half, best last, and marks the one that is frozen in the code. Nothing is changed.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

from analysis.detect import baseline, joint
from analysis.detect.baseline import Baseline, observe, raise_alarms
from benchmarks import asd, nab
from benchmarks.data import data_dir
from benchmarks.report import table
from benchmarks.split import halves, part

FADES, LIFTS = (0.9995, 0.9998, 0.9999), (0.05, 0.1, 0.2)
THRESHOLDS = (1.15, 1.2, 1.25, 1.3, 1.35, 1.4, 1.5)
CLIPS, RIDGES, SMOOTHINGS = (10.0, 20.0, 40.0), (0.003, 0.01, 0.03), (3, 5, 10)

Setting = tuple[float, ...]


def choose_nab() -> Iterator[tuple[Setting, float, bool]]:
    """Score, standard profile, of each (fade, lift, threshold)."""
    series, profiles = nab.read(data_dir("nab", nab.SOURCE))
    some, profile = halves(series)["dev"], profiles["standard"]
    for fade, lift in itertools.product(FADES, LIFTS):
        states = {name: Baseline.new(1) for name in some}
        scores = {
            name: observe(states[name], one.times, one.values[None, :], fade, lift).score for name, one in some.items()
        }
        for threshold in THRESHOLDS:
            results = {
                name: nab.judge(
                    one, raise_alarms(Baseline.new(1), one.times, scores[name], threshold)[0], profile
                )
                for name, one in some.items()
            }  # fmt: skip
            frozen = (fade, lift, threshold) == (baseline.FADE, baseline.LIFT, baseline.THRESHOLD)
            yield (fade, lift, threshold), nab.total(results, some, profile), frozen


def choose_asd() -> Iterator[tuple[Setting, float, bool]]:
    """AUC-PR of each (clip, ridge, smoothing)."""
    paths = [path for path in sorted(data_dir("asd", asd.SOURCE).glob("*.npz")) if part(path.stem) == "dev"]
    names = ("CLIP", "RIDGE", "SMOOTHING")
    frozen = tuple(getattr(joint, name) for name in names)
    for setting in itertools.product(CLIPS, RIDGES, SMOOTHINGS):
        with _set(joint, dict(zip(names, setting, strict=True))):
            found = []
            for path in paths:
                with np.load(path) as data:
                    scores = asd.scores(data["train"].astype(np.float64), data["test"].astype(np.float64))
                    found.append(float(average_precision_score(data["label"].ravel() > 0, scores)))
        yield setting, float(np.mean(found)), setting == frozen


@contextmanager
def _set(module: Any, values: dict[str, float]) -> Iterator[None]:
    before = {name: getattr(module, name) for name in values}
    try:
        for name, value in values.items():
            setattr(module, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)


def run(argv: list[str]) -> int:
    """Print one grid."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks choose")
    parser.add_argument("set", choices=("nab", "asd"))
    given = parser.parse_args(argv)
    found = sorted(choose_nab() if given.set == "nab" else choose_asd(), key=lambda one: one[1])
    lines = [(str(setting), f"{score:.4g}", "frozen" if frozen else "") for setting, score, frozen in found]
    print(table(("setting", "score on the dev half", ""), lines))
    return 0
