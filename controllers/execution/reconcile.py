"""Carries out one plan, step by step; each step is decided anew from what the API server says at that moment."""

from __future__ import annotations

import logging
from datetime import datetime

from controllers.execution import admission
from controllers.execution.admission import AdmissionNotEnforced
from controllers.execution.decide import (
    Begin,
    Nothing,
    Record,
    Wait,
    Write,
    decide,
)
from controllers.execution.gather import may_concern_us, observe
from controllers.execution.record import never_begun, refused, written
from controllers.execution.writes import MANAGER, Order, send
from controllers.kube.errors import Conflict, Forbidden, Invalid, NotFound
from controllers.runtime.controller import Context
from controllers.runtime.errors import Waiting
from controllers.runtime.outcome import Done, Key, Outcome, Requeue
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actions import Action
from crds.v1alpha1.execution import ActionPhase, ExecutionStatus

log = logging.getLogger(__name__)

MAX_STEPS = 32
"""More than four actions can need; a defect that loops ends in a requeue instead of a busy worker."""
TOLD = frozenset({"EmergencyStop", "NotOptedIn", "RefusedByAdmission", "TargetBusy"})
"""Waits that a person may have to end, so they become events."""


class ExecutionReconciler:
    """One ActionPlan: begin, write, watch, record."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._kube = context.kube

    def reconcile(self, key: Key) -> Outcome:
        """Level-based: after a crash anywhere the next run finds out by looking how far the last one came.

        Raises:
            Waiting: an approved plan cannot go on now; the reason says why.
            Terminal: the admission policies are not in force, so nothing is written.
        """
        for _ in range(MAX_STEPS):
            plan = self._kube.find(ActionPlan, key.namespace, key.name)
            if plan is None or not may_concern_us(plan):
                return Done()
            now = self._context.now().replace(microsecond=0)
            observed = observe(self._context, plan)
            step = decide(observed, now)
            if not isinstance(step, Nothing | Wait):
                # Before anything is written, so that no write is without its reasons (S8).
                self._context.audit.record("execution.decide", plan, {"observed": observed}, step, now)
            if isinstance(step, Nothing):
                return Done()
            if isinstance(step, Wait):
                return self._wait(plan, step)
            try:
                self._take(plan, step, now)
            except Conflict:
                # The plan is not what this step was decided on: somebody wrote to it, another executor perhaps, whose
                # later word must not be replaced by our earlier one. Look again.
                continue
        return Requeue(1.0)

    def _take(self, plan: ActionPlan, step: Record | Begin | Write, now: datetime) -> None:
        match step:
            case Record(status=status):
                self._record(plan, status)
            case Begin(status=status):
                self._begin(plan, status, now)
            case Write():
                self._write(plan, step, now)

    def _wait(self, plan: ActionPlan, step: Wait) -> Outcome:
        if step.reason == "RollingOut":
            return Requeue(step.delay)
        self._tell_waiting(plan, step.reason, step.message)
        raise Waiting(step.reason, step.delay, step.message)

    def _tell_waiting(self, plan: ActionPlan, reason: str, message: str) -> None:
        if reason in TOLD:
            self._context.events.emit(plan, "Warning", f"Execution{reason}", message)

    def _record(self, plan: ActionPlan, status: ExecutionStatus) -> None:
        self._kube.apply_status(plan, {"execution": status.to_wire()}, manager=MANAGER, exact=True)
        before = plan.status.execution
        if before is None or before.phase is not status.phase:
            bad = status.phase in (ActionPhase.FAILED, ActionPhase.REFUSED)
            note = f"{plan.spec.summary}: {status.message or status.reason}"
            self._context.events.emit(plan, "Warning" if bad else "Normal", f"Execution{status.phase.value}", note)
        log.info("execution %s", status.phase.value, extra={"plan": plan.metadata.name, "reason": status.reason})

    def _begin(self, plan: ActionPlan, status: ExecutionStatus, now: datetime) -> None:
        """The last questions before the intent: are the policies in force, and would each write be let through?"""
        namespace = plan.metadata.namespace
        try:
            self._check_admission(plan, plan.spec.actions[0])
            for action, result in zip(plan.spec.actions, status.actions, strict=True):
                send(self._kube, self._order(action, namespace, result.action_id, now), dry_run=True)
        except (NotFound, Conflict):
            # The target went, or another took its name, between our look and the dry run: look again.
            return
        except Forbidden as error:
            waiting = admission.waiting_for(error, namespace)
            self._tell_waiting(plan, waiting.reason, waiting.message)
            raise waiting from error
        except Invalid as error:
            self._record(plan, never_begun("DryRunRejected", error.message, now))
            return
        self._record(plan, status)

    def _write(self, plan: ActionPlan, step: Write, now: datetime) -> None:
        """Write once. An answer that got lost is settled at the next look, by the id on the target."""
        execution = plan.status.execution
        if execution is None:
            raise ValueError("a write without a recorded intent")
        try:
            self._check_admission(plan, step.action)
            result, live = step.result, step.live
            order = self._order(step.action, plan.metadata.namespace, result.action_id, result.started_at)
            send(self._kube, order, uid=live.uid, resource_version=live.resource_version)
        except (NotFound, Conflict):
            # The target changed between our look and the write (often only its status): look again.
            return
        except Forbidden as error:
            waiting = admission.waiting_for(error, plan.metadata.namespace)
            self._tell_waiting(plan, waiting.reason, waiting.message)
            raise waiting from error
        except Invalid as error:
            self._record(plan, refused(execution, step.result, "WriteRejected", error.message, now))
            return
        self._record(plan, written(execution, step.result, self._context.now().replace(microsecond=0)))

    def _order(self, action: Action, namespace: str, action_id: str, started_at: datetime) -> Order:
        return Order(action, namespace, action_id, started_at, self._context.settings.namespace)

    def _check_admission(self, plan: ActionPlan, action: Action) -> None:
        try:
            admission.check_objects(self._kube)
            ungranted = self._order(action, plan.metadata.namespace, admission.UNGRANTED, admission.EPOCH)
            admission.check_effect(self._kube, ungranted)
        except Waiting as error:
            self._tell_waiting(plan, error.reason, error.message)
            raise
        except AdmissionNotEnforced as error:
            self._context.events.emit(plan, "Warning", error.reason, error.message)
            raise
