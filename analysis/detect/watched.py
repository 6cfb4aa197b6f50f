"""What the learner knows of one cluster: its workloads, the incidents they had, and what is on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from analysis.contract import PodFact
from analysis.detect.learned import Deviation, Judgement, Key, Model
from analysis.detect.registry import Windows
from analysis.detect.shifts import Levels, Place, Shift
from analysis.windows.block import Bool, Float64
from analysis.workloads import family
from crds.v1alpha1.base import TargetRef

GRACE = 900.0
"""Seconds after a workload's pods have changed in which nothing learned is said of it."""
MISSES = 2
"""Steps without the deviation that end it."""
LONGEST = 86_400.0
"""Seconds of an incident that are kept from the training."""
MAX_WINDOWS = 50
"""Known incidents per workload."""


@dataclass(slots=True)
class Watched:
    """What is known of one cluster. Times are Unix seconds."""

    targets: dict[Key, TargetRef] = field(default_factory=dict)
    digest: str = ""
    pods: dict[Key, frozenset[str]] = field(default_factory=dict)
    changed: dict[Key, float] = field(default_factory=dict)
    windows: Windows = field(default_factory=dict)
    model: Model | None = None
    version: str = ""
    trained_at: float = float("-inf")
    seen_until: float = float("-inf")
    next_try: float = float("-inf")
    scores: dict[str, Float64] = field(default_factory=dict)
    judgement: Judgement | None = None
    on: dict[Key, tuple[Deviation, int]] = field(default_factory=dict)
    levels: Levels | None = None
    """Rows as the model's keys."""
    shifted: dict[Place, Shift] = field(default_factory=dict)
    common_shifts: tuple[str, ...] = ()
    onsets: dict[Place, float] = field(default_factory=dict)
    """Levels that have become usual: learned from then on, Unix seconds."""
    outdated: bool = False
    """The model was trained before some of the onsets were known."""


def excluded(windows: Windows, keys: tuple[Key, ...], times: Float64) -> Bool:
    """``bool[workload, time]``: within a known incident, or the hour after it."""
    found = np.zeros((len(keys), len(times)), dtype=np.bool_)
    for row, key in enumerate(keys):
        for start, end in windows.get(key, ()):
            found[row] |= (times >= start - 300.0) & (times <= end + 3600.0)
    return found


def take_in(watched: Watched, pods: tuple[PodFact, ...], now: float, *, first: bool) -> None:
    """The cluster's pods now; workloads whose pods are others than before have just been changed."""
    names: dict[Key, set[str]] = {}
    watched.targets = {}
    for pod in pods:
        key = (pod.namespace, family(pod.name))
        watched.targets[key] = pod.workload
        names.setdefault(key, set()).add(pod.name)
    for key, here in names.items():
        if not first and watched.pods.get(key) != frozenset(here):
            watched.changed[key] = now
    watched.pods = {key: frozenset(here) for key, here in names.items()}
    watched.changed = {key: at for key, at in watched.changed.items() if key in names and now - at < GRACE}


def extend(windows: Windows, key: Key, start: float, now: float) -> None:
    """A workload's incident is still on."""
    if now - start > LONGEST:
        return  # what has lasted so long is how it is now, and may be learned
    spans = windows.setdefault(key, [])
    if spans and start <= spans[-1][1]:
        spans[-1] = (min(spans[-1][0], start), max(now, spans[-1][1]))
    else:
        spans.append((start, now))
        del spans[:-MAX_WINDOWS]


def kept(before: dict[Key, tuple[Deviation, int]], found: dict[Key, Deviation]) -> dict[Key, tuple[Deviation, int]]:
    """What is on after a step, with the steps that it was not seen."""
    after = {key: (one, 0) for key, one in found.items()}
    for key, (one, misses) in before.items():
        if key in after:
            after[key] = (replace(after[key][0], since=min(one.since, after[key][0].since)), 0)
        elif misses + 1 < MISSES:
            after[key] = (one, misses + 1)
    return after
