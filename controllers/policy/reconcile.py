"""Gathers what a decision rests on, decides once, asks for the approval, and keeps state and conditions true."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from controllers.arbitration.decide import MAX_WRITERS
from controllers.kube.errors import AlreadyExists
from controllers.policy.decide import STRICTNESS, Observed, Ruling, decide, tier_now
from controllers.policy.gather import observe
from controllers.policy.state import PlanView, plan_view
from controllers.runtime.controller import Context
from controllers.runtime.errors import Waiting
from controllers.runtime.names import field_manager
from controllers.runtime.outcome import Done, Key, Outcome, Requeue
from crds.v1alpha1.actionplan import ActionPlan, ActionPlanStatus, FieldWriter, PlanState, PolicyDecision
from crds.v1alpha1.actionpolicy import Tier
from crds.v1alpha1.approval import Approval, ApprovalSpec, ApprovalState
from crds.v1alpha1.clip import clip
from crds.v1alpha1.conditions import merge
from crds.v1alpha1.digest import plan_digest
from crds.v1alpha1.incident import Incident
from crds.v1alpha1.labels import INCIDENT_LABEL
from crds.v1alpha1.quorum import asks_more

MANAGER = field_manager("policy")
RECHECK = 10.0
"""Seconds between looks at an open plan: a stricter policy or a newer plan ends it."""
OPEN = frozenset({None, ApprovalState.PENDING, ApprovalState.APPROVED})
TOLD = frozenset({PlanState.DENIED, PlanState.EXPIRED, PlanState.SUPERSEDED})
"""States that become events here; the executor and feedback tell of the others themselves."""


class PlanReconciler:
    """One ActionPlan: decision, approval, state."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._kube = context.kube

    def reconcile(self, key: Key) -> Outcome:
        """Level-based: a second run on the same objects writes nothing."""
        plan = self._kube.find(ActionPlan, key.namespace, key.name)
        if plan is None or plan.metadata.deletion_timestamp is not None:
            return Done()
        now = self._context.now()
        others = tuple(
            other for other in self._kube.list_all(ActionPlan, key.namespace) if other.metadata.uid != plan.metadata.uid
        )
        newer = next((other.metadata.name for other in others if other.supersedes(plan)), "")
        incident = self._incident(plan)
        approval = self._approval(plan)
        decision = plan.status.decision
        if decision is None and not newer:
            decision = self._decide(plan, others, incident, now)
        elif decision is not None and _may_still_run(plan, approval):
            decision = self._tighten(plan, decision, others, incident, now)
        plan = self._write(plan, decision, approval, newer, now)
        if decision is not None and decision.tier is not Tier.FORBIDDEN and not newer and decision.approval_ref is None:
            approval = self._ask(plan, decision, incident)
            decision = decision.model_copy(update={"approval_ref": approval.ref()})
            plan = self._write(plan, decision, approval, newer, now)
        return Requeue(RECHECK) if _may_still_run(plan, approval) else Done()

    def _incident(self, plan: ActionPlan) -> Incident | None:
        incident = self._kube.find(Incident, plan.metadata.namespace, plan.spec.incident_ref.name)
        return incident if incident is not None and incident.metadata.uid == plan.spec.incident_ref.uid else None

    def _approval(self, plan: ActionPlan) -> Approval | None:
        approval = self._kube.find(Approval, plan.metadata.namespace, plan.metadata.name)
        return approval if approval is not None and approval.spec.plan_ref.uid == plan.metadata.uid else None

    def _decide(
        self, plan: ActionPlan, others: tuple[ActionPlan, ...], incident: Incident | None, now: datetime
    ) -> PolicyDecision:
        observed, live = observe(self._context, plan, others, incident, now)
        ruling = decide(observed, now)
        self._context.audit.record("policy.decide", plan, {"observed": observed}, ruling, now)
        return PolicyDecision(
            tier=ruling.tier,
            reason=ruling.reason,
            message=clip(PolicyDecision, "message", ruling.message),
            rules=list(ruling.rules),
            plan_digest=plan_digest(plan, live),
            required_approvals=ruling.required_approvals,
            approvers=list(ruling.approvers),
            workload_class=ruling.workload_class,
            one_at_a_time=ruling.one_at_a_time,
            writers=_writers(observed),
            decided_at=now,
            expires_at=now + ruling.expires_after,
        )

    def _tighten(
        self,
        plan: ActionPlan,
        decision: PolicyDecision,
        others: tuple[ActionPlan, ...],
        incident: Incident | None,
        now: datetime,
    ) -> PolicyDecision:
        """A policy that became stricter, or a freeze that began, also holds for what was decided before and has not
        started (S10)."""
        observed, _ = observe(self._context, plan, others, incident, now)
        ruling: Ruling = tier_now(observed, now)
        decision = decision.model_copy(update={"writers": _writers(observed)})
        if not _stricter(ruling, decision):
            return decision
        self._context.audit.record("policy.tier_now", plan, {"observed": observed}, ruling, now)
        update: dict[str, Any] = {
            "tier": ruling.tier,
            "reason": "PolicyTightened",
            "message": clip(PolicyDecision, "message", f"was {decision.tier.value}; now {ruling.message}"),
            "rules": list(ruling.rules),
            "required_approvals": max(decision.required_approvals, ruling.required_approvals),
            "approvers": list(ruling.approvers or decision.approvers),
            "one_at_a_time": decision.one_at_a_time or ruling.one_at_a_time,
        }
        return decision.model_copy(update=update)

    def _ask(self, plan: ActionPlan, decision: PolicyDecision, incident: Incident | None) -> Approval:
        """Create the Approval from the recorded decision, or find the one that a crash left without a reference."""
        if incident is None:
            raise Waiting("IncidentGone", 10.0, f"incident {plan.spec.incident_ref.name} is gone")
        spec = ApprovalSpec(
            plan_ref=plan.ref(),
            plan_digest=decision.plan_digest,
            tier=decision.tier,
            summary=plan.spec.summary,
            requested_by=plan.spec.requested_by,
            on_behalf_of=plan.spec.on_behalf_of,
            required_approvals=decision.required_approvals,
            approvers=decision.approvers,
            expires_at=decision.expires_at,
        )
        namespace, name = plan.metadata.namespace, plan.metadata.name
        try:
            approval = self._kube.create(
                Approval,
                namespace,
                name,
                spec,
                manager=MANAGER,
                labels={INCIDENT_LABEL: plan.spec.incident_ref.name},
                owner=incident,
            )
        except AlreadyExists:
            existing = self._approval(plan)
            if existing is None:
                # Left by an earlier plan of the same name; it cannot become ours, since its digest is another plan's.
                message = f"approval {name} belongs to another plan; delete it"
                raise Waiting("ApprovalNameTaken", 10.0, message) from None
            return existing
        note = f"{decision.message}; asked by approval {name} until {decision.expires_at:%H:%M:%SZ}"
        self._context.events.emit(plan, "Normal", decision.reason, note)
        return approval

    def _write(
        self, plan: ActionPlan, decision: PolicyDecision | None, approval: Approval | None, newer: str, now: datetime
    ) -> ActionPlan:
        view = plan_view(plan, decision, approval, newer)
        status = _status(plan, decision, view, now)
        if status == _status_as_is(plan):
            return plan
        before = plan.status.state
        written = self._kube.apply_status(plan, status, manager=MANAGER)
        if view.state is not before and view.state in TOLD and plan.status.execution is None:
            decided, approved, *_ = view.conditions
            why = decided if view.state is PlanState.DENIED and approval is None else approved
            note = f"{plan.spec.summary}: {why.message or why.reason}"
            self._context.events.emit(plan, "Warning", f"Plan{view.state.value}", note)
        return written


