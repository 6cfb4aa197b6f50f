"""From what is wrong now and the Incidents that exist to the writes that are missing. Pure.

Rules, in order, per candidate (the analysis server has put together what belongs to one fault, the Incidents in hand):

1. An unfinished Incident with its fingerprint: refresh it.
2. A container's end (an OOM kill, a crash loop, a restart) of a target that has an unfinished Incident: one more
   signal of it.
3. An Incident with its fingerprint that ended within the reopen window: refresh it, which reopens it (the incident
   controller sees ``detection.active``). One that a person closed stays closed, however long the fault goes on.
4. One that may yet turn out to be somebody else's fault (``provisional``): wait for the settling time.
5. One of a silenced target opens nothing and reopens nothing; an Incident that is on goes on.
6. Otherwise a new Incident. One that the API server refuses (``refused``) shelters nobody: the ends of its target's
   containers get Incidents of their own, and so does what it shows in other namespaces, one in each.

Per Incident without a candidate: it stays active until the absence has been *observed* for the hold time, which is
longer for one that has come back before. A round in
which a source did not answer observes nothing, so it starts the hold time anew.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from analysis.contract import Candidate, DetectResponse
from controllers.detection.lifecycle import active, deleting, ended, over_already
from controllers.detection.refusals import apart
from controllers.detection.status import ended_at, refreshed
from controllers.runtime.limits import fit
from crds.v1alpha1.base import Severity, TargetRef
from crds.v1alpha1.detection import DetectionStatus
from crds.v1alpha1.incident import DetectedBy, Incident, IncidentSpec

ENDS = frozenset({"OOMKilled", "CrashLoop", "Restarted"})
"""How containers end: of some other fault of their workload as often as of one of its own."""
NOTHING: Mapping[str, datetime] = {}
OF_ROLLOUTS = frozenset({"HighErrorRate", "HighLatency", "Anomaly"})
"""What a rollout may show for a moment without being a fault."""
MAX_DOUBLINGS = 3
"""Of the hold time: with the default it stays below the time in which a good verdict waits for the signals to clear."""
MAX_NAME = 56
"""Names become label values (63) after ``-<n>`` is added."""
SEVERITIES = tuple(Severity)
SHORT = {"MemoryLeak": "leak", "MemorySpike": "spike", "OOMKilled": "oom", "CrashLoop": "crash", "ImagePull": "pull"}
"""Words for names, so that the default columns fit 80; other types are written out in kebab case."""


@dataclass(frozen=True)
class Limits:
    """Times that the rules need. ``heartbeat``: how old ``lastSeenAt`` may get while the fault goes on unchanged."""

    hold: timedelta
    reopen_window: timedelta
    heartbeat: timedelta = timedelta(seconds=20)
    settle: timedelta = timedelta(seconds=15)
    rollout_grace: timedelta = timedelta(seconds=60)


@dataclass(frozen=True)
class NewIncident:
    """To be created, then given its first ``detection`` status."""

    namespace: str
    name: str
    spec: IncidentSpec
    detection: DetectionStatus

    @property
    def key(self) -> str:
        """What a refusal is remembered by."""
        return self.spec.fingerprint


@dataclass(frozen=True)
class Refresh:
    """A new ``status.detection``. ``urgent``: activity, severity or signals changed, not only the time."""

    incident: Incident
    detection: DetectionStatus
    urgent: bool

    @property
    def key(self) -> str:
        """What a refusal is remembered by."""
        return self.incident.metadata.uid


@dataclass(frozen=True)
class Decision:
    """All writes that are missing, most urgent first."""

    create: tuple[NewIncident, ...]
    refresh: tuple[Refresh, ...]
    absent_since: Mapping[str, datetime]
    """By Incident UID, for the next round."""
    settling_since: Mapping[str, datetime] = field(default_factory=dict)
    """By fingerprint of what is seen and not opened yet, for the next round."""
    silenced: tuple[tuple[Candidate, str], ...] = ()
    """What was seen and opens nothing, and why."""


@dataclass(frozen=True)
class Calm:
    """What is expected now: silences by their reason (empty: none), and workloads with a rollout under way."""

    silenced: Callable[[TargetRef], str] = lambda _: ""
    rolling: frozenset[tuple[str, str, str]] = frozenset()
    interrupted: frozenset[str] = frozenset()
    """Namespaces in which a rollout leaves a workload without a ready pod: until it has one, its callers fail."""


def decide(
    response: DetectResponse,
    incidents: Sequence[Incident],
    absent_since: Mapping[str, datetime],
    now: datetime,
    *,
    platform_namespace: str,
    limits: Limits,
    settling_since: Mapping[str, datetime] = NOTHING,
    calm: Calm = Calm(),
    refused: Set[str] = frozenset(),
) -> Decision:
    """``incidents``: all that exist, in whatever state; the two mappings: of the decision before; ``refused``:
    fingerprints of Incidents that the API server does not take.
    """
    response = response.model_copy(update={"candidates": apart(response.candidates, refused)})
    placed = _place(response, incidents, now, platform_namespace, limits, settling_since, calm, refused)
    healthy = all(source.ok or not source.blinds for source in response.sources)
    refresh, absent = [], {}
    for incident in incidents:
        uid = incident.metadata.uid
        candidates = placed.seen.get(uid, [])
        if candidates:
            refresh.append((incident, refreshed(incident.status.detection, candidates)))
        elif active(incident):
            since = absent_since.get(uid, now) if healthy else None
            if since is not None:
                absent[uid] = since
                if now - since >= hold_time(incident, limits):
                    refresh.append(_over(incident))
    missing = [Refresh(*item, urgent=_urgent(*item)) for item in refresh if _differs(*item, limits.heartbeat)]
    missing.sort(key=lambda item: (not item.urgent, -SEVERITIES.index(item.detection.severity)))
    placed.create.sort(key=lambda item: -SEVERITIES.index(item.spec.severity))
    return Decision(tuple(placed.create), tuple(missing), absent, placed.settling, tuple(placed.silenced))


@dataclass
class _Placed:
    """Where each candidate went."""

    seen: dict[str, list[Candidate]] = field(default_factory=dict)
    """By Incident UID."""
    create: list[NewIncident] = field(default_factory=list)
    settling: dict[str, datetime] = field(default_factory=dict)
    silenced: list[tuple[Candidate, str]] = field(default_factory=list)


def _place(
    response: DetectResponse,
    incidents: Sequence[Incident],
    now: datetime,
    platform_namespace: str,
    limits: Limits,
    settling_since: Mapping[str, datetime],
    calm: Calm,
    refused: Set[str],
) -> _Placed:
    placed = _Placed()
    for candidate in sorted(response.candidates, key=lambda item: (item.type in ENDS, item.onset, item.fingerprint)):
        incident = _incident_of(candidate, incidents, now, limits) or _shelter(candidate, incidents, placed.seen)
        why = calm.silenced(candidate.target) if incident is None or over_already(incident) else ""
        if why:
            placed.silenced.append((candidate, why))
        elif incident is not None:
            placed.seen.setdefault(incident.metadata.uid, []).append(candidate)
        elif _sheltered_by_new(candidate, placed.create, refused):
            continue
        elif (since := _settles(candidate, settling_since, now, limits, calm)) is not None:
            placed.settling |= {part.fingerprint: since for part in (candidate, *candidate.signals)}
        else:
            placed.create.append(_new(candidate, response.evaluated_at, platform_namespace))
    return placed


def incident_name(target: TargetRef, kind: str, fingerprint: str, onset: datetime) -> str:
    """``<workload>-<kind>-<5 of fingerprint+onset>``, a valid label value with room for ``-<n>``."""
    digest = hashlib.sha256(f"{fingerprint}@{onset.isoformat()}".encode()).digest()
    suffix = base64.b32encode(digest)[:5].decode().lower()
    slug = SHORT.get(kind) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", kind).lower()
    workload = re.sub(r"[^a-z0-9-]+", "-", target.name.lower()).strip("-") or "x"
    room = MAX_NAME - len(slug) - len(suffix) - 2
    return f"{workload[: max(room, 8)].rstrip('-')}-{slug}-{suffix}"


def _incident_of(candidate: Candidate, incidents: Iterable[Incident], now: datetime, limits: Limits) -> Incident | None:
    same = [item for item in incidents if item.spec.fingerprint == candidate.fingerprint and not deleting(item)]
    for item in same:
        if not ended(item):
            return item
    recent = [item for item in same if active(item) or now - ended_at(item) <= limits.reopen_window]
    return max(recent, key=ended_at, default=None)


def _shelter(
    candidate: Candidate, incidents: Iterable[Incident], seen: Mapping[str, list[Candidate]]
) -> Incident | None:
    if candidate.type not in ENDS:
        return None
    target = _identity(candidate.target)
    open_ones = [item for item in incidents if not ended(item) and not deleting(item)]
    found = [item for item in open_ones if _identity(item.spec.target) == target]
    return max(found, key=lambda item: (item.metadata.uid in seen, item.spec.started_at), default=None)


def _sheltered_by_new(candidate: Candidate, create: Sequence[NewIncident], refused: Set[str]) -> bool:
    """A container's end by a fault that gets its Incident in this very round; the next round merges it."""
    if any(item.spec.fingerprint == candidate.fingerprint for item in create):
        return True
    awaited = {_identity(item.spec.target) for item in create if item.spec.fingerprint not in refused}
    return candidate.type in ENDS and _identity(candidate.target) in awaited


