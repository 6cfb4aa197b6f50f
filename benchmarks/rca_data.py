"""Readers of the root cause data sets: each case becomes the signals that the ranking works on.

A reader knows the file layout of its set and what its columns measure, nothing else.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from analysis.rca.deviation import Kind
from analysis.rca.suspects import Calls, Signals
from analysis.windows.block import Float64

KIND_WORDS = (
    (Kind.LATENCY, ("lat",)),
    (Kind.ERRORS, ("err",)),
    (Kind.TRAFFIC, ("lod", "workload", "requests")),
    (Kind.RESOURCE, ("cpu", "mem", "disk", "socket")),
)
HISTORY_SECONDS = 7200
BEFORE_SECONDS = 120
AFTER_SECONDS = 240
STEP = 60


@dataclass(frozen=True, slots=True)
class Case:
    """One fault. ``onset`` is None when the ranking has to find it; ``truth_series`` when only the entity is known."""

    name: str
    signals: Signals
    calls: Calls
    onset: float | None
    true_onset: float
    symptom: str | None
    truth: str
    truth_series: str | None = None


def kind_of(metric: str) -> Kind | None:
    """What a metric measures by the words in its name; None when it is none of the four."""
    lowered = metric.lower()
    return next((kind for kind, words in KIND_WORDS if any(word in lowered for word in words)), None)


def table(path: Path) -> tuple[list[list[str]], int]:
    """Rows of a CSV file and their number of columns."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    return rows, len(rows[0])


def numbers(rows: list[list[str]]) -> Float64:
    """``float64[row, column]``; empty cells are NaN."""
    return np.array([[float(cell) if cell else np.nan for cell in row] for row in rows], dtype=np.float64)


def rcd(root: Path) -> Iterator[Case]:
    """``<service>-<fault>/<rep>/{normal,anomalous}.csv``, one column per ``<service>_<metric>``, a sample per second.

    The two files follow each other on one time axis; where the second begins is not told.
    """
    for normal in sorted(root.glob("*/*/normal.csv")):
        service, fault = normal.parent.parent.name.rsplit("-", 1)
        early, _ = table(normal)
        late, _ = table(normal.with_name("anomalous.csv"))
        shared = [name for name in early[0] if name in late[0] and kind_of(name.partition("_")[2])]
        values = np.concatenate([_columns(rows, shared) for rows in (early, late)], axis=1)
        parts = [name.partition("_") for name in shared]
        signals = Signals(
            entities=tuple(entity for entity, _, _ in parts),
            kinds=tuple(kind for _, _, metric in parts if (kind := kind_of(metric))),
            names=tuple(shared),
            times=np.arange(values.shape[1], dtype=np.float64),
            values=values,
            history=values[:, :0],
        )
        name = "/".join(normal.parts[-3:-1])
        yield Case(name, signals, {}, None, len(early) - 1, None, service, f"{service}_{fault}")


def _columns(rows: list[list[str]], names: list[str]) -> Float64:
    at = [rows[0].index(name) for name in names]
    columns: Float64 = numbers([[row[column] for column in at] for row in rows[1:]]).T
    return columns


def petshop(root: Path) -> Iterator[Case]:
    """``<scenario>/{train,test}/issue_*/{metrics.csv,target.json}`` with ``noissue/metrics.csv`` and ``graph.csv``."""
    for scenario in petshop_scenarios(root):
        usual = petshop_metrics(scenario / "noissue" / "metrics.csv")
        calls = petshop_calls(scenario)
        for path in sorted(scenario.glob("*/issue_*/metrics.csv")):
            told = json.loads(path.with_name("target.json").read_text(encoding="utf-8"))
            target = told["target"]
            window = petshop_metrics(path)
            signals = petshop_signals(usual[1], window, target["metric"], target["agg"])
            # The alarm says that something is wrong by then; samples stand for the five minutes that they begin.
            onset = float(window[0][np.searchsorted(window[0], target["timestamp"]) - 1])
            node = told["root_cause"]["node"]
            yield Case("/".join(path.parts[-4:-1]), signals, calls, onset, onset, target["node"], node)


Metrics = tuple[Float64, dict[tuple[str, str, str], Float64]]


def petshop_scenarios(root: Path) -> list[Path]:
    """Folders with a call graph and metrics without issue."""
    return sorted(path.parent for path in [*root.glob("graph.csv"), *root.glob("*/graph.csv")])


def petshop_metrics(path: Path) -> Metrics:
    """Times and ``(entity, metric, statistic)`` → samples."""
    rows, width = table(path)
    values = numbers(rows[4:])
    keys = [(rows[0][at], rows[1][at], rows[2][at]) for at in range(width)]
    return values[:, 0], {key: values[:, at] for at, key in enumerate(keys) if at}