def _may_still_run(plan: ActionPlan, approval: Approval | None) -> bool:
    decision = plan.status.decision
    open_approval = approval is None or approval.status.state in OPEN
    undenied = decision is not None and decision.tier is not Tier.FORBIDDEN
    return undenied and open_approval and plan.status.execution is None


def _stricter(ruling: Ruling, decision: PolicyDecision) -> bool:
    if ruling.tier is not decision.tier:
        return STRICTNESS[ruling.tier] > STRICTNESS[decision.tier]
    return asks_more(ruling, decision) or (ruling.one_at_a_time and not decision.one_at_a_time)


def _writers(observed: Observed) -> list[FieldWriter]:
    """Of all actions in the plan's order, as many as the status holds."""
    found = [writer for action in observed.plan.spec.actions for writer in observed.writers.get(action.id, ())]
    return found[:MAX_WRITERS]


def _status(plan: ActionPlan, decision: PolicyDecision | None, view: PlanView, now: datetime) -> dict[str, Any]:
    """All that this field manager owns."""
    conditions = merge(plan.status.conditions, view.conditions, now, plan.metadata.generation)
    status: dict[str, Any] = {
        "state": view.state.value,
        "action": _action_words(plan),
        "observedGeneration": plan.metadata.generation,
        "conditions": [condition.to_wire() for condition in conditions],
    }
    if decision is not None:
        status |= {"tier": decision.tier.value, "decision": decision.to_wire()}
    return status


def _status_as_is(plan: ActionPlan) -> dict[str, Any]:
    owned: Iterable[str] = ("state", "action", "observedGeneration", "conditions", "tier", "decision")
    wire = plan.status.to_wire()
    return {key: wire[key] for key in owned if key in wire}


def _action_words(plan: ActionPlan) -> str:
    return clip(ActionPlanStatus, "action", "; ".join(action.describe() for action in plan.spec.actions))
