"""Which tier a plan falls under. Pure: (observed, now) -> Ruling.

Reading of S3, in this order:

1. *Checks* that no policy can waive (target in another namespace, gone, over a limit, ...) make it Forbidden.
2. Every rule of every valid policy that matches an action says its word; the strictest word wins, so rules that
   contradict each other end with the stricter one. ReadOnly is no tier for an action that changes something: such a
   rule is a contradiction and counts as HumanApproval.
3. An invalid policy lifts the tier to HumanApproval at least wherever it names the namespace.
4. Namespaces are denied by default: without a word from 2 or 3, or without any ActionPolicy at all, the plan is
   Forbidden. (S3 asks that an absent policy never means auto; of the two answers that fit, people's or nobody's,
   this is the one that also keeps a namespace closed that no policy has opened.)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controllers.policy.checks import Refusal, Target, first_refusal
from controllers.policy.validity import PolicyEntry, parse_duration
from crds.v1alpha1.actionplan import ActionPlan, RuleResult
from crds.v1alpha1.actionpolicy import PolicyLimits, PolicyRule, Tier
from crds.v1alpha1.actions import Action
from crds.v1alpha1.base import Severity
from crds.v1alpha1.clip import clip

MAX_RULES = 16
"""Rule results kept in the status; the strictest come first, so none that decided is lost."""
STRICTNESS = {tier: index for index, tier in enumerate(Tier)}


@dataclass(frozen=True)
class Observed:
    """What a decision rests on."""

    plan: ActionPlan
    severity: Severity
    policies: tuple[PolicyEntry, ...]
    targets: Mapping[str, Target | None]
    """Live target by the plan's action id; None: there is none of that name."""
    others: tuple[ActionPlan, ...] = ()
    """All other plans of the namespace, for limits and supersession."""
    incident_ended: bool = False


@dataclass(frozen=True)
class Ruling:
    """The decision, before it becomes status."""

    tier: Tier
    reason: str
    message: str
    rules: tuple[RuleResult, ...] = ()
    required_approvals: int = 0
    expires_after: timedelta = timedelta(0)


@dataclass
class _Words:
    """All words on one plan while they are collected."""

    results: dict[tuple[str, str], RuleResult] = field(default_factory=dict)
    rules: list[tuple[PolicyRule, Tier]] = field(default_factory=list)
    unmatched: Action | None = None
    invalid: bool = False
    """An invalid policy names the namespace."""

    def add(self, policy: str, rule: str, tier: Tier, message: str) -> None:
        known = self.results.get((policy, rule))
        if known is None or STRICTNESS[tier] > STRICTNESS[known.tier]:
            message = clip(RuleResult, "message", message)
            self.results[policy, rule] = RuleResult(policy=policy, rule=rule, tier=tier, message=message)

    def sorted(self) -> tuple[RuleResult, ...]:
        return tuple(sorted(self.results.values(), key=lambda r: (-STRICTNESS[r.tier], r.policy, r.rule)))


def decide(observed: Observed, now: datetime) -> Ruling:
    """The ruling on a plan that has none yet."""
    words = _collect(observed.plan, observed.severity, observed.policies)
    refusal = first_refusal(
        observed.plan, observed.targets, observed.others, strictest_limits(words), observed.incident_ended, now
    )
    ruling = _tier(words, observed)
    if refusal is None or ruling.tier is Tier.FORBIDDEN:
        return ruling
    return _refused(refusal, ruling)


def tier_now(plan: ActionPlan, severity: Severity, policies: tuple[PolicyEntry, ...]) -> Ruling:
    """The policies' word alone, as of now: a decided plan may become stricter before it runs, never looser (S10)."""
    observed = Observed(plan=plan, severity=severity, policies=policies, targets={})
    return _tier(_collect(plan, severity, policies), observed)


def matches_namespace(patterns: tuple[str, ...] | list[str], namespace: str) -> bool:
    """Whether a namespace is named; ``*`` stands for any run of characters, nothing else is special."""
    return any(re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), namespace) for pattern in patterns)


def strictest_limits(words: _Words) -> PolicyLimits | None:
    """The smallest of each limit over all matching rules; None when no rule matches."""
    limits = [rule.limits for rule, _ in words.rules]
    if not limits:
        return None
    return PolicyLimits(
        max_per_hour=min(limit.max_per_hour for limit in limits),
        max_replicas=min(limit.max_replicas for limit in limits),
        max_replica_change=min(limit.max_replica_change for limit in limits),
    )


