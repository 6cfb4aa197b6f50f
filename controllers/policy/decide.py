"""Which tier a plan falls under. Pure: (observed, now) -> Ruling.

Reading of S3, in this order:

1. *Checks* that no policy can waive (target in another namespace, gone, over a limit, ...) make it Forbidden.
2. Every rule of every valid policy that matches an action says its word; the strictest word wins, so rules that
   contradict each other end with the stricter one. ReadOnly is no tier for an action that changes something: such a
   rule is a contradiction and counts as HumanApproval.
   A rule whose condition cannot be told on the objects at hand never lets a plan run by itself.
3. An invalid policy lifts the tier to HumanApproval at least wherever it names the namespace.
4. Namespaces are denied by default: without a word from 2 or 3, or without any ActionPolicy at all, the plan is
   Forbidden. (S3 asks that an absent policy never means auto; of the two answers that fit, people's or nobody's,
   this is the one that also keeps a namespace closed that no policy has opened.)
5. Guards speak last and only ever make it stricter: the circuit breaker asks for a person, and where policies name who
   may approve, the people that all of them name must suffice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controllers.policy.checks import Refusal, World, first_refusal, undone
from controllers.policy.claims import Claim
from controllers.policy.history import Outcome
from controllers.policy.learning import learn
from controllers.policy.match import Documents
from controllers.policy.target import CLASS_LABEL, Target
from controllers.policy.validity import PolicyEntry, parse_duration
from controllers.policy.words import STRICTNESS, Known, Words, add_broken_bounds, collect, strictest_limits
from crds.v1alpha1.actionplan import ActionPlan, FieldWriter, RuleResult
from crds.v1alpha1.actionpolicy import PolicyRule, Tier
from crds.v1alpha1.base import Severity
from crds.v1alpha1.quorum import GROUP_PREFIX

__all__ = ["STRICTNESS", "Observed", "Ruling", "decide", "tier_now"]

DEFAULT_EXPIRY = timedelta(minutes=30)


@dataclass(frozen=True)
class Observed:
    """What a decision rests on."""

    plan: ActionPlan
    severity: Severity
    policies: tuple[PolicyEntry, ...]
    targets: Mapping[str, Target | None]
    """Live target by the plan's action id; None: there is none of that name."""
    claims: tuple[Claim, ...] = ()
    """Other plans that count against rate limits, in all watched namespaces."""
    past: tuple[Outcome, ...] = ()
    """What became of earlier plans of all watched namespaces, oldest first."""
    incident_ended: bool = False
    documents: Documents = field(default_factory=Documents)
    writers: Mapping[str, tuple[FieldWriter, ...]] = field(default_factory=dict)
    """Who else writes what each action changes, by the plan's action id."""
    shortages: Mapping[str, str] = field(default_factory=dict)
    """Which quota has no room for the pods that an action adds, by the plan's action id."""
    proposer: str = ""
    """Username of the incident controller; empty in records of before it was asked."""


@dataclass(frozen=True)
class Ruling:
    """The decision, before it becomes status."""

    tier: Tier
    reason: str
    message: str
    rules: tuple[RuleResult, ...] = ()
    required_approvals: int = 0
    expires_after: timedelta = timedelta(0)
    approvers: tuple[str, ...] = ()
    """Who may approve; empty: whoever RBAC lets."""
    one_at_a_time: bool = False
    workload_class: str = ""


def decide(observed: Observed, now: datetime) -> Ruling:
    """The ruling on a plan that has none yet."""
    known = _known(observed, now)
    words = collect(observed.plan, observed.policies, known)
    world = World(
        observed.claims,
        tuple(known.past),
        observed.incident_ended,
        observed.writers,
        observed.shortages,
    )
    refusal = first_refusal(observed.plan, observed.targets, world, strictest_limits(words), now)
    ruling = _tier(words, observed)
    if refusal is None or ruling.tier is Tier.FORBIDDEN:
        return ruling
    add_broken_bounds(words, observed.plan, observed.targets)
    return _refused(refusal, words)


