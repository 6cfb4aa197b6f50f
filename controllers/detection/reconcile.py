"""One round: gather pods and signals, ask the analysis server, decide, write at most what the budget allows."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from analysis.contract import (
    ApiSignal,
    DetectRequest,
    DetectResponse,
    SharedChange,
    SourceHealth,
    Topology,
    TopologyChange,
)
from controllers.detection.alarm import Alarm, next_look
from controllers.detection.changes import ConfigWrites, shared_changes
from controllers.detection.decide import Calm, Decision, Limits, NewIncident, Refresh, decide, hold_time
from controllers.detection.inventory import Cluster, Inventory
from controllers.detection.lifecycle import active, held
from controllers.detection.refusals import Refusals
from controllers.detection.signals import api_signals, newest
from controllers.detection.silence import read_windows, silences
from controllers.detection.states import Memory, state_signals
from controllers.detection.topology import Owners, PodStore, topology_digest
from controllers.detection.upload import Look, Upload
from controllers.detection.warnings import Surroundings, Warnings
from controllers.kube.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound
from controllers.kube.events import NORMAL, WARNING
from controllers.runtime.analysis import Analysis, TopologyUnknown
from controllers.runtime.budget import Budget
from controllers.runtime.controller import Context
from controllers.runtime.errors import ReconcileError, Terminal
from controllers.runtime.names import field_manager
from controllers.runtime.outcome import Key, Outcome, Requeue
from crds.v1alpha1.base import TargetRef
from crds.v1alpha1.detection import DetectionStatus
from crds.v1alpha1.incident import Incident
from crds.v1alpha1.labels import FINGERPRINT_LABEL

log = logging.getLogger(__name__)

MANAGER = field_manager("detection")
TICK = Key("", "round")
NEW, CHANGED = 3, 2
"""Writes of a new Incident (object, status, event) and of one that changes (status, perhaps an event)."""
HEARTBEATS = 3
"""At most one write in three is a heartbeat: with many Incidents on, each has it less often."""


class Detection:
    """State kept between rounds is what only time can show: absences, and the health of sources as last logged."""

    def __init__(self, context: Context, analysis: Analysis) -> None:
        settings = context.settings
        self._context = context
        self._analysis = analysis
        self._spaces: tuple[str | None, ...] = settings.namespaces or (None,)
        self._limits = Limits(timedelta(seconds=settings.hold), timedelta(seconds=settings.reopen_window))
        self._budget = Budget(settings.detection_writes_per_minute)
        self._owners = Owners(context.kube)
        self._absent_since: dict[str, datetime] = {}
        self._settling_since: dict[str, datetime] = {}
        self._upload = Upload(self._owners.workload)
        self._blind: str = ""
        self._refusals = Refusals()
        self._states: Sequence[ApiSignal] = ()
        self.alarm = Alarm()
        self.pods = PodStore(context.now, self.alarm)
        self.inventory = Inventory(context.now, self.alarm)
        self.warnings = Warnings(context.now)
        self._config_writes = ConfigWrites(context.kube, context.now)
        self._memory = Memory()
        self._complaints: set[str] = set()
        self._told: set[str] = set()
        self._silenced: set[str] = set()
        try:
            self._windows = read_windows(settings.maintenance_windows)
        except ValueError as error:
            raise Terminal("BadMaintenanceWindows", f"IIRP_MAINTENANCE_WINDOWS: {error}") from error

    def reconcile(self, _: Key) -> Outcome:
        """One round. Raises what the ports raise; the queue retries with backoff."""
        try:
            self._round()
        finally:
            self.alarm.round_ended()
        return Requeue(next_look(self._states, self._context.now(), self._context.settings.detect_interval))

    def _round(self) -> None:
        incidents = [item for space in self._spaces for item in self._context.kube.list_all(Incident, space)]
        try:
            response = self._ask(incidents)
        except ReconcileError as error:
            self._absent_since.clear()  # nothing was observed: every hold time starts anew
            self._show_blindness(f"{error.reason}: {error.message}")
            raise
        self._report_sources(response.sources)
        ending = self.inventory.ending()
        incidents = [item for item in incidents if item.metadata.namespace not in ending]
        decision = decide(
            self._visible(response, ending),
            incidents,
            self._absent_since,
            self._context.now(),
            platform_namespace=self._context.settings.namespace,
            limits=self._paced(incidents),
            settling_since=self._settling_since,
            calm=self._calm(),
            refused=self._refusals.known(),
        )
        self._absent_since = dict(decision.absent_since)
        self._settling_since = dict(decision.settling_since)
        self._tell_silenced(decision)
        self._write(decision)

    def _calm(self) -> Calm:
        cluster, now = self.inventory.cluster(), self._context.now()
        found = silences(cluster, self.inventory.namespaces.snapshot(), self._windows, now)
        for text in set(found.refused) - self._told:
            log.warning("silence ignored: %s", text)
        self._told = set(found.refused)
        rolling = [one for one in cluster.workloads if one.rolling_out]
        interrupted = frozenset(one.namespace for one in rolling if one.desired and not one.ready)
        return Calm(found.of, frozenset((one.kind, one.namespace, one.name) for one in rolling), interrupted)

    def _tell_silenced(self, decision: Decision) -> None:
        """Silence hides nothing from the log and the metrics: what would have been opened is said once, and counted."""
        self._context.metrics.faults_silenced(len(decision.silenced))
        for candidate, why in decision.silenced:
            if candidate.fingerprint not in self._silenced:
                target = f"{candidate.target.namespace}/{candidate.target.short()}"
                log.info("no incident: %s", why, extra={"type": candidate.type, "target": target})
        self._silenced = {candidate.fingerprint for candidate, _ in decision.silenced}

    def _paced(self, incidents: Sequence[Incident]) -> Limits:
        on = sum(item.status.detection is not None and item.status.detection.active for item in incidents)
        pace = timedelta(minutes=1) * (on * HEARTBEATS / self._context.settings.detection_writes_per_minute)
        return replace(self._limits, heartbeat=max(self._limits.heartbeat, pace))

    def _ask(self, incidents: Sequence[Incident]) -> DetectResponse:
        if self.pods.relist(self._context.kube, self._spaces):
            self._owners.preload(self._spaces)
        self.inventory.relist(self._context.kube, self._spaces)
        now, failing = self._context.now(), [one.spec.target for one in incidents if active(one)]
        pods, workload, cluster = self.pods.snapshot(), self._owners.workload, self.inventory.cluster()
        digest = topology_digest(pods, workload, cluster)
        look = Look(pods, cluster, digest, now)
        part = self._upload.part(look)
        self._memory.remember(incidents)
        around = Surroundings({(pod.namespace, pod.name): pod for pod in pods}, workload, self._owners.of_replica_set)
        self._states = state_signals(cluster, self._memory, now)
        states = [*self._states, *self.warnings.signals(around)]
        request = DetectRequest(
            cluster=self._context.settings.cluster_name,
            topology_digest=digest,
            topology=part if isinstance(part, Topology) else None,
            change=part if isinstance(part, TopologyChange) else None,
            signals=newest([*api_signals(pods, workload, now), *states]),
            incidents=held(incidents, now, self._limits.reopen_window),
            changes=self._changes(cluster, failing),
        )
        response = self._detect(request, look)
        changes = self._changes(cluster, [*failing, *(one.target for one in response.candidates)])
        if changes == request.changes:
            return response
        # something fails where nothing did before: what was changed there decides whether it is one fault or several
        return self._detect(request.model_copy(update={"topology": None, "change": None, "changes": changes}), look)

    def _detect(self, request: DetectRequest, look: Look) -> DetectResponse:
        try:
            response = self._analysis.detect(request)
        except TopologyUnknown:
            whole = request.model_copy(update={"topology": self._upload.whole(look), "change": None})
            response = self._analysis.detect(whole)
        self._upload.accepted(look)
        return response

    def _changes(self, cluster: Cluster, failing: Iterable[TargetRef]) -> tuple[SharedChange, ...]:
        writes = self._config_writes.among(cluster.workloads, {target.namespace for target in failing})
        return shared_changes(cluster.workloads, writes, self._context.now())

    def _visible(self, response: DetectResponse, ending: frozenset[str]) -> DetectResponse:
        """Only faults whose Incident can be had, and seen afterwards: else each round would open another one."""
        watched, home = self._context.settings.namespaces, self._context.settings.namespace
        spaces = [item.target.namespace or home for item in response.candidates]
        seen = tuple(
            item
            for item, space in zip(response.candidates, spaces, strict=True)
            if space not in ending and (not watched or space in watched)
        )
        if len(seen) < len(response.candidates):
            log.debug("%d faults outside the watched namespaces left out", len(response.candidates) - len(seen))
        return response.model_copy(update={"candidates": seen})

    def _write(self, decision: Decision) -> None:
        now = self._context.now()
        steps: list[NewIncident | Refresh] = [*decision.create, *decision.refresh]
        self._refusals.keep(step.key for step in steps)
        steps = [step for step in steps if not self._refusals.waits(step.key, now)]
        for number, step in enumerate(steps):
            cost = NEW if isinstance(step, NewIncident) else CHANGED if step.urgent else 1
            if not self._budget.take(now, cost):
                for _ in steps[number:]:
                    self._context.metrics.write_deferred()
                log.warning("write budget spent; %d writes put off to the next round", len(steps) - number)
                return
            try:
                self._create(step) if isinstance(step, NewIncident) else self._refresh(step.incident, step.detection)
            except (AlreadyExists, NotFound, Conflict) as error:
                log.info("changed under us, looked at again next round: %s", error)
            except (Forbidden, Invalid) as error:
                # A quota takes no more of them, or a defect of ours spoils one: the others do not wait.
                self._refusals.note(step.key, now)
                self._context.metrics.failed(error.reason)
                log.warning("not written, tried again later: %s", error)

    def _create(self, new: NewIncident) -> None:
        incident = self._context.kube.create(
            Incident,
            new.namespace,
            new.name,
            new.spec,
            manager=MANAGER,
            labels={FINGERPRINT_LABEL: new.spec.fingerprint},
        )
        log.info("incident opened", extra={"incident": new.name, "type": new.spec.type, "summary": new.spec.summary})
        self._context.events.emit(
            incident, WARNING, "Detected", f"{new.spec.type}: {new.spec.summary}", action="Detect"
        )
        self._refresh(incident, new.detection)

    def _refresh(self, incident: Incident, detection: DetectionStatus) -> None:
        before = incident.status.detection
        self._context.kube.apply_status(incident, {"detection": detection.to_wire()}, manager=MANAGER)
        if before is not None and before.active != detection.active:
            reason, note = (
                ("SignalsSeen", "the fault is seen again")
                if detection.active
                else ("SignalsGone", self._gone(incident))
            )
            log.info(note, extra={"incident": incident.metadata.name})
            moment = detection.last_seen_at.isoformat()
            self._context.events.emit(incident, NORMAL, reason, note, action="Detect", once=moment)

    def _gone(self, incident: Incident) -> str:
        held = hold_time(incident, self._limits).total_seconds()
        return f"the fault has not been seen for {held:.0f} s, with all sources answering"

    def _report_sources(self, sources: Iterable[SourceHealth]) -> None:
        """Said once per change, and counted each time."""
        bad, complaints = [], set()
        for source in sources:
            self._context.metrics.source_up(source.name, up=source.ok)
            if not source.ok and not source.blinds:
                complaints.add(f"{source.name}: {source.message}")
            elif not source.ok:
                bad.append(f"{source.name} at {source.address}: {source.message}")
        for text in sorted(complaints - self._complaints):
            log.warning("%s", text)
        self._complaints = complaints
        self._show_blindness("; ".join(sorted(bad)))

    def _show_blindness(self, text: str) -> None:
        """Say it once per change, in the log and on every Incident that is on: it cannot end while we are blind."""
        if bool(text) == bool(self._blind):
            self._blind = text
            return
        self._blind = text
        log.log(logging.WARNING if text else logging.INFO, text or "all sources answer again")
        try:
            incidents = [item for space in self._spaces for item in self._context.kube.list_all(Incident, space)]
        except ReconcileError as error:
            log.warning("incidents not told: %s", error)
            return
        once = self._context.now().isoformat()
        for incident in incidents:
            if incident.status.detection is not None and incident.status.detection.active:
                if text:
                    note = f"cannot see whether the fault goes on: {text}"
                    self._context.events.emit(incident, WARNING, "DetectionBlind", note, action="Detect", once=once)
                else:
                    note = "all sources answer again"
                    self._context.events.emit(incident, NORMAL, "DetectionRestored", note, action="Detect", once=once)
