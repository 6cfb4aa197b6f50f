"""Hysteresis over evaluations: when a finding becomes a candidate, and when it stops being one.

The state is small and can be rebuilt from the metrics store: a restarted server needs ``min_evaluations`` ticks to say
again what it said before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from analysis.contract import Candidate
from analysis.detect.finding import Evaluation, Finding, Observed, PodKey, candidate
from analysis.detect.rules import Rule, RuleSet
from crds.v1alpha1.base import TargetRef


@dataclass(frozen=True, slots=True)
class Track:
    """One fault as one rule has seen it so far."""

    rule: str
    finding: Finding
    onset: float
    """Earliest onset seen: a sliding window would let it wander."""
    streak: int
    """Consecutive evaluations that met the rule, :data:`SPACING_SECONDS` apart at least."""
    reported: bool
    confirmed_at: float
    """When an evaluation last found it, or could not look."""
    counted_at: float
    """When an evaluation last made the streak longer."""


SPACING_SECONDS = 4.0
"""Between evaluations that count: a look a second after another, as when something else turns bad, sees the same
samples and is no second opinion. Less than the five seconds between two rounds, so that every one of those counts."""
KILLED_HOLD_SECONDS = 300.0
"""How long a leak stays reported after the kill that it led to, while its next life grows towards the same end."""

Key = tuple[str, str]
"""Rule name and fingerprint."""
Tracks = Mapping[Key, Track]


def advance(tracks: Tracks, rules: RuleSet, evaluations: Mapping[str, Evaluation | None], observed: Observed) -> Tracks:
    """The tracks after one evaluation. Those of a rule that could not be evaluated (None) stay, held anew."""
    after: dict[Key, Track] = {}
    for rule in rules.rules:
        before = {key: track for key, track in tracks.items() if key[0] == rule.name}
        evaluation = evaluations.get(rule.name)
        if evaluation is None:
            after.update({key: replace(track, confirmed_at=observed.now) for key, track in before.items()})
            continue
        found = {(rule.name, finding.fingerprint): finding for finding in evaluation.findings}
        for key in sorted(before.keys() | found.keys()):
            track = _step(rule, before.get(key), found.get(key), evaluation, observed)
            if track is not None:
                after[key] = track
    return after


def _step(
    rule: Rule, track: Track | None, finding: Finding | None, evaluation: Evaluation, observed: Observed
) -> Track | None:
    called = bool(track and track.reported) or (finding is not None and finding.fingerprint in observed.held)
    if finding is not None and (finding.firing or called):
        counts = track is None or observed.now - track.counted_at >= SPACING_SECONDS
        streak = (track.streak if track else 0) + counts
        reported = called or streak >= rule.min_evaluations
        onset = min(track.onset, finding.onset) if track else finding.onset
        counted_at = observed.now if track is None or counts else track.counted_at
        return Track(rule.name, finding, onset, streak, reported, observed.now, counted_at)
    if track is None or not track.reported:
        return None  # one evaluation without it and the evidence starts anew
    pods = [(track.finding.target.namespace, pod) for pod in track.finding.pods]
    remaining = [pod for pod in pods if pod in observed.pods]
    if _unseen(track.finding.target, remaining, evaluation, observed):
        # Its data are missing, which is no recovery; the hold time begins when there is something to see again.
        return replace(track, streak=0, confirmed_at=observed.now)
    if track.finding.predicted and _came_true(track, observed):
        return replace(track, streak=0)  # the harm has happened: a new process's low level is not recovery either
    held = observed.now - track.confirmed_at < rule.hold
    return replace(track, streak=0) if held and (remaining or not pods) else None


def _unseen(target: TargetRef, remaining: list[PodKey], evaluation: Evaluation, observed: Observed) -> bool:
    if evaluation.targets is None:
        return any(pod not in evaluation.fresh for pod in remaining)
    exists = target.name in observed.nodes if target.kind == "Node" else bool(remaining)
    return exists and (target.kind, target.namespace, target.name) not in evaluation.targets


def _came_true(track: Track, observed: Observed) -> bool:
    return any(
        signal.type == "OOMKilled"
        and signal.target.namespace == track.finding.target.namespace
        and signal.pod in track.finding.pods
        and max(track.onset, observed.now - KILLED_HOLD_SECONDS) <= signal.at.timestamp()
        for signal in observed.signals
    )


def candidates(tracks: Tracks, rules: RuleSet) -> tuple[Candidate, ...]:
    """Reported faults in a stable order."""
    return tuple(
        candidate(replace(track.finding, onset=track.onset), track.rule, rules.version)
        for _, track in sorted(tracks.items())
        if track.reported
    )
