"""What `make bench` measures: one core, CPU seconds (other work on the machine does not count), best of runs.

Peers are measured in the same run on the same data, each with its accuracy beside its speed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable

import numpy as np
import orjson
from sklearn.metrics import average_precision_score

from analysis.compiled import COMPILED
from analysis.detect.evaluate import evaluate_all
from analysis.detect.observe import CONTAINER, GRID_STEP
from analysis.telemetry.query import Select
from analysis.telemetry.remote_write import Decoder
from analysis.windows.block import Float64, pack
from analysis.windows.robust import features
from benchmarks import explain, load
from benchmarks.data import Missing
from benchmarks.plot import cost_plot
from benchmarks.report import BUILD, Speed, save, speed_table, table
from benchmarks.tick import BEFORE_LAST, Server, called
from benchmarks.ticker import measure

SEED = 5
SIZES = (10_000, 100_000, 1_000_000, 4_000_000)


def best(run: Callable[[], object], times: int = 7) -> float:
    """Least CPU seconds of several runs."""
    found = []
    for _ in range(times):
        start = time.process_time()
        run()
        found.append(time.process_time() - start)
    return min(found)


def in_turn(one: Callable[[], object], other: Callable[[], object], times: int = 25) -> tuple[float, float]:
    """Least CPU seconds of each, measured by turns: neither finds the other's absence in the caches."""
    found = [(best(one, 1), best(other, 1)) for _ in range(times)]
    first, second = zip(*found, strict=True)
    return min(first), min(second)


def decode_rows(series: int = 20_000) -> list[Speed]:
    """Samples from the wire to rows and numbers, beside the orjson path doing the same."""
    bodies = [load.request(at, load.PER_REQUEST, 1e6, load.MILLIS) for at in range(0, series, load.PER_REQUEST)]
    texts = [
        orjson.dumps(load.vector(at, load.PER_REQUEST, 1e6, load.MILLIS)) for at in range(0, series, load.PER_REQUEST)
    ]
    decoder, known = Decoder(series), dict[tuple[tuple[str, str], ...], int]()
    for body, text in zip(bodies, texts, strict=True):
        written, (rows, _, values) = decoder.decode(body), json_path(text, known)
        if not (np.array_equal(written.rows, rows) and np.array_equal(written.values, values)):
            raise AssertionError("the two paths disagree")
    ours, theirs = in_turn(
        lambda: [decoder.decode(body) for body in bodies], lambda: [json_path(text, known) for text in texts]
    )
    return [
        Speed(
            "decode",
            ours / series * 1e9,
            "ns/series",
            "orjson, dict lookup",
            theirs / series * 1e9,
            theirs / ours,
            10.0,
        )
    ]


def json_path(text: bytes, known: dict[tuple[tuple[str, str], ...], int]) -> tuple[np.ndarray, Float64, Float64]:
    """An instant query's answer to the same arrays, as well as plain Python can do it.

    A JSON object has no order: labels are sorted so that a series is the same whoever wrote it.
    """
    result = orjson.loads(text)["data"]["result"]
    rows, times, values = np.empty(len(result), dtype=np.int64), np.empty(len(result)), np.empty(len(result))
    for index, one in enumerate(result):
        key = tuple(sorted(one["metric"].items()))
        row = known.get(key)
        if row is None:
            row = known[key] = len(known)
        at, text_value = one["value"]
        rows[index], times[index], values[index] = row, at, float(text_value)
    return rows, times, values


def rule_rows(containers: int = 25_000) -> list[Speed]:
    """What ``/v1/detect`` runs per container beside detectors of the libraries, on the same windows."""
    server = Server(containers * load.PER_CONTAINER, SEED)
    server.accept(server.requests(BEFORE_LAST))
    now = load.MILLIS / 1000 + BEFORE_LAST
    server.observed(now)  # reads labels, once for all
    seconds = best(lambda: evaluate_all(server.rules, server.observed(now)), 3)
    ours = containers / seconds / 1e6
    block = server.store.block(Select(load.METRICS[0]), CONTAINER, BEFORE_LAST, now, GRID_STEP)
    pods = called(evaluate_all(server.rules, server.observed(now)))
    numbers = np.array([int(labels["pod"].rsplit("-", 1)[1], 16) for labels in block.labels])
    hit, faulty = np.array([labels["pod"] in pods for labels in block.labels]), server.fleet.faulty[numbers]
    report = [
        Speed("features and rules", ours, "M series/s", floor=1.0),
        Speed("features and rules: precision", float((hit & faulty).sum() / max(hit.sum(), 1)), "share"),
        Speed("features and rules: recall", float((hit & faulty).sum() / faulty.sum()), "share"),
        Speed("features and rules: average precision", float(average_precision_score(faulty, hit)), "share"),
    ]
    few = np.arange(min(containers, 20_000))
    _, values, count = pack(block.take(few))
    shares = values[:, : count.min()] / server.fleet.limits[numbers[few], None]
    found = features(block.take(few))
    columns = (found.level, found.spread, found.slope.value, found.last, found.last - values[:, 0])
    plain = np.column_stack([one / server.fleet.limits[numbers[few]] for one in columns])
    for name, score in _peers(shares, plain).items():
        start = time.process_time()
        scored = score()
        rate = len(scored) / (time.process_time() - start) / 1e6
        truth = faulty[: len(scored)]
        report.append(Speed(f"peer {name}", rate, "M series/s", "features and rules", ours, ours / rate))
        report.append(Speed(f"peer {name}: average precision", float(average_precision_score(truth, scored)), "share"))
    return report


