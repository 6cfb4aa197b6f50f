"""Seconds from request to report without a model: 200 series, 50 changes and 100 MB of logs in real stores."""

from __future__ import annotations

import argparse
import asyncio
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx

from analysis.config import DATA_ROOT
from analysis.contract import (
    Change,
    ChangeKind,
    EventFact,
    IncidentFacts,
    PodState,
    RcaRequest,
    RcaResponse,
    ServiceState,
    WorkloadState,
)
from analysis.rca.catalogue import load_causes
from analysis.rca.service import Explainer
from analysis.telemetry.loki import Loki
from analysis.telemetry.prometheus import Prometheus
from benchmarks.report import Speed, speed_table
from benchmarks.stores import Stores, push_logs, stores
from crds.v1alpha1.base import Scope, Severity, TargetRef, Window

WORKLOADS = 10
SERIES = 200
CHANGES = 50
LOG_BYTES = 100_000_000
HISTORY = timedelta(hours=3)
SINCE = timedelta(minutes=10)
STEP = 15
RUNS = 3


def target(number: int) -> TargetRef:
    """Workload 0 is the incident's, 1 its callee."""
    name = ("payments", "bank")[number] if number < 2 else f"service-{number}"
    return TargetRef(kind="Deployment", namespace="shop", name=name, uid=f"uid-{number}")


def pod(number: int, replica: int) -> str:
    """A name as a Deployment's controller would give it."""
    return f"{target(number).name}-7c9d8f6b5d-abcd{replica}"


def metrics(onset: datetime, end: datetime) -> str:
    """OpenMetrics text: two pods of ten workloads with ten series each; since the onset the bank fails payments."""
    start = onset - timedelta(minutes=20)
    times = [start.timestamp() + at for at in range(0, int((end - start).total_seconds()) + 1, STEP)]
    lines: list[str] = []
    for name, kind, series in _families():
        lines.append(f"# TYPE {name.removesuffix('_total')} {kind}")
        for labels, rate, failing in series:
            total = 0.0
            for at in times:
                since = at >= onset.timestamp()
                total += (rate * (30 if since else 0.1) if failing else rate) * STEP
                value = total if kind == "counter" else rate
                lines.append(f"{name}{{{labels}}} {value:.6g} {at:.3f}")
    return "\n".join([*lines, "# EOF", ""])


Family = tuple[str, str, list[tuple[str, float, bool]]]


def _families() -> Iterator[Family]:
    pods = [(number, pod(number, replica)) for number in range(WORKLOADS) for replica in range(2)]
    base = [(number, f'namespace="shop",pod="{name}"') for number, name in pods]
    container = [f'{labels},container="app"' for _, labels in base]
    yield "container_memory_working_set_bytes", "gauge", [(labels, 1e8, False) for labels in container]
    yield "container_spec_memory_limit_bytes", "gauge", [(labels, 3e8, False) for labels in container]
    yield "container_cpu_usage_seconds_total", "counter", [(labels, 0.2, False) for labels in container]
    yield "container_spec_cpu_quota", "gauge", [(labels, 1e5, False) for labels in container]
    yield "container_spec_cpu_period", "gauge", [(labels, 1e5, False) for labels in container]
    yield "container_cpu_cfs_periods_total", "counter", [(labels, 10, False) for labels in container]
    ok = [(f'{labels},code="200"', 8.0, False) for _, labels in base]
    bad = [(f'{labels},code="500"', 0.1, number == 0) for number, labels in base]
    yield "http_requests_total", "counter", ok + bad
    calls = [(number, f'{labels},upstream="{target((number + 1) % WORKLOADS).name}"') for number, labels in base]
    fine = [(f'{labels},code="200"', 8.0, False) for _, labels in calls]
    refused = [(f'{labels},code="503"', 0.1, number == 0) for number, labels in calls]
    yield "upstream_requests_total", "counter", fine + refused


