"""Facts of an incident."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np

from analysis.contract import Change, ChangeKind, IncidentFacts, PodState, RcaRequest
from analysis.logs.context import LogContext
from analysis.logs.records import Record
from analysis.logs.templates import Chunk
from analysis.rca.deviation import Kind
from analysis.rca.facts import BeforeAfter, Facts, Memory, memory_facts
from analysis.rca.neighbours import Neighbourhood, Span, neighbourhood, queries
from analysis.telemetry.loki import LogLine
from analysis.telemetry.query import equal
from analysis.windows.block import Samples
from crds.v1alpha1.base import Scope, Severity, TargetRef, Window
from crds.v1alpha1.rcareport import LogMark
from tests.unit.analysis.shapes import END, MIB, START, block, flat, leak, sampled

ONSET = 780.0
POD = "payments-7c9d8f6b5d-abcde"
TARGET = TargetRef(kind="Deployment", namespace="shop", name="payments", uid="uid-payments")
SIBLINGS = {f"{name}-6d5f7c8b9d-aaaaa": sampled(flat()) for name in ("checkout", "frontend", "catalogue")}


def at(second: float) -> datetime:
    return datetime.fromtimestamp(START + second, tz=UTC)


def request(kind: str = "MemoryLeak", **changes) -> RcaRequest:
    incident = IncidentFacts(
        name="payments-leak-1",
        namespace="shop",
        uid="u",
        type=kind,
        scope=Scope.WORKLOAD,
        target=changes.pop("target", TARGET),
        severity=Severity.HIGH,
        started_at=at(ONSET),
        detected_at=at(ONSET + 50),
    )
    pods = changes.pop("pods", (pod(),))
    return RcaRequest(incident=incident, window=Window(start=at(180), end=at(900)), pods=pods, replicas=2, **changes)


def pod(**changes) -> PodState:
    values = {"name": POD, "uid": "p", "node": "n1", "phase": "Running", "ready": True, "restarts": 0}
    return PodState(**{**values, **changes})


def rollout(second: float, revision: str = "7") -> Change:
    return Change(
        kind=ChangeKind.ROLLOUT,
        at=at(second),
        target=TARGET,
        revision=revision,
        summary="image v1.8 -> v1.9",
        reference="/apis/apps/v1/namespaces/shop/replicasets/payments-7c9d8f6b5d",
        previous_revision="6",
        previous_reference="/apis/apps/v1/namespaces/shop/replicasets/payments-5f6c",
    )


def memory(series: Mapping[str, tuple], *, limit: float = 256.0, ended: bool = False) -> Memory:
    keyed = {(name, "app"): samples for name, samples in series.items()}
    limits = block({key: (times, np.full(len(times), limit * MIB)) for key, (times, _) in keyed.items()})
    query = 'container_memory_working_set_bytes{namespace="shop"}'
    return memory_facts(block(keyed), limits, TARGET, START + ONSET, query, ended=ended)


def logs(*new: tuple[str, int]) -> LogContext:
    first = int((START + ONSET + 2) * 1e9)
    found = tuple(
        Chunk(
            mark=LogMark.NEW, text=text, count=count, before=0, first_at=first, last_at=first,
            example=Record((LogLine(first, text, POD, "app"),)), pods=(POD,), information=float(len(new) - number),
        )
        for number, (text, count) in enumerate(new)
    )  # fmt: skip
    return LogContext('{k8s_namespace_name="shop"}', found, lines_before=100, lines_after=200, sampled=False)


def neighbours(**latency_since_onset: float) -> Neighbourhood:
    """Workloads that call each other in the order given; each answers in 50 ms before the onset, then as told."""
    names = list(latency_since_onset)
    times = np.arange(START + 1, END, 15.0)
    values = [np.where(times < START + ONSET, 0.05, latency_since_onset[name]) for name in names]
    read = Samples(
        labels=tuple({"pod": f"{name}-7c9d8f6b5d-abcde"} for name in names),
        series=np.repeat(np.arange(len(names), dtype=np.int64), times.size),
        times=np.tile(times, len(names)),
        values=np.concatenate(values),
    )
    called = Samples(
        labels=tuple({"pod": f"{name}-7c9d8f6b5d-abcde", "upstream": to} for name, to in pairwise(names)),
        series=np.empty(0, dtype=np.int64), times=np.empty(0), values=np.empty(0),
    )  # fmt: skip
    asked = queries(equal("namespace", "shop"))
    return neighbourhood({Kind.LATENCY: read}, called, asked, Span(END, END - START, 15.0))


def facts(asked: RcaRequest | None = None, **changes) -> Facts:
    asked = asked or request()
    values = {
        "memory": memory({POD: sampled(leak(ONSET)), **SIBLINGS}),
        "traffic": BeforeAfter(8.0, 7.84, "sum(rate(http_requests_total[60s]))"),
        "node_free": BeforeAfter(0.7, 0.7, "min(node)"),
        "upstream": {},
        "logs": logs(("cache miss, loading <*> entries", 412)),
    }
    window = Window(start=at(180), end=at(180) + timedelta(seconds=END - START - 180))
    return Facts(request=asked, window=window, onset=START + ONSET, **{**values, **changes})
