"""Counts, decides, and keeps the executor's grants equal to what the approval says at this moment."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from controllers.approval import grants
from controllers.approval.decide import FINAL, Observed, Ruling, decide, grant_ids
from controllers.kube.errors import Forbidden
from controllers.kube.targets import read_target
from controllers.runtime.controller import Context
from controllers.runtime.names import field_manager
from controllers.runtime.outcome import Done, Key, Outcome, Requeue
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.approval import Approval, ApprovalState, ApprovalStatus
from crds.v1alpha1.clip import clip
from crds.v1alpha1.conditions import Wanted, merge
from crds.v1alpha1.digest import plan_digest
from crds.v1alpha1.incident import Incident, IncidentState

MANAGER = field_manager("approval")
RECHECK = 10.0
"""Seconds between looks at an open approval: no event of ours tells that a target changed."""
GRANT_RECHECK = 1.0
"""While a grant is made that takes effect only after a moment."""
ENDED = frozenset({IncidentState.RESOLVED, IncidentState.RECOVERED, IncidentState.CLOSED})


class ApprovalReconciler:
    """One Approval: state, grants."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._kube = context.kube
        self._platform = context.settings.namespace

    def reconcile(self, key: Key) -> Outcome:
        """Level-based; grants are settled before the status says so: a status never promises what is not there."""
        approval = self._kube.find(Approval, key.namespace, key.name)
        if approval is None:
            grants.remove_all(self._kube, key.namespace, key.name)
            return Done()
        if approval.metadata.deletion_timestamp is not None:
            return Done()
        observed, bodies = self._observe(approval)
        now = self._context.now()
        ruling = decide(observed, now)
        if ruling.state is not approval.status.state:
            self._context.audit.record("approval.decide", approval, {"observed": observed}, ruling, now)
        names, pending, refusal = self._settle(approval, observed.plan, ruling, bodies, now)
        self._write(approval, ruling, names, refusal, now)
        return Requeue(GRANT_RECHECK) if pending else _next(ruling, approval, now)

    def _observe(self, approval: Approval) -> tuple[Observed, grants.Bodies]:
        """What the decision rests on, and the live targets by the actions' ids."""
        namespace, name = approval.metadata.namespace, approval.spec.plan_ref.name
        plan = self._kube.find(ActionPlan, namespace, name)
        if approval.status.state in FINAL or plan is None:
            return Observed(approval, plan, None, self._platform), {}
        bodies = self._read(plan)
        # Read again, after the target: see the docstring of decide.
        plan = self._kube.find(ActionPlan, namespace, name)
        if plan is None:
            return Observed(approval, None, None, self._platform), {}
        incident = self._kube.find(Incident, namespace, plan.spec.incident_ref.name)
        observed = Observed(
            approval=approval,
            plan=plan,
            live_digest=plan_digest(plan, bodies) if bodies is not None else None,
            platform_namespace=self._platform,
            superseded_by=self._superseded_by(plan),
            incident_ended=incident is None or incident.status.state in ENDED,
        )
        return observed, bodies or {}

    def _read(self, plan: ActionPlan) -> grants.Bodies | None:
        """None: we may not read them."""
        try:
            return {
                a.id: read_target(self._kube, plan.metadata.namespace, a, self._platform) for a in plan.spec.actions
            }
        except Forbidden:
            return None

    def _superseded_by(self, plan: ActionPlan) -> str:
        others = self._kube.list_all(ActionPlan, plan.metadata.namespace)
        return next((other.metadata.name for other in others if other.supersedes(plan)), "")

    def _settle(
        self, approval: Approval, plan: ActionPlan | None, ruling: Ruling, bodies: grants.Bodies, now: datetime
    ) -> tuple[list[str], list[str], str]:
        """Names of the grants in effect afterwards and of those that will be, and why they could not be made."""
        ids = grant_ids(plan, ruling) if plan is not None else {}
        actions = {ids[a.id]: a for a in plan.spec.actions if a.id in ids} if plan is not None else {}
        wanted = grants.desired(approval, actions, bodies, self._platform)
        try:
            pending = grants.settle(self._kube, approval, wanted, now)
        except Forbidden as error:
            return [], [], error.message
        return sorted(set(wanted) - set(pending)), pending, ""

    def _write(self, approval: Approval, ruling: Ruling, names: list[str], refusal: str, now: datetime) -> None:
        status = _status(approval, ruling, names, refusal, now)
        if status == approval.status:
            return
        wire: dict[str, Any] = status.to_wire()
        self._kube.apply_status(approval, wire, manager=MANAGER)
        if ruling.state is not approval.status.state:
            kind = "Normal" if ruling.state not in FINAL else "Warning"
            self._context.events.emit(approval, kind, f"Approval{ruling.state.value}", ruling.message)
        if refusal:
            self._context.events.emit(approval, "Warning", "GrantRefused", refusal)


_APPROVED = {ApprovalState.PENDING: None, ApprovalState.APPROVED: True, ApprovalState.USED: True}


def _status(approval: Approval, ruling: Ruling, names: list[str], refusal: str, now: datetime) -> ApprovalStatus:
    before = approval.status
    decided = ruling.state is not ApprovalState.PENDING
    decided_by = _decided_by(ruling)
    return ApprovalStatus(
        state=ruling.state,
        reason=ruling.reason,
        message=clip(ApprovalStatus, "message", ruling.message),
        approvals=ruling.quorum.counted(),
        decided_by=clip(ApprovalStatus, "decided_by", decided_by),
        decided_at=(before.decided_at or now) if decided and decided_by else None,
        grants=names,
        observed_generation=approval.metadata.generation,
        conditions=merge(before.conditions, _conditions(ruling, names, refusal), now, approval.metadata.generation),
    )


def _decided_by(ruling: Ruling) -> str:
    if ruling.quorum.rejected:
        return ", ".join(ruling.quorum.rejecters)
    if ruling.quorum.reached:
        return ", ".join(ruling.quorum.approvers) or "policy"
    return ""


def _conditions(ruling: Ruling, names: list[str], refusal: str) -> list[Wanted]:
    conditions = [Wanted("Approved", _APPROVED.get(ruling.state, False), ruling.reason, ruling.message)]
    if refusal:
        conditions.append(Wanted("Granted", False, "GrantRefused", refusal))
    elif names:
        conditions.append(Wanted("Granted", True, "Granted", "the executor may perform exactly these actions"))
    else:
        conditions.append(Wanted("Granted", False, "NotGranted", "the executor may perform nothing by this approval"))
    return conditions


def _next(ruling: Ruling, approval: Approval, now: datetime) -> Outcome:
    if ruling.state in FINAL or (ruling.state is ApprovalState.USED and not ruling.granted):
        return Done()
    left = (approval.spec.expires_at - now).total_seconds()
    return Requeue(max(0.2, min(RECHECK, left)))
