"""Runs what is learned beside the server: trains in the background, looks at each new step, keeps what is on.

The one impure file of the learned detectors. Nothing here can hold up ``/v1/detect``: it is told what is watched and
asked what is on, both without waiting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator

import numpy as np

from analysis.contract import Candidate, DetectRequest, SourceHealth, Topology
from analysis.detect import learned, shifts
from analysis.detect.baseline import LEARNING
from analysis.detect.finding import candidate
from analysis.detect.learned import Deviation, Judgement, Key, Model
from analysis.detect.learned_words import finding, shift_finding
from analysis.detect.reading import read
from analysis.detect.registry import Registry
from analysis.detect.series import Learning
from analysis.detect.shifts import Shift
from analysis.detect.training import Here, History, Trainer
from analysis.detect.watched import GRACE, Watched, excluded, extend, kept, take_in
from analysis.telemetry.errors import SourceError
from analysis.telemetry.prometheus import Prometheus
from analysis.windows.block import Bool, Float64

logger = logging.getLogger(__name__)

RULE, SHIFT_RULE = "learned-baseline", "level-shift"
TICK = 5.0
SETTLE = 30.0
"""Seconds after a step's end until its samples are read: late ones are there then."""
LOOK_BACK = 25 * 3600.0
RETRY = 60.0
EARLY = 3600.0
"""Seconds between trainings while workloads are learning, or the model does not fit any more."""
UNFIT = 0.2
"""Share of the last day's samples that are off, from which a model does not fit any more."""
MAX_CLUSTERS = 8