def _settles(
    candidate: Candidate, before: Mapping[str, datetime], now: datetime, limits: Limits, calm: Calm
) -> datetime | None:
    """Since when it has been waited for; None when it has to be opened now."""
    rolling = candidate.type in OF_ROLLOUTS and (
        (candidate.severity is not Severity.CRITICAL and _identity(candidate.target) in calm.rolling)
        or candidate.target.namespace in calm.interrupted
    )
    if not (candidate.provisional or rolling):
        return None
    known = [before[part.fingerprint] for part in (candidate, *candidate.signals) if part.fingerprint in before]
    since = min(known, default=now)
    return since if now - since < (limits.rollout_grace if rolling else limits.settle) else None


def _new(candidate: Candidate, at: datetime, platform_namespace: str) -> NewIncident:
    namespace = candidate.target.namespace or platform_namespace
    spec = IncidentSpec(
        fingerprint=candidate.fingerprint,
        type=candidate.type,
        scope=candidate.scope,
        target=candidate.target,
        started_at=candidate.onset,
        detected_at=at,
        detected_by=DetectedBy(
            rule=fit(DetectedBy, "rule", candidate.rule),
            version=fit(DetectedBy, "version", candidate.rule_version),
            confidence_percent=candidate.confidence_percent,
        ),
        severity=candidate.severity,
        predicted=candidate.predicted,
        summary=fit(IncidentSpec, "summary", candidate.summary),
    )
    name = incident_name(candidate.target, candidate.type, candidate.fingerprint, candidate.onset)
    return NewIncident(namespace, name, spec, refreshed(None, [candidate]))


