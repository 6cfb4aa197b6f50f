"""One RCAReport: gather, ask once, write. A report that has an answer is never asked again."""

from __future__ import annotations

import logging
from typing import Any

from analysis.contract import IncidentFacts, RcaRequest
from controllers.kube.events import NORMAL, WARNING
from controllers.rca.decide import FINISHED, answered, failed, started, waiting
from controllers.rca.facts import gather
from controllers.runtime.analysis import Analysis, AnalysisRefused
from controllers.runtime.controller import Context
from controllers.runtime.errors import ReconcileError, Retryable
from controllers.runtime.logs import current_incident
from controllers.runtime.names import field_manager
from controllers.runtime.outcome import Done, Key, Outcome
from crds.v1alpha1.incident import Incident
from crds.v1alpha1.rcareport import RCAReport, ReportState

log = logging.getLogger(__name__)

MANAGER = field_manager("rca")


class RcaReconciler:
    """Stateless: everything it knows is in the objects."""

    def __init__(self, context: Context, analysis: Analysis) -> None:
        self._context = context
        self._analysis = analysis

    def reconcile(self, key: Key) -> Outcome:
        """Raises what the ports raise, after saying so in the report's status."""
        kube = self._context.kube
        report = kube.find(RCAReport, key.namespace, key.name)
        if report is None or report.metadata.deletion_timestamp is not None or report.status.state in FINISHED:
            return Done()
        incident = kube.find(Incident, key.namespace, report.spec.incident_ref.name)
        if incident is None or incident.metadata.uid != report.spec.incident_ref.uid:
            return Done()  # its incident is gone; the garbage collector takes the report along
        current_incident.set(incident.metadata.name)
        if report.status.state is None:
            report = kube.apply_status(report, started(report, self._context.now()), manager=MANAGER)
        try:
            status = self._ask(report, incident)
        except AnalysisRefused as error:
            status = failed(report, error.reason, error.message, self._context.now())
        except Retryable as error:
            self._say_waiting(report, error)
            raise
        done = kube.apply_status(report, status, manager=MANAGER)
        self._tell(done)
        return Done()

    def _ask(self, report: RCAReport, incident: Incident) -> dict[str, Any]:
        facts = gather(self._context.kube, incident.spec.target, report.spec.window)
        detection = incident.status.detection
        request = RcaRequest(
            cluster=self._context.settings.cluster_name,
            incident=IncidentFacts(
                name=incident.metadata.name,
                namespace=incident.metadata.namespace,
                uid=incident.metadata.uid,
                fingerprint=incident.spec.fingerprint,
                type=incident.spec.type,
                scope=incident.spec.scope,
                target=incident.spec.target,
                severity=incident.status.severity or incident.spec.severity,
                started_at=incident.spec.started_at,
                detected_at=incident.spec.detected_at,
                prediction=detection.prediction if detection is not None else None,
                signals=tuple(sorted({one.type for one in detection.signals})) if detection is not None else (),
                origin=detection.origin if detection is not None else None,
            ),
            window=report.spec.window,
            changes=facts.changes,
            unread=tuple(sorted(facts.unread)),
            events=facts.events,
            neighbour_events=facts.neighbour_events,
            pods=facts.pods,
            replicas=facts.replicas,
            workloads=facts.workloads,
            services=facts.services,
            nodes=facts.nodes,
        )
        response = self._analysis.rca(request)
        return answered(report, response, facts.missing, self._context.now())

    def _say_waiting(self, report: RCAReport, error: Retryable) -> None:
        """Best effort: if the API server is what does not answer, there is nowhere to write."""
        status = waiting(report, error.reason, error.message, self._context.now())
        if status == report.status.to_wire():
            return
        try:
            self._context.kube.apply_status(report, status, manager=MANAGER)
        except ReconcileError as second:
            log.warning("status not written: %s", second)
        self._context.events.emit(report, WARNING, error.reason, error.message, action="Analyse")

    def _tell(self, report: RCAReport) -> None:
        status = report.status
        bad = status.state in (ReportState.UNRESOLVED, ReportState.FAILED)
        confidence = f" ({status.confidence_percent} %)" if status.confidence_percent is not None else ""
        text = (
            f"{status.cause}{confidence}" if status.cause else "; ".join(item.message for item in status.conditions[:1])
        )
        reason = status.state.value if status.state is not None else "Complete"
        self._context.events.emit(report, WARNING if bad else NORMAL, reason, text, action="Analyse")
        log.info("report %s: %s", reason, text)
