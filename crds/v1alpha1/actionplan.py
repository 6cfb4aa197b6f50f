"""ActionPlan: typed actions proposed for one incident, the decision about them, and what came of them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from crds.v1alpha1.actionpolicy import Tier
from crds.v1alpha1.actions import Action
from crds.v1alpha1.base import (
    ApiModel,
    Column,
    Condition,
    Definition,
    Digest,
    Line,
    LocalRef,
    Measure,
    Percent,
    Query,
    Resource,
    Text,
    Time,
    Window,
    Word,
)
from crds.v1alpha1.incident import Verdict


class PlanState(StrEnum):
    """Short word for people, computed by the policy controller from the three sub-objects and the approval."""

    PROPOSED = "Proposed"
    DENIED = "Denied"
    AWAITING_APPROVAL = "AwaitingApproval"
    APPROVED = "Approved"
    EXECUTING = "Executing"
    EXECUTED = "Executed"
    VERIFIED = "Verified"
    INEFFECTIVE = "Ineffective"
    INCONCLUSIVE = "Inconclusive"
    FAILED = "Failed"
    EXPIRED = "Expired"
    SUPERSEDED = "Superseded"


class ActionPlanSpec(ApiModel):
    """What is proposed. Immutable: a change is a new plan that supersedes this one, and approvals start anew."""

    incident_ref: LocalRef
    report_ref: LocalRef | None = None
    supersedes: LocalRef | None = None
    requested_by: Annotated[str, StringConstraints(max_length=253)]
    """Username of who proposed it; that one can never approve it."""
    cause_kind: Word
    cause: Line = ""
    confidence_percent: Percent
    actions: Annotated[list[Action], Field(min_length=1, max_length=4)]
    summary: Line
    """The actions in words."""
    expected_impact: Line = ""
    rollback: Line = ""
    """How to undo it."""

    cel_rules: ClassVar[tuple[tuple[str, str], ...]] = (
        ("self == oldSelf", "spec is immutable: create a new ActionPlan with spec.supersedes"),
        (
            "self.actions.all(a, self.actions.exists_one(b, b.id == a.id))",
            "every action needs an id of its own",
        ),
    )


class RuleResult(ApiModel):
    """One policy rule's word on this plan."""

    policy: Annotated[str, StringConstraints(max_length=253)]
    rule: Annotated[str, StringConstraints(max_length=128)]
    tier: Tier
    message: Line


class PolicyDecision(ApiModel):
    """Written by the policy controller, once per plan."""

    tier: Tier
    reason: Word
    message: Text
    rules: Annotated[list[RuleResult], Field(max_length=16)] = []
    plan_digest: Digest
    """Over the plan's spec and UID, the target's UID and the part of the live target that the actions would change."""
    required_approvals: int = Field(ge=0, le=5)
    approval_ref: LocalRef | None = None
    decided_at: Time
    expires_at: Time


class ActionPhase(StrEnum):
    """How far an action has come. ``Unknown`` is settled by looking, never by repeating."""

    INTENT = "Intent"
    WRITTEN = "Written"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    REFUSED = "Refused"


class ActionResult(ApiModel):
    """What one action did."""

    id: Annotated[str, StringConstraints(max_length=20)]
    action_id: Annotated[str, StringConstraints(max_length=64)]
    """Value that every write of this action carries: derived from the plan's UID and the action's id."""
    phase: ActionPhase
    reason: Word
    message: Text = ""
    started_at: Time
    finished_at: Time | None = None
    before: Line = ""
    after: Line = ""


class ExecutionStatus(ApiModel):
    """Written by the execution controller."""

    phase: ActionPhase
    reason: Word
    message: Text = ""
    actions: Annotated[list[ActionResult], Field(max_length=4)] = []
    started_at: Time
    finished_at: Time | None = None


class Measurement(ApiModel):
    """A quantity before and after the action, beside the untouched control."""

    name: Annotated[str, StringConstraints(max_length=64)]
    query: Query
    unit: Annotated[str, StringConstraints(max_length=32)]
    before: Measure
    after: Measure
    control_before: Measure | None = None
    control_after: Measure | None = None


class VerificationStatus(ApiModel):
    """Written by the feedback controller."""

    verdict: Verdict | None = None
    """Unset while the measurement runs."""
    reason: Word
    message: Text = ""
    window: Window
    measurements: Annotated[list[Measurement], Field(max_length=8)] = []
    completed_at: Time | None = None


class ActionPlanStatus(ApiModel):
    """``execution`` is written by the executor, ``verification`` by feedback, the rest by the policy controller."""

    state: PlanState | None = None
    tier: Tier | None = None
    action: Line = ""
    observed_generation: int | None = None
    conditions: Annotated[list[Condition], Field(max_length=16)] = []
    decision: PolicyDecision | None = None
    execution: ExecutionStatus | None = None
    verification: VerificationStatus | None = None


class ActionPlan(Resource):
    """Typed actions for one incident: who may decide, what was decided, what was done, whether it helped."""

    definition: ClassVar[Definition] = Definition(
        kind="ActionPlan",
        plural="actionplans",
        short="aplan",
        columns=(
            Column(name="State", path=".status.state"),
            Column(name="Tier", path=".status.tier"),
            Column(name="Action", path=".spec.summary"),
            Column(name="Verdict", path=".status.verification.verdict", wide=True),
            Column(name="Requester", path=".spec.requestedBy", wide=True),
            Column(name="Age", path=".metadata.creationTimestamp", type="date"),
        ),
        selectable=(".status.state", ".status.tier"),
    )
    spec: ActionPlanSpec
    status: ActionPlanStatus = ActionPlanStatus()
