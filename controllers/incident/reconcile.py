"""Gathers one incident's chain, decides, creates what is missing, writes the status when it differs."""

from __future__ import annotations

import logging

from controllers.incident.chain import Chain, chain_of
from controllers.incident.decide import Decision, NewReport, decide
from controllers.incident.keep import Keeper
from controllers.kube.errors import AlreadyExists
from controllers.kube.events import NORMAL, WARNING
from controllers.runtime.budget import Budget
from controllers.runtime.controller import Context
from controllers.runtime.errors import Retryable
from controllers.runtime.logs import current_incident
from controllers.runtime.names import field_manager, service_account
from controllers.runtime.outcome import Done, Key, Outcome, Requeue
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.approval import Approval
from crds.v1alpha1.incident import Incident
from crds.v1alpha1.labels import INCIDENT_LABEL
from crds.v1alpha1.rcareport import RCAReport

log = logging.getLogger(__name__)

MANAGER = field_manager("incident")


class IncidentReconciler:
    """Everything it knows is in the objects, but for how much it has written in this minute."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._budget = Budget(context.settings.incident_writes_per_minute)
        self._keeper = Keeper(context.analysis, context.settings.cluster_name, context.now)
        self._requested_by = service_account(context.settings.namespace, "incident")

    def reconcile(self, key: Key) -> Outcome:
        """One look at one Incident; replaying it changes nothing."""
        incident = self._context.kube.find(Incident, key.namespace, key.name)
        if incident is None or incident.metadata.deletion_timestamp is not None:
            return Done()
        current_incident.set(incident.metadata.name)
        chain = self._gather(incident)
        outcome = self._write(incident, decide(chain, self._context.now(), self._requested_by))
        self._keeper.keep(chain)  # last: the history may be slow, and nothing waits for it
        return outcome

    def _write(self, incident: Incident, decision: Decision) -> Outcome:
        if decision.create is not None:
            self._budget.spend(self._context.now())  # the chain goes on, however much is told
            self._create(incident, decision)
        telling = len(decision.notes) + decision.changed
        if telling and not self._budget.take(self._context.now(), telling):
            self._context.metrics.write_deferred()
            return Requeue(max(self._budget.wait(self._context.now()).total_seconds(), 1.0))
        for note in decision.notes:
            kind = WARNING if note.warning else NORMAL
            self._context.events.emit(incident, kind, note.reason, note.text, once=note.once)
        if decision.changed:
            self._context.kube.apply_status(incident, decision.status, manager=MANAGER)
            if decision.state is not incident.status.state:
                before = incident.status.state.value if incident.status.state is not None else "new"
                log.info("state %s -> %s", before, decision.state.value)
        return Requeue(decision.look_again.total_seconds()) if decision.look_again is not None else Done()

    def _gather(self, incident: Incident) -> Chain:
        kube, namespace = self._context.kube, incident.metadata.namespace
        label = f"{INCIDENT_LABEL}={incident.metadata.name}"
        return chain_of(
            incident,
            kube.list_all(RCAReport, namespace, labels=label),
            kube.list_all(ActionPlan, namespace),  # a person's plan need not carry our label
            kube.list_all(Approval, namespace),
        )

    def _create(self, incident: Incident, decision: Decision) -> None:
        new = decision.create
        if new is None:
            return
        kind: type[RCAReport] | type[ActionPlan] = RCAReport if isinstance(new, NewReport) else ActionPlan
        labels = {INCIDENT_LABEL: incident.metadata.name}
        try:
            self._context.kube.create(
                kind, incident.metadata.namespace, new.name, new.spec, manager=MANAGER, labels=labels, owner=incident
            )
        except AlreadyExists as error:
            # Of ours it would have been listed: it belongs to a deleted incident of the same name, or is a person's.
            raise Retryable(
                "NameTaken", f"{kind.definition.kind} {new.name} exists and is not this incident's"
            ) from error
        log.info("created %s %s", kind.definition.kind, new.name)
