"""What all rules of all policies say about one plan: collected, sorted, and put in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from controllers.arbitration.decide import doubtful
from controllers.policy.blast import blast_refusal
from controllers.policy.guards import breaker_open
from controllers.policy.history import Outcome, Pair
from controllers.policy.learning import Posterior, shortfall, unknown
from controllers.policy.match import Documents, Scene, match, matches_namespace
from controllers.policy.target import CLASS_LABEL, Target
from controllers.policy.validity import PolicyEntry, parse_duration
from crds.v1alpha1.actionplan import ActionPlan, FieldWriter, RuleResult
from crds.v1alpha1.actionpolicy import PolicyLimits, PolicyRule, Tier
from crds.v1alpha1.actions import Action
from crds.v1alpha1.base import Severity
from crds.v1alpha1.clip import clip

MAX_RULES = 16
"""Rule results kept in the status; the strictest come first, so none that decided is lost."""
STRICTNESS = {tier: index for index, tier in enumerate(Tier)}
PLATFORM = "(platform)"
"""Stands for the policy's name where a guard speaks; no ActionPolicy can be called so."""


@dataclass(frozen=True)
class Known:
    """What rules are held against besides the plan."""

    severity: Severity
    targets: Mapping[str, Target | None]
    documents: Documents
    past: Sequence[Outcome]
    posteriors: Mapping[Pair, Posterior]
    now: datetime
    writers: Mapping[str, tuple[FieldWriter, ...]] = field(default_factory=dict)
    proposer: str = ""


@dataclass(frozen=True)
class Heard:
    """A rule that matched an action of the plan, and the tier that it asks for."""

    policy: str
    rule: PolicyRule
    tier: Tier


@dataclass
class Words:
    """All words on one plan while they are collected."""

    results: dict[tuple[str, str], RuleResult] = field(default_factory=dict)
    silent: dict[tuple[str, str], RuleResult] = field(default_factory=dict)
    """Rules that name the namespace and do not match, with the reason."""
    rules: list[Heard] = field(default_factory=list)
    unmatched: Action | None = None
    invalid: bool = False
    """An invalid policy names the namespace."""

    def add(self, policy: str, rule: str, tier: Tier, message: str) -> None:
        """Keep the strictest word of each rule."""
        known = self.results.get((policy, rule))
        if known is None or STRICTNESS[tier] > STRICTNESS[known.tier]:
            self.results[policy, rule] = _result(policy, rule, tier, message)

    def strictest(self) -> list[RuleResult]:
        """Words of the rules that matched."""
        return sorted(self.results.values(), key=lambda r: (-STRICTNESS[r.tier], r.policy, r.rule))

    def recorded(self) -> tuple[RuleResult, ...]:
        """For the status: first those that matched, then those that did not."""
        silent = [result for key, result in sorted(self.silent.items()) if key not in self.results]
        return tuple([*self.strictest(), *silent][:MAX_RULES])


def collect(plan: ActionPlan, policies: Iterable[PolicyEntry], known: Known) -> Words:
    """Hold every rule of every policy against every action of the plan."""
    words, namespace = Words(), plan.metadata.namespace
    for action in plan.spec.actions:
        before = len(words.rules)
        for policy in policies:
            if policy.spec is not None:
                for rule in policy.spec.rules:
                    _hear(words, policy.name, rule, plan, action, known)
        if len(words.rules) == before and words.unmatched is None:
            words.unmatched = action
    for policy in policies:
        if policy.spec is None and matches_namespace(policy.namespaces, namespace):
            problem = policy.problems[0] if policy.problems else "not readable"
            words.invalid = True
            words.add(policy.name, "(invalid)", Tier.HUMAN_APPROVAL, f"invalid, so a person decides: {problem}")
    _hear_breaker(words, plan, known)
    _hear_writers(words, plan, known)
    _hear_requester(words, plan, known)
    _hear_boundary(words, plan, known)
    return words


def strictest_limits(words: Words) -> PolicyLimits | None:
    """The strictest of each limit over all matching rules; None when no rule matches."""
    limits = [heard.rule.limits for heard in words.rules]
    if not limits:
        return None
    return PolicyLimits(
        max_per_hour=min(limit.max_per_hour for limit in limits),
        max_per_hour_in_namespace=min(limit.max_per_hour_in_namespace for limit in limits),
        max_per_hour_in_cluster=min(limit.max_per_hour_in_cluster for limit in limits),
        max_replicas=min(limit.max_replicas for limit in limits),
        max_replica_change=min(limit.max_replica_change for limit in limits),
        max_unavailable_percent=min(limit.max_unavailable_percent for limit in limits),
        min_ready_percent=max(limit.min_ready_percent for limit in limits),
        max_nodes=min((limit.max_nodes for limit in limits if limit.max_nodes is not None), default=None),
        respect_disruption_budgets=any(limit.respect_disruption_budgets for limit in limits),
        one_workload_at_a_time=any(limit.one_workload_at_a_time for limit in limits),
        retry_ineffective_after=max((limit.retry_ineffective_after for limit in limits), key=parse_duration),
        breaker_failures=min(limit.breaker_failures for limit in limits),
        breaker_window=max((limit.breaker_window for limit in limits), key=parse_duration),
    )


