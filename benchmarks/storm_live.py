"""The alert storm through the live path: contract in, grouping, the detection controller's rounds, writes counted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from analysis.contract import Candidate, DetectRequest, DetectResponse, PodFact, SourceHealth, Topology
from analysis.correlate.graph import entity
from analysis.correlate.live import incidents
from analysis.correlate.signals import Dependencies, Signal
from analysis.detect.finding import fingerprint
from benchmarks.report import Row
from benchmarks.storm import FAULTS, SEED, START, storm
from controllers.detection.reconcile import TICK, Detection
from controllers.kube.api import Kube
from controllers.runtime.analysis import Analysis
from controllers.runtime.controller import Context
from controllers.runtime.metrics import Metrics
from controllers.runtime.settings import Settings
from crds.v1alpha1.base import ObjectMeta, Scope, Severity, TargetRef
from crds.v1alpha1.incident import Incident, IncidentSpec, IncidentStatus

ROUND, LENGTH = 5, 600
SEEN_FOR = 60.0
"""Seconds that a signal is on; a fault signals again and again for as long as it lasts."""
LIVE_SEEDS = 20
NO_DIGEST = "sha256:" + "0" * 64


class Ledger:
    """The API server's side of the detection controller: Incidents in memory, and when each write came."""

    def __init__(self, clock: Clock) -> None:
        self.objects: dict[str, Incident] = {}
        self.writes: list[float] = []
        self._clock = clock

    def list_all(self, *_: Any, **__: Any) -> list[Incident]:
        return list(self.objects.values())

    def list_raw(self, *_: Any, **__: Any) -> list[dict[str, Any]]:
        return []

    def create(self, _: type[Incident], namespace: str, name: str, spec: IncidentSpec, **given: Any) -> Incident:
        self.writes.append(self._clock.at)
        labels = given.get("labels") or {}
        meta = ObjectMeta(name=name, namespace=namespace, uid=f"{namespace}/{name}", labels=labels)
        self.objects[meta.uid] = Incident(metadata=meta, spec=spec)
        return self.objects[meta.uid]

    def apply_status(self, item: Incident, status: dict[str, Any], **_: Any) -> Incident:
        self.writes.append(self._clock.at)
        whole = {**item.status.to_wire(), **status}
        updated = item.model_copy(update={"status": IncidentStatus.model_validate(whole)})
        self.objects[item.metadata.uid] = updated
        return updated

    def emit(self, *_: Any, **__: Any) -> None:
        """The recorder's port: an event is a write as well."""
        self.writes.append(self._clock.at)


@dataclass
class Clock:
    """Unix seconds, moved by hand."""

    at: float = START

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)


@dataclass
class Server:
    """The analysis server's side: what is on now, grouped with the production code; the contract is spoken in JSON."""

    alarms: Sequence[Candidate]
    pods: tuple[PodFact, ...]
    calls: dict[tuple[str, str], frozenset[str]]
    clock: Clock
    most: int = field(default=0)
    seen: int = field(default=0)

    def detect(self, request: DetectRequest) -> DetectResponse:
        request = DetectRequest.model_validate_json(request.model_dump_json())
        now = self.clock.at
        on = [one for one in self.alarms if one.last_seen.timestamp() <= now < one.last_seen.timestamp() + SEEN_FOR]
        self.most = max(self.most, len(on))
        found = incidents(on, Topology(digest=NO_DIGEST, pods=self.pods), self.calls, request.incidents)
        source = SourceHealth(name="prometheus", address="", ok=True)
        answer = DetectResponse(evaluated_at=self.clock.now(), candidates=found, sources=(source,))
        return DetectResponse.model_validate_json(answer.model_dump_json())


def live(seed: int) -> tuple[Ledger, float, int]:
    """One storm, ten minutes in rounds of five seconds: what was written, CPU seconds, faults without an Incident."""
    signals, dependencies, truth = storm(seed)
    clock = Clock()
    pods, calls = _topology(dependencies)
    server = Server([_alarm(one) for one in signals], pods, calls, clock)
    ledger = Ledger(clock)
    context = Context(
        settings=Settings(),
        kube=cast("Kube", ledger),
        events=ledger,
        metrics=Metrics("storm"),
        analysis=cast("Analysis", server),
        now=clock.now,
    )
    detection = Detection(context, cast("Analysis", server))
    began = time.process_time()
    for _ in range(LENGTH // ROUND):
        clock.at += ROUND
        detection.reconcile(TICK)
    cpu = time.process_time() - began
    named = {entity(item.spec.target) for item in ledger.objects.values()}
    named |= {
        entity(item.status.detection.origin)
        for item in ledger.objects.values()
        if item.status.detection is not None and item.status.detection.origin is not None
    }
    needed = {one for name in named for one in dependencies.needs.get(name, frozenset())}
    return ledger, cpu, sum(fault not in named and fault not in needed for fault in truth)


def rows() -> list[Row]:
    """The report's rows, the worst of several storms."""
    opened, missed, cpu, writes = [], 0, [], []
    for seed in range(SEED, SEED + LIVE_SEEDS):
        ledger, seconds, uncovered = live(seed)
        opened.append(len(ledger.objects))
        missed += uncovered
        cpu.append(seconds)
        writes.append(busiest_minute(ledger.writes))
    return [
        Row("storm, live path", "incidents, worst", max(opened), 15, 12, LIVE_SEEDS, at_most=True),
        Row("storm, live path", "faults not covered", missed, 0, 0, LIVE_SEEDS * FAULTS, at_most=True),
        Row("storm, live path", "API writes in the busiest minute", max(writes), 60, 60, LIVE_SEEDS, at_most=True),
        Row("storm, live path", "CPU seconds of 10 minutes, worst", max(cpu), 2.0, 2.0, LIVE_SEEDS, at_most=True),
    ]


def busiest_minute(moments: Sequence[float]) -> int:
    """The most writes within any 60 seconds."""
    return max((sum(start <= at < start + 60 for at in moments) for start in moments), default=0)


def _alarm(one: Signal) -> Candidate:
    kind, namespace, name = one.entity.split("/", 2)
    target = TargetRef(kind=kind, namespace=namespace, name=name)
    return Candidate(
        type=one.type,
        scope=Scope.WORKLOAD,
        target=target,
        fingerprint=fingerprint(one.type, Scope.WORKLOAD, target),
        severity=Severity.HIGH,
        confidence_percent=80,
        rule="storm",
        summary=f"{one.type} of {name}",
        onset=datetime.fromtimestamp(one.onset, UTC),
        last_seen=datetime.fromtimestamp(one.seen_at, UTC),
    )


def _topology(dependencies: Dependencies) -> tuple[tuple[PodFact, ...], dict[tuple[str, str], frozenset[str]]]:
    """A pod per service on its node, and what it calls by DNS name: production code builds the graph from these."""
    pods, calls = [], {}
    for one, needed in dependencies.needs.items():
        _, namespace, name = one.split("/", 2)
        workload = TargetRef(kind="Deployment", namespace=namespace, name=name)
        nodes = [other.split("/", 2)[2] for other in needed if other.startswith("Node")]
        pods.append(PodFact(namespace=namespace, name=name, uid=one, workload=workload, node=nodes[0] if nodes else ""))
        callees = (other.split("/", 2)[1:] for other in needed if other.startswith("Deployment"))
        calls[namespace, name] = frozenset(f"{callee}.{space}.svc" for space, callee in callees)
    return tuple(pods), calls
