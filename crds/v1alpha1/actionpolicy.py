"""ActionPolicy: what may run by itself, what a person must approve, and what never runs."""

# ruff: noqa: RUF012  pydantic copies defaults, and the models are frozen

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from crds.v1alpha1.actions import ActionType
from crds.v1alpha1.base import (
    ApiModel,
    Column,
    Condition,
    Definition,
    Percent,
    Resource,
    Severity,
    Text,
    Username,
    Window,
    Word,
)


class Tier(StrEnum):
    """How much say a person has, loosest first; of two that apply the stricter wins."""

    READ_ONLY = "ReadOnly"
    AUTO_LOW_RISK = "AutoLowRisk"
    HUMAN_APPROVAL = "HumanApproval"
    FORBIDDEN = "Forbidden"


Glob = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?$")]
"""A namespace name, or a pattern with ``*``."""
Duration = Annotated[str, StringConstraints(pattern=r"^([0-9]+(s|m|h))+$", max_length=16)]


LabelValue = Annotated[str, StringConstraints(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]
Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""Time of day, for example ``08:00``."""


class Weekday(StrEnum):
    """Days as people write them."""

    MON = "Mon"
    TUE = "Tue"
    WED = "Wed"
    THU = "Thu"
    FRI = "Fri"
    SAT = "Sat"
    SUN = "Sun"


class LabelMatch(ApiModel):
    """One label of the target must have one of these values."""

    key: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    """Label key."""
    values: Annotated[list[LabelValue], Field(max_length=4)] = []
    """Any of them; empty: the label need only be there."""


class TimeWindow(ApiModel):
    """A span of the day that comes again, by the clock of a time zone. ``to`` before ``from`` ends on the next day."""

    days: Annotated[list[Weekday], Field(max_length=7)] = []
    """Days on which it begins; empty: every day."""
    start: Clock = Field(default="00:00", alias="from")
    """First minute."""
    to: Clock = "00:00"
    """First minute after it; equal to ``from``: the whole day."""
    time_zone: Annotated[str, StringConstraints(min_length=1, max_length=40)] = "UTC"
    """IANA name, for example Europe/Berlin."""


VARIABLES = ("incident", "report", "plan", "action", "target", "namespaceObject", "severity", "now")
"""What a condition can see."""


class PolicyCondition(ApiModel):
    """A CEL expression over ``incident``, ``report``, ``plan``, ``action``, ``target``, ``namespaceObject`` (maps as
    the API server serves them), ``severity`` (string) and ``now`` (timestamp)."""

    name: Annotated[str, StringConstraints(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """Unique within the rule; recorded with every decision."""
    expression: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    """Must give a bool. One that fails on the objects at hand makes the rule a person's decision at least."""

    cel_rules: ClassVar[tuple[tuple[str, str], ...]] = (
        (
            # CEL cannot compile CEL; what it can tell is an expression about something that is not there.
            f"self.expression.matches(r'\\b({'|'.join(VARIABLES)})\\b')",
            f"a condition speaks about at least one of {', '.join(VARIABLES)}",
        ),
    )


class PolicyMatch(ApiModel):
    """All given fields must match; an absent one matches everything. ``namespaces`` must be named (default deny)."""

    namespaces: Annotated[list[Glob], Field(min_length=1, max_length=16)]
    """Namespaces, or patterns with ``*``."""
    action_types: Annotated[list[ActionType], Field(max_length=16)] = []
    """Types of actions."""
    cause_kinds: Annotated[list[Word], Field(max_length=8)] = []
    """Cause kinds, for example MemoryLeak."""
    severities: Annotated[list[Severity], Field(max_length=4)] = []
    """Severities of the incident."""
    environments: Annotated[list[LabelValue], Field(max_length=4)] = []
    """Values of the namespace's label iirp.io/environment."""
    target_labels: Annotated[list[LabelMatch], Field(max_length=2)] = []
    """Labels that the target must have, all of them."""
    windows: Annotated[list[TimeWindow], Field(max_length=3)] = []
    """In force within any of these only."""
    except_windows: Annotated[list[TimeWindow], Field(max_length=3)] = []
    """Not in force within any of these."""
    period: Window | None = None
    """In force between these two moments only. With tier Forbidden this is a freeze."""
    conditions: Annotated[list[PolicyCondition], Field(max_length=3)] = []
    """CEL; all must hold."""

    cel_rules: ClassVar[tuple[tuple[str, str], ...]] = (
        (
            "!has(self.conditions) || self.conditions.all(a, self.conditions.exists_one(b, b.name == a.name))",
            "every condition needs a name of its own",
        ),
    )


class PolicyLimits(ApiModel):
    """Bounds that hold across restarts: they count objects, not memory."""

    max_per_hour: int = Field(default=6, ge=0, le=100)
    """Executed plans per target and hour."""
    max_per_hour_in_namespace: int = Field(default=30, ge=0, le=1000)
    """Executed plans per namespace and hour."""
    max_per_hour_in_cluster: int = Field(default=100, ge=0, le=10000)
    """Executed plans in all watched namespaces per hour."""
    max_replicas: int = Field(default=10, ge=1, le=50)
    """Upper bound of an approved scale."""
    max_replica_change: int = Field(default=3, ge=1, le=50)
    """Largest difference between the present and the wanted number of replicas."""
    max_unavailable_percent: Percent = 100
    """Share of the wanted replicas that an action may take away at once (a rollout: the strategy's maxUnavailable)."""
    min_ready_percent: Percent = 0
    """Share of the wanted replicas that stays ready at the worst moment."""
    max_nodes: int | None = Field(default=None, ge=1, le=5000)
    """Most nodes that the pods which an action restarts or takes away may sit on; absent: no such bound."""
    respect_disruption_budgets: bool = False
    """Refuse what a PodDisruptionBudget of the target's pods would not allow an eviction to take."""
    one_workload_at_a_time: bool = False
    """Wait while any other plan of the namespace is being carried out, whatever its target."""
    retry_ineffective_after: Duration = "6h"
    """Loop breaker: what did not help this target against this cause is not tried again before."""
    breaker_failures: int = Field(default=3, ge=1, le=20)
    """Circuit breaker: after so many failures in a row of one action type, in all watched namespaces, nothing of that
    type runs by itself until a person has seen one through."""
    breaker_window: Duration = "24h"
    """Failures older than this do not count."""

    cel_rules: ClassVar[tuple[tuple[str, str], ...]] = tuple(
        (f"!has(self.{name}) || duration(self.{name}) <= duration('720h')", f"{name} must be at most 720h")
        for name in ("retryIneffectiveAfter", "breakerWindow")
    )


class Autonomy(ApiModel):
    """What a rule asks of the record before AutoLowRisk holds. It can only make the rule stricter, never looser."""

    min_successes: int = Field(default=5, ge=1, le=100)
    """Verified successes since the last failure, of this action against this cause on this class of workload."""
    min_success_percent: Percent = 80
    """Lower bound (5 % quantile) of the posterior share of successes."""
    require_drill: bool = False
    """One of them was a drill: a plan with the label iirp.io/drill=true."""


ENOUGH_APPROVERS = (
    "!has(self.approvers) || size(self.approvers) == 0 || size(self.approvers) >= self.requiredApprovals"
    " || self.approvers.exists(a, a.startsWith('group:'))"
)
"""How many people a group has is not the schema's to know."""


class PolicyRule(ApiModel):
    """One rule: what it matches, and the tier that follows."""

    name: Annotated[str, StringConstraints(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """Unique within the policy; recorded with every decision."""
    match: PolicyMatch
    tier: Tier
    """What follows when it matches."""
    min_confidence_percent: Percent = 0
    """Below this confidence AutoLowRisk becomes HumanApproval."""
    required_approvals: int = Field(default=1, ge=1, le=5)
    """Distinct people who must approve, where approval is needed."""
    approvers: Annotated[list[Username], Field(max_length=8)] = []
    """Only these people's approvals count (``group:NAME`` for a group), besides the verb approve that RBAC asks of
    them; empty: no such list."""
    expires_after: Duration = "30m"
    """How long a decision may be waited for, and used."""
    limits: PolicyLimits = PolicyLimits()
    autonomy: Autonomy | None = None
    """With tier AutoLowRisk: only once this is earned, else a person decides."""

    cel_rules: ClassVar[tuple[tuple[str, str], ...]] = (
        *(
            (f"duration(self.expiresAfter) {bound}", "expiresAfter must be between 1m and 24h")
            for bound in (">= duration('1m')", "<= duration('24h')")
        ),
        (
            "self.tier != 'AutoLowRisk' || !('*' in self.match.namespaces)",
            "AutoLowRisk must name its namespaces; '*' would automate all of them",
        ),
        ("!has(self.autonomy) || self.tier == 'AutoLowRisk'", "autonomy belongs to tier AutoLowRisk"),
        (
            ENOUGH_APPROVERS,
            "more approvals are required than approvers are named",
        ),
    )


class ActionPolicySpec(ApiModel):
    """Rules; every matching rule is recorded and the strictest tier wins. No match means Forbidden."""

    description: Text = ""
    """What the policy is for."""
    rules: Annotated[list[PolicyRule], Field(min_length=1, max_length=10)]
    """Names are unique. More rules: more policies."""

    cel_rules: ClassVar[tuple[tuple[str, str], ...]] = (
        (
            "self.rules.all(a, self.rules.exists_one(b, b.name == a.name))",
            "every rule needs a name of its own",
        ),
    )


class ActionPolicyStatus(ApiModel):
    """Written by the policy controller."""

    valid: bool | None = None
    """False when a rule could not be understood; its namespaces then need a person for everything."""
    observed_generation: int | None = None
    """Generation of the spec that this status speaks of."""
    conditions: Annotated[list[Condition], Field(max_length=4)] = []
    """Valid, and why not."""


class ActionPolicy(Resource):
    """Policy-as-code for remediation; cluster-scoped, meant to be kept in Git."""

    definition: ClassVar[Definition] = Definition(
        kind="ActionPolicy",
        plural="actionpolicies",
        short="apol",
        namespaced=False,
        columns=(
            Column(name="Valid", path=".status.valid", type="boolean"),
            Column(name="Description", path=".spec.description", wide=True),
            Column(name="Age", path=".metadata.creationTimestamp", type="date"),
        ),
    )
    spec: ActionPolicySpec
    status: ActionPolicyStatus = ActionPolicyStatus()
