"""What a rule says about one workload at one moment, and the arrays that it says it from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from analysis.contract import ApiSignal, Candidate, NodeFact, PodFact, ServiceFact
from analysis.telemetry.query import RateSum, Select
from analysis.windows.block import Block
from analysis.windows.rates import Rates as Rates
from analysis.words import line, moment
from crds.v1alpha1.base import Scope, Severity, TargetRef
from crds.v1alpha1.detection import MetricEvidence, Prediction

PodKey = tuple[str, str]
"""Namespace and name."""
TargetKey = tuple[str, str, str]
"""Kind, namespace and name."""
ContainerKey = tuple[str, str, str]
"""Namespace, pod and container name."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault of one workload. ``firing`` is False when only the easier thresholds for staying are met."""

    type: str
    target: TargetRef
    firing: bool
    severity: Severity
    confidence_percent: int
    summary: str
    onset: float
    """Unix seconds."""
    seen_at: float
    """Unix seconds of the newest data that show it."""
    pods: tuple[str, ...]
    predicted: bool = False
    prediction: Prediction | None = None
    metrics: tuple[MetricEvidence, ...] = ()
    events: tuple[str, ...] = ()
    count: int = 1
    scope: Scope = Scope.WORKLOAD

    @property
    def fingerprint(self) -> str:
        """Identity of the fault, see :func:`fingerprint`."""
        return fingerprint(self.type, self.scope, self.target)


def candidate(finding: Finding, rule: str, version: str = "") -> Candidate:
    """A finding as detection reports it. ``rule`` may carry foreign text (an alert's name)."""
    return Candidate(
        type=finding.type,
        scope=finding.scope,
        target=finding.target,
        fingerprint=finding.fingerprint,
        severity=finding.severity,
        confidence_percent=finding.confidence_percent,
        rule=line(rule, 128),
        rule_version=version,
        summary=line(finding.summary),
        onset=moment(finding.onset),
        last_seen=moment(finding.seen_at),
        predicted=finding.predicted,
        prediction=finding.prediction,
        metrics=finding.metrics,
        events=finding.events,
        pods=finding.pods,
        count=finding.count,
    )


def fingerprint(kind: str, scope: Scope, target: TargetRef) -> str:
    """Identity of a fault: first 16 hex of SHA-256 over type, scope, kind, namespace and name."""
    parts = (kind, scope.value, target.kind, target.namespace, target.name)
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Level:
    """A gauge to read, series joined by the labels ``by``."""

    select: Select
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Observed:
    """All that one evaluation looks at. A key that is missing from ``blocks`` or ``rates`` could not be read."""

    now: float
    pods: Mapping[PodKey, PodFact]
    blocks: dict[str, Block] = field(default_factory=dict)
    """By metric name; series have the labels namespace, pod, container. Of metrics that are in ``seen`` only those
    series are here that some rule may mean."""
    seen: Mapping[str, Set[PodKey]] = field(default_factory=dict)
    """By metric name: pods with a sample of just now, of metrics of which not all series were laid on a grid."""
    rates: dict[RateSum, Rates] = field(default_factory=dict)
    """By query; series have the labels that it sums by."""
    levels: Mapping[Level, Block] = field(default_factory=dict)
    """What belongs to no container."""
    nodes: Mapping[str, NodeFact] = field(default_factory=dict)
    """By name."""
    services: tuple[ServiceFact, ...] = ()
    signals: tuple[ApiSignal, ...] = ()
    held: frozenset[str] = frozenset()
    """Fingerprints of what the Incidents that are on hold: called before, perhaps by a server that is gone."""
    started: Mapping[ContainerKey, float] = field(default_factory=dict)
    """When containers started, Unix seconds. Not in ``blocks``: float32 would round it to two minutes."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Findings of one rule, and the pods about which it could say something."""

    findings: tuple[Finding, ...] = ()
    fresh: Set[PodKey] = frozenset()
    """Pods with recent data. About the others nothing is known, which is not the same as nothing being wrong."""
    targets: frozenset[TargetKey] | None = None
    """The same for rules that look at targets as a whole (nodes, volumes), not at pods."""