def hold_time(incident: Incident, limits: Limits) -> timedelta:
    """Doubled with each return: what flaps is one Incident that stays on, not one that ends and reopens."""
    held: timedelta = limits.hold * 2 ** min(incident.status.reopened, MAX_DOUBLINGS)
    return held


def _over(incident: Incident) -> tuple[Incident, DetectionStatus]:
    detection = incident.status.detection or DetectionStatus(
        active=True, last_seen_at=incident.spec.detected_at, severity=incident.spec.severity
    )
    return incident, detection.model_copy(update={"active": False})


def _urgent(incident: Incident, new: DetectionStatus) -> bool:
    old = incident.status.detection
    return old is None or _essence(old) != _essence(new)


def _differs(incident: Incident, new: DetectionStatus, heartbeat: timedelta) -> bool:
    old = incident.status.detection
    return old is None or _urgent(incident, new) or new.last_seen_at - old.last_seen_at >= heartbeat


def _essence(status: DetectionStatus) -> tuple[object, ...]:
    """What is worth a write at once; all else (counts, confidences, times) waits for the heartbeat."""
    signals = {(signal.type, signal.rule, _identity(signal.target)) for signal in status.signals}
    members = {member.fingerprint for member in status.members}
    rest = status.prediction is None, len(status.affected), status.origin is None
    return status.active, status.severity, signals, members, rest


def _identity(target: TargetRef) -> tuple[str, str, str]:
    return target.kind, target.namespace, target.name
