"""Asks until there is a verdict, and writes what is known meanwhile."""

from __future__ import annotations

from datetime import datetime, timedelta

from controllers.feedback.decide import Ask, Conclude, Nothing, Timing, answered, decide, unanswered
from controllers.feedback.observed import Look, TargetState, observe
from controllers.feedback.targets import state_of
from controllers.kube.errors import Forbidden, NotFound
from controllers.kube.resources import DAEMONSETS, DEPLOYMENTS, STATEFULSETS, ResourceType
from controllers.runtime.analysis import Analysis
from controllers.runtime.controller import Context
from controllers.runtime.errors import Retryable, Terminal
from controllers.runtime.names import field_manager
from controllers.runtime.outcome import Done, Key, Outcome, Requeue
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.base import TargetRef
from crds.v1alpha1.incident import Incident
from crds.v1alpha1.verification import Verdict, VerificationStatus

MANAGER = field_manager("feedback")
RESOURCES: dict[str, ResourceType] = {"Deployment": DEPLOYMENTS, "StatefulSet": STATEFULSETS, "DaemonSet": DAEMONSETS}


class FeedbackReconciler:
    """One executed ActionPlan: verdict and measurements.

    Raises:
        Terminal: no analysis server is configured.
    """

    def __init__(self, context: Context) -> None:
        if context.analysis is None:
            raise Terminal("NotConfigured", "set IIRP_ANALYSIS_URL to the gateway of the external side")
        self._analysis: Analysis = context.analysis
        self._context = context
        settings = context.settings
        self._interval = settings.verification_interval
        self._timing = Timing(
            window=timedelta(seconds=settings.verification_window), grace=timedelta(seconds=settings.verification_grace)
        )

    def reconcile(self, key: Key) -> Outcome:
        """Level-based; the window is in the status, so a restart loses nothing."""
        plan = self._context.kube.find(ActionPlan, key.namespace, key.name)
        if plan is None or plan.metadata.deletion_timestamp is not None:
            return Done()
        incident = self._context.kube.find(Incident, key.namespace, plan.spec.incident_ref.name)
        if incident is None or incident.metadata.uid != plan.spec.incident_ref.uid:
            return Done()
        now = self._context.now().replace(microsecond=0)
        step = decide(plan, incident, self._timing, now)
        match step:
            case Nothing():
                return Done()
            case Conclude(status=status):
                self._context.audit.record("feedback.concluded", plan, {"plan": plan}, status, now)
                self._write(plan, status)
                return Done()
            case Ask():
                status = self._ask(plan, step, now)
            case Look():
                status = self._look(plan, incident, step, now)
        self._write(plan, status)
        return Done() if status.verdict is not None else Requeue(self._interval)

    def _look(self, plan: ActionPlan, incident: Incident, look: Look, now: datetime) -> VerificationStatus:
        """An API server that does not answer is asked again by the queue; what may not be read is a reason."""
        states = [self._state(target, look.since) for target in look.targets]
        status = observe(plan, incident, look, states, now)
        if status.verdict is not None:
            inputs = {"plan": plan, "incident": incident, "look": look, "states": states}
            self._context.audit.record("feedback.observed", plan, inputs, status, now)
        return status

    def _state(self, target: TargetRef, since: datetime) -> TargetState:
        try:
            body = self._context.kube.get_raw(RESOURCES[target.kind], target.namespace, target.name)
        except NotFound:
            return TargetState(target, complete=False, words=f"{target.short()} is gone")
        except Forbidden as error:
            return TargetState(target, complete=None, words=f"{target.short()} may not be read: {error.message}")
        return state_of(target, body, since)

    def _ask(self, plan: ActionPlan, step: Ask, now: datetime) -> VerificationStatus:
        """An unreachable or refusing server is a reason in the status; asking goes on until the grace is over."""
        request = step.request.model_copy(update={"cluster": self._context.settings.cluster_name})
        try:
            answer = self._analysis.verify(request)
        except (Retryable, Terminal) as error:
            self._context.metrics.failed(error.reason)
            status = unanswered(plan, step, error.reason, error.message, now)
            if status.verdict is not None:
                inputs = {"plan": plan, "step": step, "reason": error.reason, "message": error.message}
                self._context.audit.record("feedback.unanswered", plan, inputs, status, now)
            return status
        status = answered(step, answer, now)
        if status.verdict is not None:
            self._context.audit.record("feedback.answered", plan, {"step": step, "answer": answer}, status, now)
        return status

    def _write(self, plan: ActionPlan, status: VerificationStatus) -> None:
        if status == plan.status.verification:
            return
        self._context.kube.apply_status(plan, {"verification": status.to_wire()}, manager=MANAGER)
        before = plan.status.verification
        if status.verdict is not None:
            kind = "Normal" if status.verdict in (Verdict.EFFECTIVE, Verdict.RECOVERED_ANYWAY) else "Warning"
            self._context.events.emit(plan, kind, f"Verified{status.verdict.value}", status.message or status.reason)
        elif before is None:
            note = f"measuring until {status.window.end:%H:%M:%SZ}"
            self._context.events.emit(plan, "Normal", "Verifying", note)
