"""ActionPolicy: what may run by itself, what a person must approve, and what never runs."""

# ruff: noqa: RUF012  pydantic copies defaults, and the models are frozen

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from crds.v1alpha1.actions import ActionType
from crds.v1alpha1.base import ApiModel, Column, Condition, Definition, Percent, Resource, Severity, Text, Word


class Tier(StrEnum):
    """How much say a person has, loosest first; of two that apply the stricter wins."""

    READ_ONLY = "ReadOnly"
    AUTO_LOW_RISK = "AutoLowRisk"
    HUMAN_APPROVAL = "HumanApproval"
    FORBIDDEN = "Forbidden"


Glob = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?$")]
"""A namespace name, or a pattern with ``*``."""
Duration = Annotated[str, StringConstraints(pattern=r"^([0-9]+(s|m|h))+$", max_length=16)]


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


class PolicyLimits(ApiModel):
    """Bounds that hold across restarts: they count objects, not memory."""

    max_per_hour: int = Field(default=6, ge=0, le=100)
    """Executed plans per target and hour."""
    max_replicas: int = Field(default=10, ge=1, le=50)
    """Upper bound of an approved scale."""
    max_replica_change: int = Field(default=3, ge=1, le=50)
    """Largest difference between the present and the wanted number of replicas."""


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
    expires_after: Duration = "30m"
    """How long a decision may be waited for, and used."""
    limits: PolicyLimits = PolicyLimits()

    cel_rules: ClassVar[tuple[tuple[str, str], ...]] = tuple(
        (f"duration(self.expiresAfter) {bound}", "expiresAfter must be between 1s and 24h")
        for bound in (">= duration('1s')", "<= duration('24h')")
    )


class ActionPolicySpec(ApiModel):
    """Rules; every matching rule is recorded and the strictest tier wins. No match means Forbidden."""

    description: Text = ""
    """What the policy is for."""
    rules: Annotated[list[PolicyRule], Field(min_length=1, max_length=32)]
    """Names are unique."""

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