def _collect(plan: ActionPlan, severity: Severity, policies: tuple[PolicyEntry, ...]) -> _Words:
    words = _Words()
    namespace = plan.metadata.namespace
    for action in plan.spec.actions:
        before = len(words.rules)
        for policy in policies:
            if policy.spec is None:
                continue
            for rule in policy.spec.rules:
                if _matches(rule, namespace, action, plan.spec.cause_kind, severity):
                    tier, message = _word(rule, plan.spec.confidence_percent)
                    words.add(policy.name, rule.name, tier, message)
                    words.rules.append((rule, tier))
        if len(words.rules) == before and words.unmatched is None:
            words.unmatched = action
    for policy in policies:
        if policy.spec is None and matches_namespace(policy.namespaces, namespace):
            problem = policy.problems[0] if policy.problems else "not readable"
            words.invalid = True
            words.add(policy.name, "(invalid)", Tier.HUMAN_APPROVAL, f"invalid, so a person decides: {problem}")
    return words


def _matches(rule: PolicyRule, namespace: str, action: Action, cause_kind: str, severity: Severity) -> bool:
    match = rule.match
    return (
        matches_namespace(match.namespaces, namespace)
        and (not match.action_types or action.type in match.action_types)
        and (not match.cause_kinds or cause_kind in match.cause_kinds)
        and (not match.severities or severity in match.severities)
    )


def _word(rule: PolicyRule, confidence: int) -> tuple[Tier, str]:
    """What a matching rule says about a plan of this confidence."""
    if rule.tier is Tier.READ_ONLY:
        return Tier.HUMAN_APPROVAL, "ReadOnly does not fit an action that changes a workload, so a person decides"
    if rule.tier is Tier.AUTO_LOW_RISK and confidence < rule.min_confidence_percent:
        return (
            Tier.HUMAN_APPROVAL,
            f"confidence {confidence} is below {rule.min_confidence_percent}, so a person decides",
        )
    if rule.tier is Tier.HUMAN_APPROVAL:
        return rule.tier, f"needs {rule.required_approvals} approval{'s' if rule.required_approvals > 1 else ''}"
    return rule.tier, {Tier.AUTO_LOW_RISK: "may run by itself", Tier.FORBIDDEN: "never runs"}[rule.tier]


def _tier(words: _Words, observed: Observed) -> Ruling:
    results = words.sorted()
    namespace = observed.plan.metadata.namespace
    if not observed.policies:
        return Ruling(Tier.FORBIDDEN, "NoPolicy", "there is no ActionPolicy, so nothing may run")
    if words.unmatched is not None and not words.invalid:
        message = (
            f"no rule of any ActionPolicy names {words.unmatched.type.value} in namespace {namespace} for this plan"
        )
        return Ruling(Tier.FORBIDDEN, "NoMatchingRule", message, results[:MAX_RULES])
    strictest = results[0]
    message = (
        f"{strictest.tier.value} in {namespace} (policy {strictest.policy}, rule {strictest.rule}): {strictest.message}"
    )
    if strictest.tier is Tier.FORBIDDEN:
        return Ruling(Tier.FORBIDDEN, "ForbiddenByPolicy", message, results[:MAX_RULES])
    expiry = min((parse_duration(rule.expires_after) for rule, _ in words.rules), default=timedelta(minutes=30))
    if strictest.tier is Tier.AUTO_LOW_RISK:
        return Ruling(Tier.AUTO_LOW_RISK, "AllowedByPolicy", message, results[:MAX_RULES], 0, expiry)
    # A rule that alone would let it run asks for nobody; the others say how many people it takes.
    people = [
        rule.required_approvals
        for rule, tier in words.rules
        if rule.tier is not Tier.AUTO_LOW_RISK or tier is not rule.tier
    ]
    return Ruling(Tier.HUMAN_APPROVAL, "ApprovalRequired", message, results[:MAX_RULES], max([1, *people]), expiry)


def _refused(refusal: Refusal, ruling: Ruling) -> Ruling:
    return Ruling(Tier.FORBIDDEN, refusal.reason, refusal.message, ruling.rules)
