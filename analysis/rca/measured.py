"""Answers of the probes that are data, from what was read for them. Pure."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Any

import numpy as np

from analysis.contract import EventFact, PodState
from analysis.rca.around import resolve
from analysis.rca.facts import Counted, Facts, Measured
from analysis.rca.observation import Observation, unknown
from analysis.rca.probes import LogProbe, MetricProbe, ProbeSpec, StateProbe
from analysis.windows.block import Bool, Samples
from analysis.words import clock, line, mib, moment
from crds.v1alpha1.rcareport import EvidenceKind

BEFORE_SECONDS = 300.0
"""How far before the onset a rate is compared with: longer ago is another time of day, or another life."""
EVENTS_BEFORE = timedelta(minutes=2)
"""What Kubernetes said this long before the onset still belongs to it: metrics lag."""
UNSURE = 0.6
"""Strength of a yes when nothing is known of the time before."""


def compare(samples: Samples, by: str, onset: float) -> tuple[Measured, ...]:
    """Each series before and since ``onset``. Of the time since, the later half counts: windows of rates fill up."""
    middle = (onset + float(samples.times.max(initial=onset))) / 2
    found = []
    for row, labels in enumerate(samples.labels):
        own = (samples.series == row) & np.isfinite(samples.values)
        before = _median(samples, own & (samples.times < onset) & (samples.times >= onset - BEFORE_SECONDS))
        late = _median(samples, own & (samples.times >= middle))
        after = late if math.isfinite(late) else _median(samples, own & (samples.times >= onset))
        found.append(Measured(labels.get(by, "") if by else "", before, after))
    return tuple(sorted(found, key=lambda one: one.name))


def _median(samples: Samples, rows: Bool) -> float:
    values = samples.values[rows]
    return float(np.median(values)) if values.size else math.nan


def answer(spec: ProbeSpec, facts: Facts) -> Observation:
    """What this probe says of the incident."""
    if spec.metric is not None:
        return _metric(spec.metric, facts.queries.get(spec.name, ""), facts.measured.get(spec.name), facts)
    if spec.log is not None:
        return _log(spec.log, facts.counted.get(spec.name), facts)
    assert spec.state is not None  # noqa: S101 the model's validator says so
    return _state(spec.state, facts)


def _metric(probe: MetricProbe, query: str, series: tuple[Measured, ...] | None, facts: Facts) -> Observation:
    known = [one for one in series or () if math.isfinite(one.after)]
    if not known:
        return unknown(probe.unknown)
    worst = max(known, key=lambda one: (_rise(one) * (-1 if probe.fall_share is not None else 1), one.name))
    yes = _holds(probe, worst)
    values = {name: _shown(value, probe.unit) for name, value in (("before", worst.before), ("after", worst.after))}
    return Observation(
        yes,
        probe.text.format_map({**values, "name": worst.name, "count": len(known)}),
        strength=1.0 if math.isfinite(worst.before) else UNSURE,
        query=query,
        result={one.name: [one.before, one.after] for one in known},
        blames=resolve(facts, worst.name) if probe.blames and yes else None,
    )


def _rise(one: Measured) -> float:
    return one.after - (one.before if math.isfinite(one.before) else 0.0)


def _holds(probe: MetricProbe, one: Measured) -> bool | None:
    """None when the answer hangs on a time before that is not known."""
    if probe.above is not None and one.after < probe.above:
        return False
    if probe.below is not None and one.after > probe.below:
        return False
    wants_rise = probe.rise_by is not None or probe.rise_share is not None or probe.fall_share is not None
    if wants_rise and not math.isfinite(one.before):
        return True if probe.above is not None else None
    change = one.after - one.before
    if probe.rise_by is not None and change < probe.rise_by:
        return False
    if probe.rise_share is not None and change < probe.rise_share * abs(one.before):
        return False
    return not (probe.fall_share is not None and -change < probe.fall_share * abs(one.before))


def _shown(value: float, unit: str) -> str:
    if not math.isfinite(value):
        return "unknown"
    if unit == "share":
        return f"{value:.0%}" if value >= 0.1 else f"{value:.1%}"
    if unit == "bytes":
        return mib(value)
    number = f"{value:.3g}"
    return f"{number} per second" if unit == "/s" else f"{number} {unit}".rstrip()


def _log(probe: LogProbe, counted: Counted | None, facts: Facts) -> Observation:
    if counted is None:
        return unknown("no logs", EvidenceKind.LOG)
    rate = counted.after / max(counted.after_seconds, 1.0)
    usual = (counted.before or 0) / max(counted.before_seconds, 1.0)
    return Observation(
        counted.after >= probe.at_least and rate >= probe.more_by * usual,
        probe.text.format(count=counted.after, name=facts.target.name),
        kind=EvidenceKind.LOG,
        query=counted.query,
        result=[counted.before, counted.after],
    )


def _state(probe: StateProbe, facts: Facts) -> Observation:
    own = probe.where == "own"
    pods = [pod for pod in facts.request.pods if own and _in_state(probe, pod)]
    listed = facts.request.events if own else facts.request.neighbour_events
    since = moment(facts.onset) - EVENTS_BEFORE
    events = [one for one in listed if one.at >= since and _fits(probe, one) and not _overcome(probe, one, facts)]
    if not pods and not events:
        return Observation(
            False, probe.absent, kind=EvidenceKind.EVENT if probe.events else EvidenceKind.STATUS, result=[]
        )
    return _seen(probe, facts, pods, events)


def _in_state(probe: StateProbe, pod: PodState) -> bool:
    return (
        pod.waiting_reason in probe.waiting
        or pod.last_termination_reason in probe.ended
        or (probe.unschedulable and bool(pod.unschedulable) and _says(probe, pod.unschedulable))
    )


def _fits(probe: StateProbe, event: EventFact) -> bool:
    return event.reason in probe.events and _says(probe, event.message)


def _says(probe: StateProbe, text: str) -> bool:
    return re.search(probe.pattern, text, re.IGNORECASE) is not None


def _overcome(probe: StateProbe, event: EventFact, facts: Facts) -> bool:
    """Of before the onset, and its pod is ready now: each pod's first seconds look like trouble.

    What can only go wrong at a start is over for a pod that is ready, whenever it was.
    """
    early = event.at < moment(facts.onset)
    return (early or probe.starting) and any(
        pod.ready and event.object == f"Pod/{pod.name}" for pod in facts.request.pods
    )


def _seen(probe: StateProbe, facts: Facts, pods: list[PodState], events: list[EventFact]) -> Observation:
    names = sorted({pod.name for pod in pods} or {one.object.partition("/")[2] for one in events})
    newest = max(events, key=lambda one: (one.at, one.reason, one.object), default=None)
    said = newest.message if newest is not None else _words(pods[0])
    values = {"name": names[0], "count": len(names), "before": 0, "after": len(names)}
    path = f"/api/v1/namespaces/{facts.target.namespace}/pods/{pods[0].name}" if pods else ""
    result: list[Any] = [[pod.name, pod.waiting_reason, pod.last_termination_reason] for pod in pods]
    result += [[one.reason, one.object] for one in events]
    return Observation(
        True,
        line(f"{probe.text.format_map(values)}: {said}" if said else probe.text.format_map(values)),
        kind=EvidenceKind.STATUS if pods else EvidenceKind.EVENT,
        query=path or (newest.reference if newest is not None else ""),
        at=newest.at if newest is not None else None,
        result=sorted(result),
    )


def _words(pod: PodState) -> str:
    if pod.waiting_reason:
        return f"{pod.waiting_reason} {pod.waiting_message}".strip()
    return pod.unschedulable or f"{pod.last_termination_reason} at {_when(pod)}"


def _when(pod: PodState) -> str:
    return clock(pod.last_termination_at) if pod.last_termination_at else "an unknown time"