def _peers(shares: Float64, features: Float64) -> dict[str, Callable[[], Float64]]:
    def ewma() -> Float64:
        mean, variance = shares[:, 0].copy(), np.full(len(shares), 1e-4)
        score = np.zeros(len(shares))
        for column in range(1, shares.shape[1]):
            off = shares[:, column] - mean
            score = np.maximum(score, np.abs(off) / np.sqrt(variance))
            mean += 0.2 * off
            variance += 0.2 * (off * off - variance)
        return score

    def ecod() -> Float64:
        from pyod.models.ecod import ECOD

        return np.asarray(ECOD().fit(features).decision_scores_, dtype=np.float64)

    def forest() -> Float64:
        from pyod.models.iforest import IForest

        return np.asarray(IForest(random_state=SEED).fit(features).decision_scores_, dtype=np.float64)

    def half_space() -> Float64:
        from river.anomaly import HalfSpaceTrees

        trees, low, high = HalfSpaceTrees(seed=SEED), features.min(axis=0), features.max(axis=0)
        scaled = ((features[:4000] - low) / np.maximum(high - low, 1e-12)).tolist()
        scores = []
        for one in scaled:
            sample = dict(enumerate(one))
            scores.append(trees.score_one(sample))
            trees.learn_one(sample)
        return np.array(scores)

    return {"EWMA rule": ewma, "pyod ECOD": ecod, "pyod IForest": forest, "river HalfSpaceTrees": half_space}


def tick_rows(sizes: tuple[int, ...]) -> list[Speed]:
    """A whole tick, requests to candidates, for growing numbers of series, each in a process of its own."""
    report: list[Speed] = []
    lines, points = [], []
    for series in sizes:
        measured = measure(series, SEED)
        found, peak = measured.tick, measured.peak
        costs = (found.accepting, found.looking, found.seconds)
        each = found.seconds / series * 1e9
        lines.append(
            (
                f"{series:,}",
                *(f"{one:.3f}" for one in costs),
                f"{each:.0f}",
                f"{peak:.0f}",
                str(found.candidates),
            )
        )
        points.append((series, found.seconds))
        report.append(Speed(f"tick, {series:,} series", each, "ns/series"))
        if series == 1_000_000:
            report.append(Speed("tick of 1,000,000 series", found.seconds, "s", floor=2.0, at_most=True))
            report.append(Speed("memory at 1,000,000 series", peak, "MiB", floor=1024.0, at_most=True))
    print(table(("series", "accept s", "look s", "CPU s per tick", "ns/series", "peak MiB", "candidates"), lines))
    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / "bench-cost.svg").write_text(cost_plot(points), encoding="utf-8")
    print(f"plot: {BUILD / 'bench-cost.svg'}")
    return report


def _explained() -> list[Speed]:
    """Request to report, with a real Prometheus and Loki; said and left out where they are not built."""
    try:
        return explain.rows()
    except Missing as missing:
        print(f"SKIPPED report of an incident: {missing}", file=sys.stderr)
        return []


def run(argv: list[str]) -> int:
    """``python -m benchmarks bench [--sizes 10000,100000,1000000,4000000]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks bench")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="numbers of series of a tick")
    given = parser.parse_args(argv)
    print("report of an incident …", file=sys.stderr, flush=True)
    reported = _explained()  # before the pinning: the stores are processes of their own
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if not COMPILED:
        print("numba is not installed or IIRP_NO_COMPILE is set: these are the figures of the fallback")
    sizes = tuple(int(size) for size in given.sizes.split(","))
    report: list[Speed] = []
    for what, rows in (("ticks", lambda: tick_rows(sizes)), ("decoding", decode_rows), ("detectors", rule_rows)):
        print(f"{what} …", file=sys.stderr, flush=True)
        report += rows()
    report += reported
    save(BUILD / "bench.json", report)
    print(speed_table(report))
    return 1 if any(row.met is False for row in report) else 0