def add_broken_bounds(words: Words, plan: ActionPlan, targets: Mapping[str, Target | None]) -> None:
    """Let each rule say which action would take away more than the rule itself allows."""
    for heard in words.rules:
        for action in plan.spec.actions:
            target = targets.get(action.id)
            found = blast_refusal(action, target, heard.rule.limits) if target is not None else None
            if found is not None:
                words.add(heard.policy, heard.rule.name, Tier.FORBIDDEN, found[1])


def pair_of(plan: ActionPlan, action: Action, target: Target | None) -> Pair:
    """What outcomes of this action would be learned for."""
    return Pair(action.type, plan.spec.cause_kind, target.labels.get(CLASS_LABEL, "") if target is not None else "")


def _hear(words: Words, policy: str, rule: PolicyRule, plan: ActionPlan, action: Action, known: Known) -> None:
    if not matches_namespace(rule.match.namespaces, plan.metadata.namespace):
        return
    target = known.targets.get(action.id)
    scene = Scene(plan, action, known.severity, target, known.documents, known.now)
    found = match(rule, scene)
    if not found.matched:
        words.silent[policy, rule.name] = _result(policy, rule.name, rule.tier, found.why, matched=False)
        return
    pair = pair_of(plan, action, target)
    tier, message = _word(
        rule, plan.spec.confidence_percent, found.uncertain, known.posteriors.get(pair) or unknown(pair)
    )
    words.add(policy, rule.name, tier, message)
    words.rules.append(Heard(policy, rule, tier))


def _word(rule: PolicyRule, confidence: int, uncertain: str, posterior: Posterior) -> tuple[Tier, str]:
    """What a matching rule says about a plan of this confidence and record."""
    if rule.tier is Tier.READ_ONLY:
        return Tier.HUMAN_APPROVAL, "ReadOnly does not fit an action that changes a workload, so a person decides"
    if rule.tier is Tier.AUTO_LOW_RISK:
        return _auto_word(rule, confidence, uncertain, posterior)
    doubt = f"; {uncertain}" if uncertain else ""
    if rule.tier is Tier.FORBIDDEN:
        return rule.tier, f"never runs{doubt}"
    return rule.tier, f"needs {rule.required_approvals} approval{'s' if rule.required_approvals > 1 else ''}{doubt}"


def _auto_word(rule: PolicyRule, confidence: int, uncertain: str, posterior: Posterior) -> tuple[Tier, str]:
    if uncertain:
        return Tier.HUMAN_APPROVAL, f"{uncertain}, so a person decides"
    if confidence < rule.min_confidence_percent:
        return (
            Tier.HUMAN_APPROVAL,
            f"confidence {confidence} is below {rule.min_confidence_percent}, so a person decides",
        )
    if rule.autonomy is None:
        return Tier.AUTO_LOW_RISK, "may run by itself"
    if missing := shortfall(rule.autonomy, posterior):
        return Tier.HUMAN_APPROVAL, f"autonomy is not earned ({missing}), so a person decides"
    return Tier.AUTO_LOW_RISK, f"may run by itself: earned by {posterior.streak} verified successes"


def _hear_breaker(words: Words, plan: ActionPlan, known: Known) -> None:
    limits = strictest_limits(words)
    if limits is None:
        return
    for kind in sorted({action.type for action in plan.spec.actions}):
        if message := breaker_open(kind, known.past, limits, known.now):
            words.add(PLATFORM, "circuit-breaker", Tier.HUMAN_APPROVAL, message)


def _hear_writers(words: Words, plan: ActionPlan, known: Known) -> None:
    """Whether the change lasts is not known: a person decides, who sees why in the plan."""
    if not words.results:
        return
    for action in plan.spec.actions:
        if (found := doubtful(known.writers.get(action.id, ()))) is not None:
            words.add(PLATFORM, "writer-arbitration", Tier.HUMAN_APPROVAL, f"{found.message}, so a person decides")


def _hear_requester(words: Words, plan: ActionPlan, known: Known) -> None:
    """Cause and confidence come from a report only in the platform's own plans; others' authors write them too."""
    requester = plan.spec.requested_by
    if words.results and known.proposer and requester != known.proposer:
        message = f"requested by {requester}, not derived from a report, so another person decides"
        words.add(PLATFORM, "requester", Tier.HUMAN_APPROVAL, message)


def _hear_boundary(words: Words, plan: ActionPlan, known: Known) -> None:
    """A rollback takes back the pod template only; whether old code fits what else changed is for a person to say."""
    for action in plan.spec.actions if words.results else ():
        target = known.targets.get(action.id)
        if target is not None and target.crossed:
            words.add(PLATFORM, "rollback-boundary", Tier.HUMAN_APPROVAL, f"{target.crossed}; so a person decides")


def _result(policy: str, rule: str, tier: Tier, message: str, *, matched: bool = True) -> RuleResult:
    return RuleResult(
        policy=policy, rule=rule, tier=tier, message=clip(RuleResult, "message", message), matched=matched
    )