def tier_now(observed: Observed, now: datetime) -> Ruling:
    """The policies' word alone, as of now: a decided plan may become stricter before it runs, never looser (S10).

    Checks and limits are left out: they were held once, and what the plan's own approval changed must not void it.
    Except for writers: an autoscaler or a GitOps tool that came since would undo what was approved.
    """
    words = collect(observed.plan, observed.policies, _known(observed, now))
    ruling = _tier(words, observed)
    refusal = undone(observed.plan, observed.writers)
    return ruling if refusal is None or ruling.tier is Tier.FORBIDDEN else _refused(refusal, words)


def _known(observed: Observed, now: datetime) -> Known:
    # What came later does not count: a backtest decides as of then.
    past = [outcome for outcome in observed.past if outcome.at <= now]
    return Known(
        observed.severity,
        observed.targets,
        observed.documents,
        past,
        learn(past, now),
        now,
        observed.writers,
        observed.proposer,
    )


def _tier(words: Words, observed: Observed) -> Ruling:
    results, recorded = words.strictest(), words.recorded()
    namespace = observed.plan.metadata.namespace
    if not observed.policies:
        return Ruling(Tier.FORBIDDEN, "NoPolicy", "there is no ActionPolicy, so nothing may run")
    if words.unmatched is not None and not words.invalid:
        message = (
            f"no rule of any ActionPolicy names {words.unmatched.type.value} in namespace {namespace} for this plan"
        )
        return Ruling(Tier.FORBIDDEN, "NoMatchingRule", message, recorded)
    strictest = results[0]
    message = (
        f"{strictest.tier.value} in {namespace} (policy {strictest.policy}, rule {strictest.rule}): {strictest.message}"
    )
    if strictest.tier is Tier.FORBIDDEN:
        return Ruling(Tier.FORBIDDEN, "ForbiddenByPolicy", message, recorded)
    return _allowed(words, observed, strictest.tier, message)


def _allowed(words: Words, observed: Observed, tier: Tier, message: str) -> Ruling:
    """It may run, by itself or once enough people approve."""
    limits = strictest_limits(words)
    # A rule that alone would let it run asks for nobody; the others say how many people it takes, and whom.
    asking = [heard.rule for heard in words.rules if heard.tier is not Tier.AUTO_LOW_RISK]
    people = tier is Tier.HUMAN_APPROVAL
    required = max([1, *(rule.required_approvals for rule in asking)]) if people else 0
    approvers = _approvers(asking) if people else None
    excluded = {observed.plan.spec.requested_by, observed.plan.spec.on_behalf_of}
    if approvers is not None and not _names_group(approvers) and len(approvers - excluded) < required:
        told = ", ".join(sorted(approvers)) or "nobody"
        text = f"{required} approvals are needed, and all policies together let only {told} approve"
        return Ruling(Tier.FORBIDDEN, "TooFewApprovers", text, words.recorded())
    return Ruling(
        tier=tier,
        reason="ApprovalRequired" if people else "AllowedByPolicy",
        message=message,
        rules=words.recorded(),
        required_approvals=required,
        expires_after=min((parse_duration(heard.rule.expires_after) for heard in words.rules), default=DEFAULT_EXPIRY),
        approvers=tuple(sorted(approvers)) if approvers is not None else (),
        one_at_a_time=limits is not None and limits.one_workload_at_a_time,
        workload_class=_workload_class(observed),
    )


def _names_group(approvers: set[str]) -> bool:
    """How many people a group has is not ours to know."""
    return any(name.startswith(GROUP_PREFIX) for name in approvers)


def _approvers(asking: list[PolicyRule]) -> set[str] | None:
    """Whom all rules that name anybody name; None when none does."""
    named = [set(rule.approvers) for rule in asking if rule.approvers]
    return set.intersection(*named) if named else None


def _workload_class(observed: Observed) -> str:
    """Of the first action's target, as outcomes are learned for it; plans on several classes are rare."""
    target = observed.targets.get(observed.plan.spec.actions[0].id)
    return target.labels.get(CLASS_LABEL, "") if target is not None else ""


def _refused(refusal: Refusal, words: Words) -> Ruling:
    return Ruling(Tier.FORBIDDEN, refusal.reason, refusal.message, words.recorded())
