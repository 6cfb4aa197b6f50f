"""ActionPlan: typed actions proposed for one incident, the decision about them, and what came of them."""

# ruff: noqa: RUF012  pydantic copies defaults, and the models are frozen

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
    Percent,
    Resource,
    Text,
    Time,
    Username,
    Word,
)
from crds.v1alpha1.execution import ExecutionStatus
from crds.v1alpha1.verification import VerificationStatus


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
    """The incident that it is to end."""
    report_ref: LocalRef | None = None
    """The RCAReport that recommended it."""
    supersedes: LocalRef | None = None
    """The plan that it replaces."""
    undoes: LocalRef | None = None
    """The plan whose rollout stalled, and what it changed is taken back by this one."""
    requested_by: Username
    """Username of who proposed it; that one can never approve it."""
    on_behalf_of: Annotated[str, StringConstraints(max_length=253)] = ""
    """Username for whom the MCP server proposed it, which alone may say so; that one can never approve it either."""
    cause_kind: Word
    """Cause kind that the actions address, for policy rules."""
    cause: Line = ""
    """The cause in one line."""
    confidence_percent: Percent
    """Confidence of the cause, 0..100."""
    actions: Annotated[list[Action], Field(min_length=1, max_length=4)]
    """Carried out one after the other; the first failure ends the plan."""
    summary: Line
    """The actions in words."""
    expected_impact: Line = ""
    """What it will do to users while it runs."""
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
    """Name of the ActionPolicy."""
    rule: Annotated[str, StringConstraints(max_length=128)]
    """Name of the rule in it."""
    tier: Tier
    """What this rule alone says."""
    message: Line
    """Why."""
    matched: bool = True
    """False: the rule names the namespace, and ``message`` says what else kept it from having a say."""


class WriteMode(StrEnum):
    """What it takes for a change of a field to last."""

    IMPERATIVE = "imperative"
    """Just write it."""
    NEEDS_PAUSE = "needs-pause"
    """A controller keeps setting the field; it has to be paused, or its own bounds changed."""
    NEEDS_PULL_REQUEST = "needs-pull-request"
    """Git says what the field is; the change has to be committed there."""


class FieldWriter(ApiModel):
    """Who else writes a field that an action changes, and what that means for the change."""

    action: Annotated[str, StringConstraints(max_length=20)]
    """The action's id in ``spec.actions``."""
    field: Annotated[str, StringConstraints(max_length=128)]
    """Path of the field, for example spec.replicas."""
    mode: WriteMode
    """What it takes for the change to last."""
    writer: Annotated[str, StringConstraints(max_length=253)] = ""
    """Who writes it, for example HorizontalPodAutoscaler payments; empty: nobody else."""
    reason: Word
    """CamelCase word for programs."""
    message: Line = ""
    """The same for people, with what to do instead where the change would not last."""
    certain: bool = True
    """False: something could not be read, ``message`` says what; a person decides then, nothing is guessed."""

    @property
    def blocks(self) -> bool:
        """The change would be undone, and that is known."""
        return self.certain and self.mode is not WriteMode.IMPERATIVE


class PolicyDecision(ApiModel):
    """Written by the policy controller, once per plan."""

    tier: Tier
    """The strictest of all matching rules."""
    reason: Word
    """CamelCase word for programs."""
    message: Text
    """The same for people."""
    rules: Annotated[list[RuleResult], Field(max_length=16)] = []
    """Every matching rule's word, strictest first, then the rules that name the namespace and did not match."""
    plan_digest: Digest
    """Over the plan's spec and UID, the target's UID and the part of the live target that the actions would change."""
    required_approvals: int = Field(ge=0, le=5)
    """Distinct people who must approve."""
    approvers: Annotated[list[Username], Field(max_length=8)] = []
    """Only these people count; empty: whoever RBAC lets approve."""
    workload_class: Annotated[str, StringConstraints(max_length=63)] = ""
    """The target's label iirp.io/workload-class when policy decided; outcomes are learned per class."""
    one_at_a_time: bool = False
    """Carried out only while no other plan of the namespace is."""
    writers: Annotated[list[FieldWriter], Field(max_length=16)] = []
    """Who else writes the fields that would change, as of the decision, and again while the plan waits."""
    approval_ref: LocalRef | None = None
    """The Approval that asks them."""
    decided_at: Time
    """When policy decided."""
    expires_at: Time
    """After this nothing of the plan runs."""


class ActionPlanStatus(ApiModel):
    """``execution`` is written by the executor, ``verification`` by feedback, the rest by the policy controller."""

    state: PlanState | None = None
    """Where the plan stands; ``conditions`` say why."""
    tier: Tier | None = None
    """How much say people have in it."""
    action: Line = ""
    """The actions in words."""
    observed_generation: int | None = None
    """Generation of the spec that this status speaks of."""
    conditions: Annotated[list[Condition], Field(max_length=12)] = []
    """Decided, Approved, Executed, Verified."""
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
            Column(name="Tier", path=".status.tier", wide=True),
            Column(name="Action", path=".spec.summary"),
            Column(name="Verdict", path=".status.verification.verdict", wide=True),
            Column(name="Requester", path=".spec.requestedBy", wide=True),
            Column(name="Age", path=".metadata.creationTimestamp", type="date"),
        ),
        selectable=(".status.state", ".status.tier"),
    )
    spec: ActionPlanSpec
    status: ActionPlanStatus = ActionPlanStatus()

    def supersedes(self, other: ActionPlan) -> bool:
        """Whether this plan takes the place of ``other``; only within one incident."""
        ref = self.spec.supersedes
        same_incident = self.spec.incident_ref.uid == other.spec.incident_ref.uid
        return ref is not None and ref.uid == other.metadata.uid and same_incident
