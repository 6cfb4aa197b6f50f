"""Generated series with known truth, through the shipped rules and the learned baselines.

Containers are simulated for an hour and evaluated every 15 s by the shipped rules with their hysteresis, exactly as
the server does it; metrics run for five weeks, of which the first three only teach. Seeds are printed; thresholds were
chosen on other seeds.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass

import numpy as np

from analysis.config import DATA_ROOT
from analysis.contract import PodFact
from analysis.detect.baseline import SPIKE, alarms
from analysis.detect.drift import drifts
from analysis.detect.replay import Recording, replay
from analysis.detect.rulebook import load_rules
from analysis.windows.block import Float64, Samples
from analysis.windows.robust import median
from benchmarks.report import Row, accuracy_table
from benchmarks.shapes import CONTAINER_KINDS, METRIC_KINDS, Container, Metric, container, metric
from crds.v1alpha1.base import TargetRef

SEED = 20_260_101
EACH = 40
"""Cases per kind."""
SECONDS = 3600.0
EPOCH = 1_767_225_600.0
TICK = 15.0
WORKING_SET, LIMIT = "container_memory_working_set_bytes", "container_spec_memory_limit_bytes"
WEEKS, TAUGHT_WEEKS = 5, 3
STEP = 300.0
DAY_STEPS = 288


@dataclass(frozen=True, slots=True)
class Called:
    """First report of one type about one case, seconds since the start."""

    case: int
    type: str
    at: float


def simulate(cases: list[Container]) -> list[Called]:
    """Evaluate the shipped rules every ``TICK`` over all containers together; what was reported first, and when."""
    rules = load_rules(DATA_ROOT / "rules")
    names = [f"app-{index}" for index in range(len(cases))]
    pods = {("bench", name): _pod(name) for name in names}
    labels = tuple({"namespace": "bench", "pod": name, "container": "app"} for name in names)
    sizes = [len(case.times) for case in cases]
    index = np.repeat(np.arange(len(cases)), sizes)
    times = np.concatenate([case.times for case in cases]) + EPOCH
    used = Samples(labels, index, times, np.concatenate([case.values for case in cases]))
    limits = Samples(labels, index, times, np.repeat([case.limit for case in cases], sizes))
    started = {
        ("bench", name, "app"): EPOCH + case.started
        for name, case in zip(names, cases, strict=True)
        if case.started is not None
    }
    recording = Recording(pods, {WORKING_SET: used, LIMIT: limits}, started)
    called: dict[tuple[int, str], Called] = {}
    for now, reported in replay(rules, recording, EPOCH + 300.0, EPOCH + SECONDS, TICK):
        for candidate in reported:
            case = int(candidate.target.name.removeprefix("app-"))
            called.setdefault((case, candidate.type), Called(case, candidate.type, now - EPOCH))
    return list(called.values())


def _pod(name: str) -> PodFact:
    workload = TargetRef(kind="Deployment", namespace="bench", name=name, uid=f"uid-{name}")
    return PodFact(namespace="bench", name=name, uid=name, workload=workload, containers=("app",))


def container_rows(seed: int, each: int) -> list[Row]:
    """Precision and recall of the memory rules, false alarms by look-alike, and the time left when leaks are called."""
    random = np.random.default_rng(seed)
    cases = [container(kind, random, SECONDS) for kind in CONTAINER_KINDS for _ in range(each)]
    called = simulate(cases)
    report = []
    for kind, type_ in (("leak", "MemoryLeak"), ("jump", "MemorySpike")):
        of_type = [one for one in called if one.type == type_]
        right = [one for one in of_type if cases[one.case].kind == kind and one.at >= (cases[one.case].onset or 0.0)]
        report += _pair(kind, len(right), len(of_type), each)
    wrong = Counter(cases[one.case].kind for one in called)
    report += [
        Row("generated", f"{kind}: false alarms", wrong[kind], n=each)
        for kind in CONTAINER_KINDS
        if kind not in {"leak", "jump"}
    ]
    left = [
        (case.end - one.at) / (case.end - case.onset)
        for one in called
        if one.type == "MemoryLeak" and (case := cases[one.case]).end is not None and case.onset is not None
    ]
    if left:
        report.append(Row("generated", "leak: time to OOM left, median", float(np.median(left)), 0.6, 0.8, len(left)))
        report.append(
            Row("generated", "leak: time to OOM left, worst tenth", float(np.quantile(left, 0.1)), n=len(left))
        )
    return report


def metric_rows(seed: int, each: int) -> list[Row]:
    """Precision and recall of learned baselines (spikes) and of the drift test; false alarms by quiet kind."""
    random = np.random.default_rng(seed + 1)
    times = EPOCH + STEP * np.arange(WEEKS * 7 * DAY_STEPS, dtype=np.float64)
    judged = TAUGHT_WEEKS * 7 * DAY_STEPS
    cases = [metric(kind, random, times, judged) for kind in METRIC_KINDS for _ in range(each)]
    values = np.stack([case.values for case in cases])
    alarmed = alarms(times, values, SPIKE)
    alarmed[:, :judged] = False
    drifted = daily_drifts(times, values, judged)
    report = _metric_pair("spike", cases, [set(np.flatnonzero(row)) for row in alarmed], each, within=6)
    report += _metric_pair("drift", cases, drifted, each, within=3 * DAY_STEPS)
    for kind in ("seasonal", "missing", "reset"):
        wrong = sum(
            int(alarmed[index].any()) + bool(drifted[index]) for index, case in enumerate(cases) if case.kind == kind
        )
        report.append(Row("generated", f"{kind}: false alarms", wrong, n=each))
    return report


def daily_drifts(times: Float64, values: Float64, judged: int) -> list[set[int]]:
    """Drift tests every six hours over the last four weeks; the first index at which each drift is called."""
    hourly = median(values.reshape(-1, 12)).reshape(len(values), -1)
    hours = (times[::12] // 3600).astype(np.int64)
    first: list[set[int]] = [set() for _ in values]
    for end in range(judged // 12, hourly.shape[1] + 1, 6):
        window = slice(max(0, end - 28 * 24), end)
        for index in np.flatnonzero(drifts(hours[window], hourly[:, window]).found):
            if not first[index]:
                first[index].add(end * 12 - 1)
    return first


def _metric_pair(kind: str, cases: list[Metric], called: list[set[int]], each: int, within: int) -> list[Row]:
    right = said = 0
    for case, at in zip(cases, called, strict=True):
        if case.kind == "drift" and kind == "spike":
            continue  # that a fast drift is unusual too is true, and not a spike's false alarm
        hits = [one for one in at if case.kind == kind and case.onset is not None and 0 <= one - case.onset <= within]
        right += bool(hits)
        said += bool(hits) + len(at) - len(hits)
    return _pair(kind, right, said, each)


def _pair(kind: str, right: int, said: int, cases: int) -> list[Row]:
    return [
        Row("generated", f"{kind}: precision", right / max(said, 1), 0.95, 0.99, said),
        Row("generated", f"{kind}: recall", right / cases, 0.95, 0.99, cases),
    ]


def rows(seed: int = SEED, each: int = EACH) -> list[Row]:
    """The report's rows."""
    print(f"generated: seeds {seed} and {seed + 1}, {each} cases of each kind")
    return container_rows(seed, each) + metric_rows(seed, each)


def run(argv: list[str]) -> int:
    """``python -m benchmarks generated [--seed N] [--each N]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks generated")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--each", type=int, default=EACH)
    given = parser.parse_args(argv)
    report = rows(given.seed, given.each)
    print(accuracy_table(report))
    return 1 if any(row.met is False for row in report) else 0
