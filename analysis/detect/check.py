"""Rule tests as data: series in promtool's notation, API signals, and what must be reported (all of it, nothing else).

``42Mi+8Mix30`` is thirty-one samples from 42 MiB on, each 8 MiB more; ``42Mix9`` ten equal ones; ``_x4`` four that are
missing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from analysis.configfile import ConfigError, read_yaml
from analysis.contract import ApiSignal, NodeFact, PodFact
from analysis.detect.replay import Recording, replay
from analysis.detect.rules import MetricName, RuleSet
from analysis.units import Duration, Size, size
from analysis.windows.block import Float64, Samples
from analysis.words import moment
from analysis.workloads import family
from crds.v1alpha1.base import TargetRef, Word

START = 1_767_225_600.0
NAMESPACE, CONTAINER = "test", "app"
MAX_SAMPLES = 20_000
_NUMBER = r"\d+(?:\.\d+)?(?:Ki|Mi|Gi)?"
_TOKEN = re.compile(rf"(?P<first>_|{_NUMBER})(?:(?P<sign>[+-])(?P<step>{_NUMBER}))?(?:x(?P<times>\d{{1,5}}))?")


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


class SignalCase(_Part):
    """Something that the API server reports: of a pod, or of another object (``Service/cart``)."""

    type: str
    reason: str = ""
    pod: str = ""
    target: Annotated[str, StringConstraints(pattern=r"^([A-Z][A-Za-z]+/[a-z0-9.-]+)?$")] = ""
    at: Duration
    lasting: Duration | None = None
    """A state that holds for this long; without it a moment."""
    count: int = Field(default=1, ge=1)
    message: str = ""

    @model_validator(mode="after")
    def _of_something(self) -> SignalCase:
        if bool(self.pod) == bool(self.target):
            raise ValueError("name either a pod or a target")
        return self


class SeriesCase(_Part):
    """A series of its own labels: of a volume, a node, a counter."""

    metric: MetricName
    labels: dict[str, str]
    values: str


class Expectation(_Part):
    """A report that must come."""

    type: Word
    workload: str
    """Name of the target, of whatever kind."""
    by: Duration | None = None
    """At the latest, from the start."""


class RuleCase(_Part):
    """One test."""

    name: str
    every: Duration = 10.0
    """Between samples."""
    tick: Duration = 15.0
    """Between evaluations."""
    until: Duration | None = None
    """End of the test; the end of the series if it is not given."""
    metric: MetricName = "container_memory_working_set_bytes"
    limit_metric: MetricName = "container_spec_memory_limit_bytes"
    limit: Size = 268435456.0
    pods: dict[str, str] = {}
    """Series by pod name; the workload follows from the name."""
    running: tuple[str, ...] = ()
    """Further pods, of which there is no series."""
    claims: dict[str, tuple[str, ...]] = {}
    """PersistentVolumeClaims by pod name."""
    nodes: tuple[str, ...] = ()
    started: dict[str, Duration] = {}
    """When a pod's container started, from the start of the test."""
    gauges: tuple[MetricName, ...] = ()
    """Metrics of ``series`` that are gauges of containers."""
    series: tuple[SeriesCase, ...] = ()
    signals: tuple[SignalCase, ...] = ()
    expect: tuple[Expectation, ...]


class RuleCases(_Part):
    """One file."""

    tests: tuple[RuleCase, ...] = Field(min_length=1)


def load_cases(path: Path) -> RuleCases:
    """Read a file of rule tests.

    Raises:
        ConfigError: it is unreadable or invalid.
    """
    return read_yaml(path, RuleCases)[0]


def check(rules: RuleSet, case: RuleCase) -> list[str]:
    """What went wrong, in words; empty when the test passes.

    Raises:
        ConfigError: a series cannot be read.
    """
    recording, length = _recording(case)
    first: dict[tuple[str, str], float] = {}
    until = length if case.until is None else case.until
    for now, reported in replay(rules, recording, START + case.tick, START + until + case.tick, case.tick):
        for candidate in reported:
            first.setdefault((candidate.type, candidate.target.name), now - START)
    wanted = {(one.type, one.workload): one for one in case.expect}
    wrong = [f"{type_} of {workload} was not reported" for type_, workload in sorted(wanted.keys() - first.keys())]
    for (type_, workload), at in sorted(first.items()):
        expected = wanted.get((type_, workload))
        if expected is None:
            wrong.append(f"{type_} of {workload} was reported after {at:.0f} s, and should not have been")
        elif expected.by is not None and at > expected.by:
            wrong.append(f"{type_} of {workload} was reported after {at:.0f} s, later than {expected.by:.0f} s")
    return wrong