def request(onset: datetime, end: datetime) -> RcaRequest:
    """As the rca controller would ask."""
    incident = IncidentFacts(
        name="payments-errors-1", namespace="shop", uid="u", type="HighErrorRate", scope=Scope.WORKLOAD,
        target=target(0), severity=Severity.HIGH, started_at=onset, detected_at=onset + timedelta(seconds=40),
        signals=("LogBurst",),
    )  # fmt: skip
    changes = tuple(
        Change(
            kind=ChangeKind.ROLLOUT, at=onset - timedelta(minutes=20 + number), target=target(number % WORKLOADS),
            revision=str(100 - number), previous_revision=str(99 - number), summary=f"image v{number} -> v{number + 1}",
            reference=f"/apis/apps/v1/namespaces/shop/replicasets/x-{number}", previous_reference="/apis/apps/v1/x",
        )
        for number in range(CHANGES)
    )  # fmt: skip
    events = tuple(
        EventFact(at=onset, type="Warning", reason="Unhealthy", message="probe failed", object=f"Pod/x-{number}")
        for number in range(50)
    )
    pods = tuple(
        PodState(name=pod(0, one), uid=str(one), node="n", phase="Running", ready=True, restarts=0) for one in (0, 1)
    )
    workloads = tuple(WorkloadState(target=target(number), replicas=2, ready=2) for number in range(WORKLOADS))
    services = tuple(
        ServiceState(name=one.target.name, selector=f"app={one.target.name}", ready=2, matches=(one.target,))
        for one in workloads
    )
    return RcaRequest(
        incident=incident, window=Window(start=onset - timedelta(minutes=15), end=end), changes=changes, pods=pods,
        replicas=2, workloads=workloads, services=services, neighbour_events=events,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Timed:
    """One request: seconds it took, CPU seconds here and in the stores, and the report."""

    seconds: float
    own: float
    stores: float
    report: RcaResponse


async def timed(where: Stores, asked: RcaRequest) -> Timed:
    """The fastest of several requests, over one pool of connections, as the server has it."""
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=32), trust_env=False) as client:
        prometheus, loki = Prometheus(where.prometheus, 30.0, client), Loki(where.loki, 30.0, client)
        explainer = Explainer(load_causes(DATA_ROOT / "causes"), prometheus, loki, None)
        found: list[Timed] = []
        for _ in range(RUNS):
            began, own, theirs = time.perf_counter(), time.process_time(), where.cpu_seconds()
            report = await explainer.explain(asked)
            took = time.perf_counter() - began
            found.append(Timed(took, time.process_time() - own, where.cpu_seconds() - theirs, report))
        return min(found, key=lambda one: one.seconds)


def rows(size: int = LOG_BYTES) -> list[Speed]:
    """The figures, with a look at whether the report is right.

    Raises:
        Missing: Prometheus or Loki is not on this machine.
    """
    end = datetime.now(tz=UTC).replace(microsecond=0) - timedelta(minutes=2)
    onset = end - SINCE
    with stores(metrics(onset, end)) as where:
        names = [pod(0, 0), pod(0, 1)]
        lines = push_logs(where.loki, names, (onset - HISTORY).timestamp(), onset.timestamp(), end.timestamp(), size)
        found = asyncio.run(timed(where, request(onset, end)))
    report = found.report
    first, told = report.root_causes[0], [f"{one.mark.value} x{one.count}: {one.template}" for one in report.logs]
    print(f"{lines:,} lines; {first.kind} ({first.confidence_percent} %): {first.summary}", *told, sep="\n  ")
    print(*report.missing_data, sep="\n")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    what = f"report of {SERIES} series, {CHANGES} changes, {size // 10**6} MB of logs"
    return [
        Speed(what, found.seconds, "s", floor=5.0, at_most=True),
        Speed("the same, CPU of the analysis server", found.own, "s"),
        Speed("the same, CPU of Prometheus and Loki", found.stores, "s"),
        Speed("memory of the analysis server", peak, "MiB", floor=1024.0, at_most=True),
    ]


def run(argv: list[str]) -> int:
    """``python -m benchmarks explain [--megabytes 100]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks explain")
    parser.add_argument("--megabytes", type=int, default=LOG_BYTES // 10**6, help="of logs")
    found = rows(parser.parse_args(argv).megabytes * 10**6)
    print(speed_table(found))
    return 1 if any(row.met is False for row in found) else 0
