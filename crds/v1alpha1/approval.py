"""Approval: people's decisions about one plan, at one moment, for one live target."""

# ruff: noqa: RUF012  pydantic copies defaults, and the models are frozen

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from crds.v1alpha1.actionpolicy import Tier
from crds.v1alpha1.base import (
    ApiModel,
    Column,
    Condition,
    Definition,
    Digest,
    Line,
    LocalRef,
    Resource,
    Text,
    Time,
    Username,
    Word,
)

DECISION_ANNOTATION = "iirp.io/decision"
REASON_ANNOTATION = "iirp.io/reason"


class ApprovalState(StrEnum):
    """``Void``: plan or target is no longer what was approved. ``Used``: the executor has taken it up."""

    PENDING = "Pending"
    APPROVED = "Approved"
    REJECTED = "Rejected"
    EXPIRED = "Expired"
    VOID = "Void"
    USED = "Used"


class DecisionVerdict(StrEnum):
    """What a person says; also the value of the annotation ``iirp.io/decision``."""

    APPROVE = "approve"
    REJECT = "reject"


class Decision(ApiModel):
    """One person's word. Appended by the API server's admission policy, never by a client."""

    by: Username
    """Who, as the API server authenticated them."""
    verdict: DecisionVerdict
    reason: Text = ""
    """Why, in their words."""
    plan_digest: Digest
    """What was decided about."""
    group: Annotated[str, StringConstraints(max_length=253)] = ""
    """Group of theirs that policy names among the approvers, as the API server authenticated it; empty: none."""


class ApprovalSpec(ApiModel):
    """What is asked. Only ``decisions`` changes, by one entry at a time, by the admission policy."""

    plan_ref: LocalRef
    """The plan."""
    plan_digest: Digest
    """Over the plan and the live target; any later difference voids the approval."""
    tier: Tier
    """AutoLowRisk or HumanApproval: nothing else can be approved."""
    summary: Line
    """The actions in words."""
    requested_by: Username
    """Who proposed the plan; that one can never approve it."""
    on_behalf_of: Annotated[str, StringConstraints(max_length=253)] = ""
    """For whom it was proposed, if not for themselves; that one can never approve it either."""
    required_approvals: int = Field(ge=0, le=5)
    """0 for plans that policy lets run by themselves; a reject still stops those before dispatch."""
    approvers: Annotated[list[Username], Field(max_length=8)] = []
    """Only these people's approvals count (``group:NAME`` for a group); empty: whoever RBAC lets approve. Anybody with
    that verb may reject."""
    expires_at: Time
    """Decisions after this moment do not count."""
    decisions: Annotated[list[Decision], Field(max_length=20)] = []
    """Who said what, in order. The API server appends, nobody edits."""

    cel_rules: ClassVar[tuple[tuple[str, str], ...]] = (
        ("self.tier in ['AutoLowRisk', 'HumanApproval']", "tier must be AutoLowRisk or HumanApproval"),
        (
            "self.requiredApprovals > 0 || self.tier == 'AutoLowRisk'",
            "requiredApprovals must be at least 1 when tier is HumanApproval",
        ),
        *(
            (f"self.{name} == oldSelf.{name}", f"spec.{name} is immutable")
            for name in ("planRef", "planDigest", "tier", "summary", "requestedBy", "requiredApprovals", "expiresAt")
        ),
        *(
            (
                f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})",
                f"spec.{name} is immutable",
            )
            for name in ("approvers", "onBehalfOf")
        ),
    )


class ApprovalStatus(ApiModel):
    """Written by the approval controller."""

    state: ApprovalState | None = None
    """Where the approval stands; ``message`` says why."""
    reason: Word | None = None
    """CamelCase word for programs."""
    message: Text = ""
    """The same for people."""
    approvals: str = Field(default="", max_length=8)
    """Distinct approvers of those required, for example ``1/2``."""
    decided_by: Annotated[str, StringConstraints(max_length=300)] = ""
    """Usernames of those whose decisions count."""
    decided_at: Time | None = None
    """When the controller saw the deciding entry."""
    grants: Annotated[list[Annotated[str, StringConstraints(max_length=253)]], Field(max_length=4)] = []
    """Names of the Roles that let the executor perform exactly the approved actions, while they exist."""
    observed_generation: int | None = None
    """Generation of the spec that this status speaks of."""
    conditions: Annotated[list[Condition], Field(max_length=8)] = []
    """Approved, Expired, Void, Used, and why."""


class Approval(Resource):
    """A request for a decision: ``kubectl annotate approval NAME iirp.io/decision=approve iirp.io/reason=...``."""

    definition: ClassVar[Definition] = Definition(
        kind="Approval",
        plural="approvals",
        short="appr",
        columns=(
            Column(name="State", path=".status.state"),
            Column(name="Have", path=".status.approvals"),
            Column(name="By", path=".status.decidedBy"),
            Column(name="Plan", path=".spec.planRef.name", wide=True),
            Column(name="Summary", path=".spec.summary", wide=True),
            Column(name="Expires", path=".spec.expiresAt", wide=True),
            Column(name="Age", path=".metadata.creationTimestamp", type="date"),
        ),
        selectable=(".status.state",),
    )
    spec: ApprovalSpec
    status: ApprovalStatus = ApprovalStatus()
