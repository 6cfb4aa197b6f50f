"""Approval: people's decisions about one plan, at one moment, for one live target."""

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

    by: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    verdict: DecisionVerdict
    reason: Text = ""
    plan_digest: Digest


class ApprovalSpec(ApiModel):
    """What is asked. Only ``decisions`` changes, by one entry at a time, by the admission policy."""

    plan_ref: LocalRef
    plan_digest: Digest
    tier: Tier
    summary: Line
    requested_by: Annotated[str, StringConstraints(max_length=253)]
    required_approvals: int = Field(ge=0, le=5)
    """0 for plans that policy lets run by themselves; a reject still stops those before dispatch."""
    expires_at: Time
    decisions: Annotated[list[Decision], Field(max_length=20)] = []

    cel_rules: ClassVar[tuple[tuple[str, str], ...]] = tuple(
        (f"self.{name} == oldSelf.{name}", f"spec.{name} is immutable")
        for name in ("planRef", "planDigest", "tier", "summary", "requestedBy", "requiredApprovals", "expiresAt")
    )


class ApprovalStatus(ApiModel):
    """Written by the approval controller."""

    state: ApprovalState | None = None
    reason: Word | None = None
    message: Text = ""
    approvals: str = Field(default="", max_length=8)
    """Distinct approvers of those required, for example ``1/2``."""
    decided_by: Annotated[str, StringConstraints(max_length=300)] = ""
    decided_at: Time | None = None
    """When the controller saw the deciding entry."""
    grants: Annotated[list[Annotated[str, StringConstraints(max_length=253)]], Field(max_length=4)] = []
    """Names of the Roles that let the executor perform exactly the approved actions, while they exist."""
    observed_generation: int | None = None
    conditions: Annotated[list[Condition], Field(max_length=8)] = []


class Approval(Resource):
    """A request for a decision: ``kubectl annotate approval NAME iirp.io/decision=approve iirp.io/reason=...``."""

    definition: ClassVar[Definition] = Definition(
        kind="Approval",
        plural="approvals",
        short="appr",
        columns=(
            Column(name="State", path=".status.state"),
            Column(name="Plan", path=".spec.planRef.name"),
            Column(name="Have", path=".status.approvals"),
            Column(name="By", path=".status.decidedBy"),
            Column(name="Summary", path=".spec.summary", wide=True),
            Column(name="Expires", path=".spec.expiresAt", wide=True),
            Column(name="Age", path=".metadata.creationTimestamp", type="date"),
        ),
        selectable=(".status.state",),
    )
    spec: ApprovalSpec
    status: ApprovalStatus = ApprovalStatus()
