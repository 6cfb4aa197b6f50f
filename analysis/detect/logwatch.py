"""Bursts of error lines of a kind that was not there before, per workload, from Loki.

Two counting queries a look for the whole cluster; lines are read only of the few workloads that write far more errors
than before. Nothing is said of a workload whose pods have just changed: a new version says new things. A burst never
opens an Incident by itself (``correlate``): it joins what else is wrong, as evidence.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from analysis.contract import Candidate, PodFact, Topology
from analysis.detect.finding import Finding, PodKey, candidate
from analysis.detect.learned import Key
from analysis.detect.watched import GRACE, Watched, take_in
from analysis.logs.mining import mine
from analysis.logs.named import named
from analysis.telemetry.errors import SourceError
from analysis.telemetry.loki import Loki
from analysis.telemetry.query import among, duration, equal, selector
from analysis.words import line, moment
from analysis.workloads import family, pod_matcher
from crds.v1alpha1.base import Severity

logger = logging.getLogger(__name__)

TYPE, RULE = "LogBurst", "log-burst"
ERRORS = r'|~ "(?i)\\b(error|exception|fatal|panic|critical|traceback)\\b"'
LOOK_EVERY = 30.0
RECENT, BEFORE = 60.0, 900.0
"""Seconds that are looked at, and those before them that say what is usual."""
MIN_LINES = 20
FACTOR = 5.0
"""Times the usual number of error lines."""
MIN_NEW = 10
"""Lines of one kind, none of which was there before."""
MAX_READ, MAX_LINES = 5, 300
"""Workloads whose lines are read at a look, and lines on each side."""
MISSES = 2
CONFIDENCE = 60
MAX_CLUSTERS = 8


@dataclass(slots=True)
class Seen:
    """What is known of one cluster."""

    loki: Loki
    watched: Watched = field(default_factory=Watched)
    pods: Mapping[PodKey, PodFact] = field(default_factory=dict)
    on: dict[Key, tuple[Finding, int]] = field(default_factory=dict)
    """Findings with the looks that did not see them."""


class LogWatch:
    """``told`` hears ``looked`` and ``failed``."""

    def __init__(self, loki: Loki, now: Callable[[], float], told: Callable[[str], None] = lambda _: None) -> None:
        self._loki, self._now, self._told = loki, now, told
        self._clusters: dict[str, Seen] = {}

    def note(self, cluster: str, topology: Topology, now: float) -> None:
        """Which pods there are."""
        seen = self._clusters.get(cluster)
        if seen is None:
            if len(self._clusters) >= MAX_CLUSTERS:
                del self._clusters[next(iter(self._clusters))]
            seen = self._clusters[cluster] = Seen(self._loki.of(cluster))
        if seen.watched.digest != topology.digest:
            take_in(seen.watched, topology.pods, now, first=not seen.watched.digest)
            seen.watched.digest = topology.digest
            seen.pods = {(pod.namespace, pod.name): pod for pod in topology.pods}

    def alarms(self, cluster: str) -> tuple[Candidate, ...]:
        """What is on, of workloads that still exist."""
        seen = self._clusters.get(cluster)
        if seen is None:
            return ()
        return tuple(candidate(one, RULE) for key, (one, _) in sorted(seen.on.items()) if key in seen.watched.targets)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            for cluster, seen in list(self._clusters.items()):
                try:
                    await self.look(seen)
                    self._told("looked")
                except SourceError as error:
                    logger.warning("no look at the logs of %r: %s", cluster, error)
                    self._told("failed")
                except Exception:  # a defect here must not end what looks at other clusters
                    logger.exception("looking at the logs of %r failed", cluster)
                    self._told("failed")
            await asyncio.sleep(LOOK_EVERY)

    async def look(self, seen: Seen) -> None:
        """Find what bursts now, and let go what has ended.

        Raises:
            SourceError: the log store does not answer; what is on stays on.
        """
        now, found = self._now(), dict[Key, Finding]()
        namespaces = sorted({namespace for namespace, _ in seen.watched.targets})
        if not namespaces:
            return
        scope = selector("", among("k8s_namespace_name", namespaces))
        recent = await _counted(seen.loki, scope, RECENT, 0.0, now)
        before = await _counted(seen.loki, scope, BEFORE, RECENT, now)
        for key in bursting(recent, before)[:MAX_READ]:
            settled = now - seen.watched.changed.get(key, float("-inf")) > GRACE
            if key in seen.watched.targets and settled and (finding := await _read(key, seen, now)):
                found[key] = finding
        kept = {key: (one, misses + 1) for key, (one, misses) in seen.on.items() if misses + 1 < MISSES}
        seen.on = kept | {key: (one, 0) for key, one in found.items()}


async def _read(key: Key, seen: Seen, now: float) -> Finding | None:
    target = seen.watched.targets[key]
    stream = selector("", equal("k8s_namespace_name", key[0]), pod_matcher(target, "k8s_pod_name"))
    query, since = f"{stream} {ERRORS}", moment(now - RECENT)
    old = await seen.loki.lines(query, moment(now - RECENT - BEFORE), since, MAX_LINES, newest=True)
    new = await seen.loki.lines(query, since, moment(now), MAX_LINES, newest=True)
    kind = new_kind([one.text for one in old], [one.text for one in new])
    if kind is None:
        return None
    text, count, example = kind
    # of the line itself only what it names: the rest may be secret
    names = ", ".join(sorted(named(example, key[0])))
    return Finding(
        type=TYPE,
        target=target,
        firing=True,
        severity=Severity.LOW,
        confidence_percent=CONFIDENCE,
        summary=f"{count} error lines in a minute of a kind that was not there before: {line(text, 160)}",
        onset=min(one.at for one in new) / 1e9,
        seen_at=now,
        pods=tuple(sorted({one.pod for one in new if (key[0], one.pod) in seen.pods})),
        events=(line(text), *((line(f"naming {names}"),) if names else ())),
        count=count,
    )


async def _counted(loki: Loki, scope: str, seconds: float, ago: float, now: float) -> Counter[Key]:
    offset = f" offset {duration(ago)}" if ago else ""
    by = "k8s_namespace_name, k8s_pod_name"
    query = f"sum by ({by}) (count_over_time({scope} {ERRORS} [{duration(seconds)}]{offset}))"
    counts: Counter[Key] = Counter()
    for labels, count in await loki.vector(query, moment(now)):
        counts[labels.get("k8s_namespace_name", ""), family(labels.get("k8s_pod_name", ""))] += round(count)
    return counts


def bursting(recent: Mapping[Key, int], before: Mapping[Key, int]) -> list[Key]:
    """Workloads that write far more error lines than before, the most first."""
    usual = {key: before.get(key, 0) * RECENT / BEFORE for key in recent}
    found = [key for key, count in recent.items() if count >= max(MIN_LINES, FACTOR * usual[key])]
    return sorted(found, key=lambda key: (-recent[key], key))


def new_kind(old: list[str], new: list[str]) -> tuple[str, int, str] | None:
    """The template of which most lines are new, how many, and one of them; None when none is of a new kind."""
    mined = mine([*old, *new])
    known = set(mined.groups[: len(old)])
    counts = Counter(group for group in mined.groups[len(old) :] if group not in known)
    group, count = max(counts.items(), key=lambda one: (one[1], -one[0]), default=(0, 0))
    if count < MIN_NEW:
        return None
    return mined.templates[group], count, new[mined.groups[len(old) :].index(group)]
