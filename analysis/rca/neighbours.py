"""The workloads of a namespace and who calls whom, as far as their request and container metrics tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.rca.deviation import Kind
from analysis.rca.suspects import Calls, Signals, Suspect, suspects
from analysis.telemetry.query import Matcher, differs, matching, quantile_query, selector
from analysis.windows.block import Samples, grid, regroup
from analysis.workloads import family

RATE = "60s"
FAILED = "[45].."
"""Codes of failed requests, as a pattern. What a client is always refused (404 of scanners) is there before as well."""


@dataclass(frozen=True, slots=True)
class Span:
    """The time that was read: up to ``end`` (Unix seconds), a sample each ``step`` seconds."""

    end: float
    seconds: float
    step: float


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Signals of all pods, each under its workload's name; ``queries`` are what the kinds were read with."""

    signals: Signals
    calls: Calls
    queries: Mapping[Kind, str]

    def origin(self, workload: str, onset: float) -> tuple[Suspect, ...]:
        """Where an incident of a workload comes from, among the workload itself and all that it calls."""
        return suspects(self.signals, self.calls, onset, symptom=workload)


def queries(scope: Matcher) -> dict[Kind, str]:
    """PromQL by kind, each by pod."""
    container = selector("container_cpu_usage_seconds_total", scope, differs("container", ""))
    total = f"sum by (pod) (rate({selector('http_requests_total', scope)}[{RATE}]))"
    failed = f"sum by (pod) (rate({selector('http_requests_total', scope, matching('code', FAILED))}[{RATE}]))"
    return {
        Kind.RESOURCE: f"sum by (pod) (rate({container}[{RATE}]))",
        Kind.LATENCY: quantile_query(0.95, "http_request_duration_seconds", RATE, scope, by=("pod",)),
        # pods without failures have no such series; without the second part they would be unknown, not well
        Kind.ERRORS: f"({failed} or 0 * {total}) / {total}",
        Kind.TRAFFIC: total,
    }


def calls_query(scope: Matcher) -> str:
    """PromQL of the rate of calls by pod and callee."""
    return f"sum by (pod, upstream) (rate({selector('upstream_requests_total', scope)}[{RATE}]))"


def neighbourhood(
    read: Mapping[Kind, Samples], called: Samples, asked: Mapping[Kind, str], span: Span
) -> Neighbourhood:
    """Put the answers to :func:`queries` and :func:`calls_query` together; each pod stays a series of its own."""
    entities: list[str] = []
    kinds: list[Kind] = []
    names: list[str] = []
    blocks = []
    for kind, samples in read.items():
        block = grid(regroup(samples, ("pod",)), span.end, span.seconds, span.step)
        blocks.append(block.values.astype(np.float64))
        for labels in block.labels:
            entities.append(family(labels["pod"]))
            kinds.append(kind)
            names.append(f"{kind} of {labels['pod']}")
    count = max(1, round(span.seconds / span.step))
    values = np.concatenate([np.empty((0, count)), *blocks])
    times = span.end - span.step * np.arange(count, 0, -1, dtype=np.float64)
    signals = Signals(tuple(entities), tuple(kinds), tuple(names), times, values, values[:, :0])
    calls: dict[str, set[str]] = defaultdict(set)
    for labels in called.labels:
        if labels.get("pod") and labels.get("upstream"):
            calls[family(labels["pod"])].add(labels["upstream"])
    return Neighbourhood(signals, {caller: frozenset(callees) for caller, callees in calls.items()}, dict(asked))
