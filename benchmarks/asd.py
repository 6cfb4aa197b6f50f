"""Application Server Dataset: several metrics of one server, anomalies in how they move together.

Point-wise area under the precision-recall curve, mean over servers. Never point-adjusted F1: random noise scores 0.7 to
0.9 there (Kim et al. 2022). Peers are fitted and scored on the same arrays in the same run.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score

from analysis.detect.joint import fit, judge
from analysis.windows.block import Float64
from benchmarks.data import data_dir
from benchmarks.report import Row, accuracy_table
from benchmarks.split import part

SOURCE = "https://github.com/zhhlee/InterFusion (data/processed, ASD)"
SEED = 7


def scores(train: Float64, test: Float64) -> Float64:
    """Distances by the production model; all zero while it says that it is learning."""
    model = fit(train)
    return np.zeros(len(test)) if model is None else judge(model, test).distance


def peers(train: Float64, test: Float64) -> dict[str, Float64]:
    """The same question answered by scikit-learn's models, at their defaults."""
    scale = train.std(axis=0) + 1e-6
    train, test = (train - train.mean(axis=0)) / scale, (test - train.mean(axis=0)) / scale
    clusters = KMeans(10, n_init=1, random_state=SEED).fit(train)
    components = PCA(5).fit(train)
    rebuilt = components.inverse_transform(components.transform(test))
    forest = IsolationForest(random_state=SEED).fit(train)
    return {
        "k-means": clusters.transform(test).min(axis=1),
        "PCA": np.square(test - rebuilt).sum(axis=1),
        "IsolationForest": -forest.score_samples(test),
        "noise": np.random.default_rng(SEED).random(len(test)),
    }


def rows(root: Path | None = None, *, with_peers: bool = False) -> list[Row]:
    """The report's rows.

    Raises:
        Missing: the data are not on this machine.
    """
    found: dict[str, list[float]] = {}
    by_part: dict[tuple[str, str], list[float]] = {}
    points = 0
    for path in sorted((root or data_dir("asd", SOURCE)).glob("*.npz")):
        with np.load(path) as data:
            train, test = data["train"].astype(np.float64), data["test"].astype(np.float64)
            label = data["label"].ravel() > 0
        if not label.any():
            continue
        points += len(label)
        by_name = {"AUC-PR": scores(train, test)}
        if with_peers:
            by_name |= {f"AUC-PR of {name}": one for name, one in peers(train, test).items()}
        for name, one in by_name.items():
            score = float(average_precision_score(label, one))
            found.setdefault(name, []).append(score)
            by_part.setdefault((part(path.stem), name), []).append(score)
    whole = [
        Row(
            "asd",
            name,
            float(np.mean(each)),
            floor=0.25 if name == "AUC-PR" else None,
            goal=0.35 if name == "AUC-PR" else None,
            n=points,
        )
        for name, each in found.items()
    ]
    return whole + [
        Row(f"asd, {which} half", name, float(np.mean(each)), n=len(each))
        for (which, name), each in sorted(by_part.items())
    ]


def run(argv: list[str]) -> int:
    """``python -m benchmarks asd [--data DIR] [--peers]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks asd")
    parser.add_argument("--data", help="folder of npz files with train, test and label")
    parser.add_argument("--peers", action="store_true", help="score k-means, PCA, IsolationForest and noise too")
    given = parser.parse_args(argv)
    report = rows(data_dir("asd", SOURCE, given.data), with_peers=given.peers)
    print(accuracy_table(report))
    return 1 if any(row.met is False for row in report) else 0