def petshop_calls(scenario: Path) -> Calls:
    """The adjacency matrix: row calls column."""
    (head, *rows), _ = table(scenario / "graph.csv")
    return {row[0]: frozenset(head[at] for at, cell in enumerate(row) if at and float(cell)) for row in rows}


def petshop_signals(
    usual: dict[tuple[str, str, str], Float64], window: Metrics, metric: str, statistic: str
) -> Signals:
    """The alerted metric and statistic of all entities, and their traffic. Availability counts as share of errors."""
    times, samples = window
    chosen = [
        (key, kind)
        for key in sorted(samples)
        if key in usual and (kind := _petshop_kind(key, metric, statistic)) is not None
    ]
    rows = [(samples[key], usual[key], kind) for key, kind in chosen]
    return Signals(
        entities=tuple(key[0] for key, _ in chosen),
        kinds=tuple(kind for _, kind in chosen),
        names=tuple(" ".join(key) for key, _ in chosen),
        times=times,
        values=np.array([_errors(now) if kind is Kind.ERRORS else now for now, _, kind in rows]),
        history=np.array([_errors(past) if kind is Kind.ERRORS else past for _, past, kind in rows]),
    )


def _petshop_kind(key: tuple[str, str, str], metric: str, statistic: str) -> Kind | None:
    if key[1] == "requests":
        return Kind.TRAFFIC
    if key[1:] != (metric, statistic):
        return None
    return Kind.ERRORS if metric == "availability" else kind_of(metric)


def _errors(availability: Float64) -> Float64:
    share: Float64 = 1.0 - availability / 100.0
    return share


def nezha(root: Path) -> Iterator[Case]:
    """``<day>/<day>-fault_list.json`` and ``<day>/metric/*.csv``, a sample per minute; times are UTC.

    Per pod its CPU, memory, served latency and calls; per pair of services the median latency of their calls seen from
    either end, which belongs to the callee. Higher percentiles of a few calls a second are noise and are left out.
    """
    for path in sorted(root.glob("*/*fault_list.json")):
        series, calls = _nezha_day(path.parent / "metric")
        faults = [fault for hour in json.loads(path.read_text(encoding="utf-8")).values() for fault in hour]
        for fault in faults:
            at = datetime.fromisoformat(fault["inject_time"]).replace(tzinfo=UTC).timestamp()
            service = _service(fault["inject_pod"])
            name = f"{path.parent.name}/{fault['inject_time'][11:]}"
            yield Case(name, _nezha_signals(series, at), calls, at, at, None, service)


Column = tuple[str, Kind, str, Float64, Float64]
"""Entity, kind, name, times, values."""


def _service(pod: str) -> str:
    return pod.rsplit("-", 2)[0]


def _nezha_day(folder: Path) -> tuple[list[Column], Calls]:
    found: list[Column] = []
    for path in sorted(folder.glob("*_metric.csv")):
        rows, _ = table(path)
        service = _service(path.name.removesuffix("_metric.csv"))
        times = numbers([[row[1]] for row in rows[1:]])[:, 0]
        for at, name in enumerate(rows[0]):
            kind = kind_of(name)
            if (
                at < 3
                or not kind
                or name.startswith(("Node", "PodClient"))
                or (kind is Kind.LATENCY and "P90" not in name)
            ):
                continue
            found.append((service, kind, name, times, numbers([[row[at]] for row in rows[1:]])[:, 0]))
    for path in (folder / "source_50.csv", folder / "destination_50.csv"):
        rows, _ = table(path)
        values = numbers([row[1:] for row in rows[1:]])
        found += [
            (name.partition("_")[2], Kind.LATENCY, f"{path.stem} {name}", values[:, 0], values[:, at])
            for at, name in enumerate(rows[0][2:], start=1)
        ]
    services = {entity for entity, *_ in found}
    (_, *pairs), _ = table(folder / "dependency.csv")
    calls = {
        caller: frozenset(to for source, to, *_ in pairs if source == caller and to in services)
        for caller in sorted({row[0] for row in pairs})
    }
    return found, calls


def _nezha_signals(columns: list[Column], at: float) -> Signals:
    """The minutes around a fault on a grid that it begins a minute of."""
    first, last = -HISTORY_SECONDS // STEP, AFTER_SECONDS // STEP
    values = np.full((len(columns), last - first), np.nan)
    for row, (_, _, _, times, samples) in enumerate(columns):
        minute = np.floor((times - at) / STEP).astype(np.intp) - first
        inside = (minute >= 0) & (minute < values.shape[1])
        values[row, minute[inside]] = samples[inside]
    since = -BEFORE_SECONDS // STEP - first
    return Signals(
        entities=tuple(column[0] for column in columns),
        kinds=tuple(column[1] for column in columns),
        names=tuple(f"{column[0]} {column[2]}" for column in columns),
        times=at + STEP * np.arange(first + since, last, dtype=np.float64),
        values=values[:, since:],
        history=values[:, :since],
    )