def expand(text: str) -> Float64:
    """Values of a series in promtool's notation; missing ones are NaN.

    Raises:
        ConfigError: it is not in that notation, or too long.
    """
    values: list[float] = []
    for token in text.split():
        found = _TOKEN.fullmatch(token)
        if found is None:
            raise ConfigError(f"{token!r} is no series: write 42Mi, 42Mix9, 42Mi+8Mix30 or _x4")
        times = int(found["times"] or 0)
        if found["first"] == "_":
            values += [np.nan] * max(times, 1)
        else:
            step = _number(found["step"] or "0") * (-1.0 if found["sign"] == "-" else 1.0)
            values += [_number(found["first"]) + step * index for index in range(times + 1)]
        if len(values) > MAX_SAMPLES:
            raise ConfigError(f"a series of more than {MAX_SAMPLES} samples")
    return np.array(values, dtype=np.float64)


def _number(text: str) -> float:
    value = size(text)
    assert isinstance(value, float)  # noqa: S101 (the pattern allows nothing else)
    return value


def _recording(case: RuleCase) -> tuple[Recording, float]:
    used = {pod: expand(text) for pod, text in case.pods.items()}
    others = [(one, expand(one.values)) for one in case.series]
    names = {*used, *case.running, *case.claims, *(one.pod for one in case.signals if one.pod)}
    workloads = {pod: TargetRef(kind="Deployment", namespace=NAMESPACE, name=family(pod), uid=pod) for pod in names}
    signals = [(one, _signal(one, workloads)) for one in case.signals]
    labels = [{"namespace": NAMESPACE, "pod": pod, "container": CONTAINER} for pod in used]
    limits = [np.full(len(values), case.limit) for values in used.values()]
    by_metric: dict[str, list[tuple[dict[str, str], Float64]]] = {}
    for one, values in others:
        by_metric.setdefault(one.metric, []).append((one.labels, values))
    recording = Recording(
        pods={(NAMESPACE, pod): _pod(pod, workload, case) for pod, workload in workloads.items()},
        samples={
            case.metric: _samples(case, list(zip(labels, used.values(), strict=True))),
            case.limit_metric: _samples(case, list(zip(labels, limits, strict=True))),
            **{one: _samples(case, by_metric.get(one, [])) for one in case.gauges},
        },
        started={(NAMESPACE, pod, CONTAINER): START + at for pod, at in case.started.items()},
        series={metric: _samples(case, rows) for metric, rows in by_metric.items()},
        nodes={name: NodeFact(name=name, uid=name) for name in case.nodes},
        signals=tuple(signal for one, signal in signals if one.lasting is None),
        states=tuple(
            (signal, START + one.at, START + one.at + one.lasting) for one, signal in signals if one.lasting is not None
        ),
    )
    ends = [case.every * len(values) for values in (*used.values(), *(values for _, values in others))]
    ends = ends or [one.at + (one.lasting or 0.0) + 60.0 for one in case.signals]
    return recording, max(ends, default=60.0)


def _pod(name: str, workload: TargetRef, case: RuleCase) -> PodFact:
    claims = case.claims.get(name, ())
    return PodFact(namespace=NAMESPACE, name=name, uid=name, workload=workload, containers=(CONTAINER,), claims=claims)


def _samples(case: RuleCase, rows: Sequence[tuple[dict[str, str], Float64]]) -> Samples:
    none = np.zeros(0, dtype=np.float64)
    index = np.repeat(np.arange(len(rows)), [len(values) for _, values in rows])
    times = START + case.every * np.concatenate([none, *(np.arange(len(values)) for _, values in rows)])
    return Samples(
        tuple(labels for labels, _ in rows), index, times, np.concatenate([none, *(values for _, values in rows)])
    )


def _signal(one: SignalCase, workloads: dict[str, TargetRef]) -> ApiSignal:
    kind, _, name = one.target.partition("/")
    namespace = "" if kind == "Node" else NAMESPACE
    target = TargetRef(kind=kind, namespace=namespace, name=name, uid=name) if kind else workloads[one.pod]
    return ApiSignal(
        type=one.type,
        reason=one.reason,
        target=target,
        pod=one.pod,
        container=CONTAINER if one.pod else "",
        at=moment(START + one.at),
        count=one.count,
        message=one.message,
    )
