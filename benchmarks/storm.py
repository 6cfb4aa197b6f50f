"""An alert storm: twelve faults in five minutes, ten thousand signals, and how few incidents they become."""

from __future__ import annotations

import argparse
import time

import numpy as np

from analysis.correlate.group import Group, correlate
from analysis.correlate.signals import Dependencies, Signal
from benchmarks.report import Row, accuracy_table

SEED = 42
SERVICES, NODES, TEAMS = 400, 60, 20
FAULTS, SIGNALS = 12, 10_000
START = 1_767_225_600.0
SYMPTOMS = ("HighLatency", "HighErrorRate", "Restarted", "ApiTimeouts")
SEEDS = 20


def cluster(random: np.random.Generator) -> tuple[Dependencies, list[str], list[str]]:
    """Layered services that call a few of the layers below, on nodes; dependencies, services and nodes."""
    services = [f"Deployment/team-{index % TEAMS}/svc-{index}" for index in range(SERVICES)]
    nodes = [f"Node//node-{index}" for index in range(NODES)]
    needs: dict[str, frozenset[str]] = {}
    for index, one in enumerate(services):
        below = services[index + 1 :]
        calls = random.permutation(len(below))[: int(random.integers(0, 4))]
        needs[one] = frozenset({*(below[int(call)] for call in calls), nodes[int(random.integers(NODES))]})
    return Dependencies(needs), services, nodes


def storm(seed: int, hidden: float = 0.0) -> tuple[list[Signal], Dependencies, set[str]]:
    """Signals in the order of their arrival, the dependencies, and what is truly faulty.

    Services show their fault by a type of its own, a share ``hidden`` of them only by errors, as callers do; nodes show
    nothing themselves.
    """
    random = np.random.default_rng(seed)
    dependencies, services, nodes = cluster(random)
    used_by = dependencies.used_by()
    roots = [str(one) for one in random.choice(services, FAULTS - 2, replace=False)]
    roots += [
        str(one) for one in random.choice([one for one in nodes if len(used_by.get(one, [])) >= 4], 2, replace=False)
    ]
    faulty: list[tuple[str, str, float]] = []
    for root in roots:
        began = START + float(random.uniform(0.0, 240.0))
        level, seen = [root], {root}
        if not root.startswith("Node"):
            own = str(random.choice(["MemoryLeak", "DiskFull", "OOMKilled"]))
            faulty.append((root, "HighErrorRate" if random.random() < hidden else own, began))
        for hop in range(1, 4):  # callers suffer, one in two of each further layer
            users = [one for entity in level for one in used_by.get(entity, []) if one not in seen]
            level = [one for one in dict.fromkeys(users) if hop == 1 or random.random() < 0.5]
            seen.update(level)
            delay = began + 5.0 * hop
            faulty += [(one, str(random.choice(SYMPTOMS)), delay + float(random.uniform(0, 25.0))) for one in level]
    signals = []
    for index in range(SIGNALS):
        entity, type_, onset = faulty[index if index < len(faulty) else int(random.integers(len(faulty)))]
        again = 0.0 if index < len(faulty) else float(random.exponential(30.0))
        signals.append(Signal(entity, type_, onset + again, onset + again + 15.0))
    order = random.permutation(SIGNALS)
    return [signals[index] for index in order], dependencies, set(roots)


def covered(groups: tuple[Group, ...], truth: set[str], dependencies: Dependencies) -> int:
    """Faults that an incident names as its root, or that what it names needs directly."""
    roots = {group.root for group in groups}
    needed = {one for root in roots for one in dependencies.needs.get(root, frozenset())}
    return sum(fault in roots or fault in needed for fault in truth)


def rows() -> list[Row]:
    """The report's rows, the worst of several storms; then the harder storms in which half of the faults are hidden."""
    print(f"storm: seeds {SEED} to {SEED + SEEDS - 1}, {SIGNALS} signals of {FAULTS} faults each")
    incidents, missed, cpu = _storms(0.0)
    harder, hidden, _ = _storms(0.5)
    faults = SEEDS * FAULTS
    return [
        Row("storm", "incidents, worst", max(incidents), 15, 12, SEEDS, at_most=True),
        Row("storm", "faults not covered", sum(missed), 0, 0, faults, at_most=True),
        Row("storm", "CPU seconds, worst", max(cpu), 2.0, 0.5, SEEDS, at_most=True),
        Row("storm", "half hidden: incidents, worst", max(harder), n=SEEDS),
        Row("storm", "half hidden: faults not covered", sum(hidden), n=faults),
    ]


def _storms(hidden: float) -> tuple[list[int], list[int], list[float]]:
    incidents, missed, cpu = [], [], []
    for seed in range(SEED, SEED + SEEDS):
        signals, dependencies, truth = storm(seed, hidden)
        start = time.process_time()
        groups = correlate(signals, dependencies)
        cpu.append(time.process_time() - start)
        incidents.append(len(groups))
        missed.append(len(truth) - covered(groups, truth, dependencies))
    return incidents, missed, cpu


def run(argv: list[str]) -> int:
    """``python -m benchmarks storm``."""
    argparse.ArgumentParser(prog="python -m benchmarks storm").parse_args(argv)
    from benchmarks.storm_live import rows as live_rows

    report = rows() + live_rows()
    print(accuracy_table(report))
    return 1 if any(row.met is False for row in report) else 0
