"""Who has said what about an approval. One function, used by the approval controller and again by the executor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from crds.v1alpha1.actionpolicy import Tier
from crds.v1alpha1.approval import ApprovalSpec, Decision, DecisionVerdict

GROUP_PREFIX = "group:"
"""Before the name of a group among the approvers that policy names."""


class Asking(Protocol):
    """How many people are asked, and whom: a policy's decision, or an approval."""

    @property
    def required_approvals(self) -> int: ...

    @property
    def approvers(self) -> Sequence[str]: ...


def asks_more(new: Asking, old: Asking) -> bool:
    """Whether what was enough for ``old`` may not be for ``new``: more people, or some of them no longer count."""
    narrower = bool(new.approvers) and not (old.approvers and set(old.approvers) <= set(new.approvers))
    return new.required_approvals > old.required_approvals or narrower


class Quorum(BaseModel):
    """Distinct people by their word, in the order in which they first gave it."""

    model_config = ConfigDict(frozen=True)

    required: int
    approvers: tuple[str, ...] = ()
    rejecters: tuple[str, ...] = ()

    @property
    def rejected(self) -> bool:
        """One reject is enough, whoever approved before or after."""
        return bool(self.rejecters)

    @property
    def reached(self) -> bool:
        """Enough distinct people approved and nobody rejected."""
        return not self.rejecters and len(self.approvers) >= self.required

    def counted(self) -> str:
        """``1/2``: for the printer column."""
        return f"{len(self.approvers)}/{self.required}"


def count(spec: ApprovalSpec, platform_namespace: str) -> Quorum:
    """Count the people behind ``spec.decisions``.

    An approval counts if it is about this digest and its author is neither the plan's requester, nor the one for whom
    it was requested, nor a ServiceAccount of the platform, and is among the approvers that policy names, where it names
    any. Admission refuses those entries already; this holds when an object was written without it. A reject counts
    whoever gave it except the platform itself: the requester may withdraw.
    """
    platform = f"system:serviceaccount:{platform_namespace}:"
    approvers: dict[str, None] = {}
    rejecters: dict[str, None] = {}
    for decision in spec.decisions:
        if decision.by.startswith(platform):
            continue
        if decision.verdict is DecisionVerdict.REJECT:
            rejecters[decision.by] = None
        elif _may_approve(spec, decision) and decision.plan_digest == spec.plan_digest:
            approvers[decision.by] = None
    return Quorum(required=required(spec), approvers=tuple(approvers), rejecters=tuple(rejecters))


def required(spec: ApprovalSpec) -> int:
    """How many people must approve; zero only for the tier that needs nobody, whatever the object says."""
    return spec.required_approvals if spec.tier is Tier.AUTO_LOW_RISK else max(1, spec.required_approvals)


def _may_approve(spec: ApprovalSpec, decision: Decision) -> bool:
    if decision.by in (spec.requested_by, spec.on_behalf_of):
        return False
    named = decision.by in spec.approvers and not decision.by.startswith(GROUP_PREFIX)
    return not spec.approvers or named or (bool(decision.group) and GROUP_PREFIX + decision.group in spec.approvers)