class Learner:
    """``told`` hears ``trained``, ``judged``, ``failed``, ``unfit``, ``shifted`` and ``relearned``."""

    def __init__(
        self,
        learning: Learning,
        prometheus: Prometheus,
        registry: Registry | None,
        now: Callable[[], float],
        trainer: Trainer | None = None,
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.learning = learning
        self._prometheus, self._registry, self._now = prometheus, registry, now
        self._trainer, self._told = trainer or Here(), told
        self._clusters: dict[str, Watched] = {}
        self._least = {one.name: (one.min_share, one.min_change) for one in learning.series}

    # --- from /v1/detect --------------------------------------------------------------------------------------------

    def note(self, request: DetectRequest, topology: Topology, now: float) -> None:
        """What is watched, and which incidents are on."""
        watched = self._clusters.get(request.cluster)
        if watched is None:
            if len(self._clusters) >= MAX_CLUSTERS:
                del self._clusters[next(iter(self._clusters))]
            watched = self._clusters[request.cluster] = self._restored(request.cluster)
        if watched.digest != topology.digest:
            take_in(watched, topology.pods, now, first=not watched.digest)
            watched.digest = topology.digest
        for incident in request.incidents:
            about = (incident.target, incident.origin) if incident.active else ()
            for target in about:
                if target is not None:
                    key = (target.namespace, target.name)
                    extend(watched.windows, key, incident.started_at.timestamp(), now)

    def alarms(self, cluster: str, now: float) -> tuple[Candidate, ...]:
        """What is on, of workloads that still exist and, but for shifts of level, have not just been changed."""
        watched = self._clusters.get(cluster)
        if watched is None:
            return ()
        return (*self._deviations(watched, now), *self._shifts(watched))

    def _deviations(self, watched: Watched, now: float) -> Iterator[Candidate]:
        return (
            candidate(finding(self.learning, one, watched.targets[key], watched.pods[key]), RULE, watched.version)
            for key, (one, _) in sorted(watched.on.items())
            if key in watched.targets and now - watched.changed.get(key, float("-inf")) > GRACE
        )

    def _shifts(self, watched: Watched) -> Iterator[Candidate]:
        by_workload: dict[Key, dict[str, Shift]] = {}
        for (key, name), one in sorted(watched.shifted.items()):
            by_workload.setdefault(key, {})[name] = one
        until = watched.levels.until if watched.levels is not None else 0.0
        return (
            candidate(
                shift_finding(self.learning, here, watched.targets[key], watched.pods[key], until),
                SHIFT_RULE,
                watched.version,
            )
            for key, here in by_workload.items()
            if key in watched.targets
        )

    def health(self, cluster: str) -> SourceHealth:
        """How far the learning is. Never not ok: nobody's recovery depends on it."""
        watched = self._clusters.get(cluster)
        return SourceHealth(name="baselines", address="", ok=True, message=self._progress(watched))

    def _progress(self, watched: Watched | None) -> str:
        if watched is None or watched.model is None:
            hours = LEARNING * self.learning.step / 3600
            return f"learning: nothing is known yet; a workload needs {hours:.0f} h of history"
        known = set(watched.model.keys)
        judged = watched.judgement
        young = (watched.targets.keys() - known) | (judged.learning if judged is not None else set())
        words = [f"version {watched.version}"]
        if young:
            words.append(f"learning {len(young)} of {len(watched.targets)} workloads")
        if judged is not None and judged.common:
            words.append("common shift: " + "; ".join(judged.common))
        if watched.common_shifts:
            words.append("common shift of level: " + "; ".join(watched.common_shifts))
        if watched.shifted:
            words.append(f"{len(watched.shifted)} series at another level")
        if watched.onsets:
            words.append(f"{len(watched.onsets)} series learned from their shift of level on")
        if self._trainer.problem:
            words.append(self._trainer.problem)
        return ", ".join(words)[:300]

    # --- beside it --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            for cluster, watched in list(self._clusters.items()):
                try:
                    await self.step(cluster, watched)
                except Exception:  # a defect here must not end the learning of other clusters
                    logger.exception("learning of %r failed", cluster)
                    watched.next_try = self._now() + RETRY
                    self._told("failed")
            await asyncio.sleep(TICK)

    async def step(self, cluster: str, watched: Watched) -> None:
        """What is due now: a training, or a look at the newest step."""
        now = self._now()
        if now < watched.next_try or not watched.targets:
            return
        until = (now - SETTLE) // self.learning.step * self.learning.step
        try:
            if self._training_due(watched, now):
                await self._learn(cluster, watched, until)
                watched.trained_at = now
            elif watched.model is not None and until > watched.seen_until:
                await self._look(cluster, watched, watched.model, until)
        except SourceError as error:
            logger.warning("learning waits for its source: %s", error)
            watched.next_try = now + RETRY
            self._told("failed")

    def _training_due(self, watched: Watched, now: float) -> bool:
        age = now - watched.trained_at
        if watched.model is None or age >= self.learning.retrain:
            return age >= min(EARLY, self.learning.retrain)
        judged = watched.judgement
        wanting = bool(watched.targets.keys() - set(watched.model.keys))
        wanting |= judged is not None and (bool(judged.learning) or judged.outside > UNFIT)
        wanting |= watched.outdated
        return wanting and age >= EARLY

    async def _learn(self, cluster: str, watched: Watched, until: float) -> None:
        keys = tuple(sorted(watched.targets))
        start = until - self.learning.history
        times, values = await read(self._prometheus.of(cluster), self.learning, keys, start, until)
        exclude = excluded(watched.windows, keys, times)
        watched.levels = None
        watched.onsets = {place: since for place, since in watched.onsets.items() if since > start}
        await self._follow(watched, keys, times, values, exclude)
        values = {
            name: np.where(shifts.outdated(watched.onsets, keys, name, times), np.nan, one)
            for name, one in values.items()
        }
        watched.model = await self._trainer.train(History(times, values, keys, exclude))
        watched.seen_until, watched.scores, watched.outdated = until, {}, False
        if self._registry is not None:
            try:
                watched.version = await asyncio.to_thread(self._registry.save, cluster, watched.model)
                self._registry.save_windows(cluster, watched.windows)
                self._registry.save_onsets(cluster, watched.onsets)
            except OSError as error:
                logger.warning("the model is not kept on disk: %s", error)
        watched.version = watched.version or str(round(until))
        self._told("trained")

    async def _look(self, cluster: str, watched: Watched, model: Model, until: float) -> None:
        prometheus = self._prometheus.of(cluster)
        times, values = await read(prometheus, self.learning, model.keys, until - LOOK_BACK, until)
        fresh = times > watched.seen_until
        taught = excluded(watched.windows, model.keys, times)
        new = {name: np.where(taught, np.nan, one)[:, fresh] for name, one in values.items()}
        scores = await asyncio.to_thread(learned.advance, model, times[fresh], new)
        watched.scores = {
            name: np.concatenate([watched.scores.get(name, one[:, :0]), one], axis=1)[:, -learned.LASTING :]
            for name, one in scores.items()
        }
        judged = await asyncio.to_thread(learned.judge, model, times, values, watched.scores, self._least)
        watched.judgement, watched.seen_until = judged, until
        watched.on = kept(watched.on, self._wanted(judged))
        self._told("unfit" if judged.outside > UNFIT else "judged")
        await self._follow(watched, model.keys, times, values, taught)

    async def _follow(
        self, watched: Watched, keys: tuple[Key, ...], times: Float64, values: dict[str, Float64], exclude: Bool
    ) -> None:
        """Take the newest hours in and see what has shifted; what has settled is to be learned anew from its onset."""
        clean = {name: np.where(exclude, np.nan, one) for name, one in values.items()}
        levels = shifts.joined(watched.levels, await asyncio.to_thread(shifts.hourly, times, clean))
        before, watched.levels = watched.levels, levels
        if before is not None and before.until >= levels.until:
            return
        judged = await asyncio.to_thread(shifts.shifts, levels, keys, self._least, watched.onsets)
        on = shifts.still(watched.shifted, judged)
        onsets = shifts.settled(on, judged.found, levels.until)
        for _ in on.keys() - watched.shifted.keys():
            self._told("shifted")
        for _ in onsets:
            self._told("relearned")
        watched.shifted = {place: one for place, one in on.items() if place not in onsets}
        watched.common_shifts = judged.common
        watched.onsets |= onsets
        watched.outdated |= bool(onsets)

    def _wanted(self, judged: Judgement) -> dict[Key, Deviation]:
        """A deviation speaks when it may stand alone, or when two series are off together."""
        alone = {one.name: one.alone for one in self.learning.series if one.alone is not None}
        sides = {name: 1 if one.side == "high" else -1 for name, one in alone.items()}
        return {
            one.key: one
            for one in judged.deviations
            if len(one.series) >= 2 or any(sides.get(name) == one.side[name] for name in one.series)
        }

    def _restored(self, cluster: str) -> Watched:
        watched = Watched()
        if self._registry is not None:
            watched.windows = self._registry.load_windows(cluster)
            watched.onsets = self._registry.load_onsets(cluster)
            watched.model = self._registry.load(cluster)
        if watched.model is not None:
            watched.seen_until = watched.trained_at = watched.model.trained_until
            watched.version = f"{round(watched.model.trained_until):012d}"
        return watched
