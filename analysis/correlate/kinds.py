"""What the types of signals say about where a fault is."""

from __future__ import annotations

from enum import IntEnum

from analysis.contract import NEVER_ALONE

SYMPTOMS = frozenset(
    {
        "AbsentSeries",
        "ApiTimeouts",
        "Anomaly",
        "CrashLoop",
        "ErrorDrift",
        "EventBurst",
        "Evicted",
        "HighErrorRate",
        "HighLatency",
        "LatencyDrift",
        "LevelShift",
        "LogBurst",
        "MetricsAbsent",
        "NotReady",
        "ReplicasUnavailable",
        "Restarted",
        "RolloutStalled",
        "Timeouts",
        "TrafficDrop",
        "ZeroEndpoints",
    }
)
"""Types that follow from somebody else's fault as often as not. Others (a leak, a full disk, a bad image) are a fault
of the entity itself, however much fails around it."""

PASSED_ON = frozenset(
    {"Anomaly", "ApiTimeouts", "ErrorDrift", "HighErrorRate", "HighLatency", "LatencyDrift", "LogBurst", "Timeouts"}
)
"""Symptoms that callers show because of what they call: the first to be seen is often not the first to fail."""

_FAMILIES = {"MemoryLeak": "memory", "MemorySpike": "memory", "OOMKilled": "memory", "ScaledToZero": "scale"}
_STEMS = {
    "Disk": "disk",
    "Volume": "disk",
    "Ephemeral": "disk",
    "Image": "image",
    "Pending": "scheduling",
    "PodPending": "scheduling",
    "Unschedulable": "scheduling",
    "FailedScheduling": "scheduling",
    "Quota": "scheduling",
    "PodsRefused": "scheduling",
    "FailedMount": "mount",
    "Node": "node",
}


class Rank(IntEnum):
    """How well a type names the fault; the lower the better."""

    STRONG = 0
    """A fault with a name: of the entity itself, and of a kind that others are not."""
    WEAK = 1
    """Of the entity itself, but as often a side of something else that is wrong with it."""
    SYMPTOM = 2
    BESIDE = 3
    """Names no fault at all."""


def family(kind: str) -> str:
    """What a strong type is about: two strong faults of one entity are one only if this is equal. Empty: not strong."""
    if kind in SYMPTOMS:
        return ""
    if kind in _FAMILIES:
        return _FAMILIES[kind]
    return next((name for stem, name in _STEMS.items() if kind.startswith(stem)), "")


def rank(kind: str) -> Rank:
    """See :class:`Rank`; a type nobody has heard of (an alert of somebody's own rules) is weak."""
    if kind in NEVER_ALONE:
        return Rank.BESIDE
    if kind in SYMPTOMS:
        return Rank.SYMPTOM
    return Rank.STRONG if family(kind) else Rank.WEAK
