"""S3: no action above its tier; absent, invalid or contradictory policy never means auto; default deny."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from controllers.policy.decide import STRICTNESS, Observed, tier_now
from controllers.policy.match import matches_namespace
from controllers.policy.target import Target
from controllers.policy.validity import PolicyEntry, parse_duration, read_policy
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actionpolicy import Tier
from crds.v1alpha1.actions import Action
from crds.v1alpha1.base import Severity
from crds.v1alpha1.execution import ActionPhase
from tests.fakes.chain import NS, restart, rule, scale
from tests.fakes.kube import START
from tests.unit.controllers.policy.world import LIVE, plan, policy, rule_on

AUTO = rule("AutoLowRisk", "auto", minConfidencePercent=80)
HUMAN = rule("HumanApproval", "human", requiredApprovals=2)
NEVER = rule("Forbidden", "never")
SCALES = {"actionTypes": ["ScaleDeployment"]}


@pytest.mark.parametrize(
    ("policies", "tier", "reason", "approvals"),
    [
        pytest.param([], Tier.FORBIDDEN, "NoPolicy", 0, id="no policy at all"),
        pytest.param([policy(AUTO)], Tier.AUTO_LOW_RISK, "AllowedByPolicy", 0, id="auto"),
        pytest.param([policy(HUMAN)], Tier.HUMAN_APPROVAL, "ApprovalRequired", 2, id="human"),
        pytest.param([policy(NEVER)], Tier.FORBIDDEN, "ForbiddenByPolicy", 0, id="forbidden"),
        pytest.param([policy(AUTO, HUMAN)], Tier.HUMAN_APPROVAL, "ApprovalRequired", 2, id="contradictory: human wins"),
        pytest.param([policy(AUTO), policy(NEVER, name="b")], Tier.FORBIDDEN, "ForbiddenByPolicy", 0, id="never wins"),
        pytest.param(
            [policy(HUMAN, rule("HumanApproval", "three", requiredApprovals=3))],
            Tier.HUMAN_APPROVAL,
            "ApprovalRequired",
            3,
            id="most approvals win",
        ),
        pytest.param(
            [policy(rule("ReadOnly", "ro"))], Tier.HUMAN_APPROVAL, "ApprovalRequired", 1, id="readonly mutates"
        ),
        pytest.param(
            [policy(rule("AutoLowRisk", "sure", minConfidencePercent=85))],
            Tier.HUMAN_APPROVAL,
            "ApprovalRequired",
            1,
            id="below the confidence floor",
        ),
        pytest.param(
            [policy(rule("AutoLowRisk", "sure", minConfidencePercent=84))],
            Tier.AUTO_LOW_RISK,
            "AllowedByPolicy",
            0,
            id="at the confidence floor",
        ),
        pytest.param(
            [policy(rule("AutoLowRisk", "other", namespaces=["payments"]))],
            Tier.FORBIDDEN,
            "NoMatchingRule",
            0,
            id="namespace not named",
        ),
        pytest.param(
            [policy(rule("AutoLowRisk", "s", match=SCALES))], Tier.FORBIDDEN, "NoMatchingRule", 0, id="action not named"
        ),
        pytest.param(
            [policy(rule("AutoLowRisk", "c", match={"causeKinds": ["BadRollout"]}))],
            Tier.FORBIDDEN,
            "NoMatchingRule",
            0,
            id="cause not named",
        ),
        pytest.param(
            [policy(AUTO, rule("HumanApproval", "severe", match={"severities": ["high"]}))],
            Tier.HUMAN_APPROVAL,
            "ApprovalRequired",
            1,
            id="severe needs people",
        ),
    ],
)
def test_the_strictest_word_wins(policies: list[PolicyEntry], tier: Tier, reason: str, approvals: int) -> None:
    ruling = rule_on(*policies)
    assert (ruling.tier, ruling.reason, ruling.required_approvals) == (tier, reason, approvals)


INVALID = [
    pytest.param({"rules": [rule("AutoLowRisk", expiresAfter="0s")]}, id="expires at once"),
    pytest.param({"rules": [rule("AutoLowRisk", expiresAfter="48h")]}, id="expires too late"),
    pytest.param({"rules": [rule("AutoLowRisk"), rule("AutoLowRisk")]}, id="two rules of one name"),
    pytest.param({"rules": [rule("AutoLowRisk", namespaces=["*"])]}, id="automates every namespace"),
    pytest.param({"rules": [rule("Automatic")]}, id="unknown tier"),
    pytest.param({"rules": "all"}, id="not a list"),
    pytest.param({}, id="no rules"),
    pytest.param(None, id="no spec"),
]


@pytest.mark.parametrize("spec", INVALID)
def test_an_invalid_policy_never_means_auto(spec: Any) -> None:
    invalid = read_policy({"metadata": {"name": "bad"}, "spec": spec})
    assert not invalid.valid
    assert invalid.problems
    beside_auto = rule_on(policy(AUTO), invalid)
    assert (beside_auto.tier, beside_auto.required_approvals) == (Tier.HUMAN_APPROVAL, 1)
    assert rule_on(invalid).tier is Tier.HUMAN_APPROVAL
    assert rule_on(policy(NEVER), invalid).tier is Tier.FORBIDDEN


def test_an_invalid_policy_of_another_namespace_does_not_matter() -> None:
    invalid = read_policy({"metadata": {"name": "bad"}, "spec": {"rules": [rule("X", namespaces=["bank"])]}})
    assert rule_on(policy(AUTO), invalid).tier is Tier.AUTO_LOW_RISK


def test_every_matching_rule_is_recorded_strictest_first() -> None:
    ruling = rule_on(policy(AUTO, HUMAN), policy(NEVER, name="b"))
    assert [(r.policy, r.rule, r.tier) for r in ruling.rules] == [
        ("b", "never", Tier.FORBIDDEN),
        ("shop", "human", Tier.HUMAN_APPROVAL),
        ("shop", "auto", Tier.AUTO_LOW_RISK),
    ]


def test_a_plan_is_as_strict_as_its_strictest_action() -> None:
    rules = policy(rule("AutoLowRisk", "r", match={"actionTypes": ["RestartDeployment"]}))
    both = plan(restart(), scale(3))
    assert rule_on(rules, of=both).tier is Tier.FORBIDDEN
    assert rule_on(rules, policy(rule(name="s", match=SCALES)), of=both).tier is Tier.HUMAN_APPROVAL


def test_the_shortest_expiry_wins() -> None:
    ruling = rule_on(policy(rule(name="a", expiresAfter="1h30m"), rule(name="b", expiresAfter="20m")))
    assert ruling.expires_after == timedelta(minutes=20)


UID = f"uid-deployments-{NS}-payments"


@pytest.mark.parametrize(
    ("action", "target", "reason"),
    [
        (restart(namespace="bank"), Target(UID, 2), "CrossNamespace"),
        (restart(), None, "TargetNotFound"),
        (restart(), Target("another", 2), "TargetReplaced"),
        (restart(), Target(UID, 2, deleting=True), "TargetDeleting"),
        (restart(), Target(UID, 2, paused=True), "TargetPaused"),
        (scale(3), Target(UID, 2, autoscaler="hpa"), "ManagedByAutoscaler"),
        (scale(2), Target(UID, 2), "NoChange"),
        (scale(11), Target(UID, 9), "TooManyReplicas"),
        (scale(6), Target(UID, 2), "ReplicaChangeTooLarge"),
        (scale(1), Target(UID, 5), "ReplicaChangeTooLarge"),
    ],
)
def test_what_no_policy_can_waive(action: Action, target: Target | None, reason: str) -> None:
    ruling = rule_on(policy(AUTO), of=plan(action), target=target)
    assert (ruling.tier, ruling.reason) == (Tier.FORBIDDEN, reason)


HPA = "HorizontalPodAutoscaler hpa sets the replicas of deploy/payments"
WHY = [
    (restart(namespace="bank"), LIVE, "deploy/payments is in bank, the plan in shop; they must be the same"),
    (restart(namespace=""), LIVE, "deploy/payments is in no namespace, the plan in shop; they must be the same"),
    (
        scale(3),
        Target(UID, 2, autoscaler="hpa"),
        f"{HPA} and would undo this; change its minReplicas or maxReplicas instead",
    ),
    (scale(11), Target(UID, 9), "11 replicas are more than the 10 that policy allows"),
]


@pytest.mark.parametrize(("action", "target", "message"), WHY)
def test_a_refusal_says_why(action: Action, target: Target, message: str) -> None:
    assert rule_on(policy(AUTO), of=plan(action), target=target).message == message


def test_as_many_replicas_as_policy_allows_are_allowed() -> None:
    assert rule_on(policy(AUTO), of=plan(scale(10)), target=Target(UID, 9)).tier is Tier.AUTO_LOW_RISK


def test_where_no_rule_says_how_long_people_have_half_an_hour() -> None:
    ruling = rule_on(read_policy({"metadata": {"name": "broken"}, "spec": {"rules": "none"}}))
    assert (ruling.tier, ruling.expires_after) == (Tier.HUMAN_APPROVAL, timedelta(minutes=30))


def test_an_autoscaler_does_not_stop_a_restart() -> None:
    assert rule_on(policy(AUTO), target=Target(UID, 2, autoscaler="hpa")).tier is Tier.AUTO_LOW_RISK


def test_two_actions_of_one_type_on_one_target_contradict() -> None:
    ruling = rule_on(policy(AUTO), of=plan(scale(3), scale(4, action_id="again")))
    assert (ruling.tier, ruling.reason) == (Tier.FORBIDDEN, "ContradictoryActions")
    assert ruling.message == "2 actions of type ScaleDeployment on the same target payments"


def test_an_ended_incident_needs_nothing() -> None:
    assert rule_on(policy(AUTO), incident_ended=True).reason == "IncidentEnded"


def executed(name: str, minutes_ago: int, phase: ActionPhase = ActionPhase.SUCCEEDED) -> ActionPlan:
    at = START - timedelta(minutes=minutes_ago)
    return plan(name=name, execution={"phase": phase.value, "reason": "X", "startedAt": at.isoformat()})


def waiting(name: str, state: str) -> ActionPlan:
    decision = {
        "tier": "HumanApproval", "reason": "X", "message": "", "planDigest": "sha256:" + "0" * 64,
        "requiredApprovals": 1, "decidedAt": START.isoformat(), "expiresAt": START.isoformat(),
    }  # fmt: skip
    return plan(name=name, state=state, decision=decision)


@pytest.mark.parametrize(
    ("others", "limited"),
    [
        ([executed("a", 10), executed("b", 50)], True),
        ([executed("a", 10), executed("b", 61)], False),
        ([executed("a", 10), executed("b", 10, ActionPhase.REFUSED)], False),
        ([executed("a", 10), executed("b", 10, ActionPhase.FAILED)], True),
        ([executed("a", 10), waiting("b", "AwaitingApproval")], True),
        ([executed("a", 10), waiting("b", "Expired")], False),
        ([waiting("a", "Approved"), waiting("b", "AwaitingApproval")], True),
    ],
)
def test_s9_the_rate_limit_counts_objects(others: list[ActionPlan], limited: bool) -> None:
    ruling = rule_on(policy(rule("AutoLowRisk", limits={"maxPerHour": 2})), others=tuple(others))
    assert (ruling.reason == "RateLimited") is limited


@pytest.mark.parametrize(
    ("pattern", "namespace", "matches"),
    [("shop", "shop", True), ("shop", "shopping", False), ("shop*", "shopping", True), ("*", "any", True),
     ("a*z", "abcz", True), ("a*z", "abc", False), ("s-p", "s.p", False)],
)  # fmt: skip
def test_namespace_patterns(pattern: str, namespace: str, matches: bool) -> None:
    assert matches_namespace([pattern], namespace) is matches


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("1h30m", 5400), ("90s", 90), ("", None), ("5", None), ("5d", None), ("m5", None)],
)
def test_durations(text: str, seconds: int | None) -> None:
    if seconds is None:
        with pytest.raises(ValueError, match="not a duration"):
            parse_duration(text)
    else:
        assert parse_duration(text).total_seconds() == seconds


# --- generated: whatever the policies say, the ruling is never looser than any word on it ---

PLANS = 10_000
ACTIONS = ((restart(),), (scale(3),), (restart(), scale(3)))


def random_rule(rng: random.Random) -> dict[str, Any]:
    """As the wire has it; some make no sense."""
    match = {
        "actionTypes": ["RestartDeployment", "ScaleDeployment"],
        "causeKinds": ["MemoryLeak", "BadRollout"],
        "severities": ["low", "high"],
    }
    return rule(
        tier=rng.choice([*(tier.value for tier in Tier), Tier.AUTO_LOW_RISK.value] * 6 + ["Nonsense"]),
        name=rng.choice("abcdefgh"),
        namespaces=rng.choices([NS, "sh*", "*", "bank"], weights=[6, 2, 1, 2], k=rng.randint(1, 2)),
        match={key: rng.sample(values, rng.randint(1, 2)) for key, values in match.items() if rng.random() < 0.3},
        minConfidencePercent=rng.choice([0, 0, 50, 90, 100]),
        requiredApprovals=rng.randint(1, 5),
        expiresAfter=rng.choice(["1m", "30m", "24h"] * 20 + ["25h", "0s", "x"]),
    )


def words_on(action: Action, raw: dict[str, Any], confidence: int, severity: Severity) -> Tier | None:
    """An independent, slow reading of one raw rule: its word on this action, or None."""
    match = raw["match"]
    if not any(name in (NS, "sh*", "*") for name in match["namespaces"]):
        return None
    if match.get("actionTypes") and action.type.value not in match["actionTypes"]:
        return None
    if match.get("causeKinds") and "MemoryLeak" not in match["causeKinds"]:
        return None
    if match.get("severities") and severity.value not in match["severities"]:
        return None
    tier = Tier(raw["tier"])
    if tier is Tier.READ_ONLY or (tier is Tier.AUTO_LOW_RISK and confidence < raw["minConfidencePercent"]):
        return Tier.HUMAN_APPROVAL
    return tier


@dataclass(frozen=True)
class Sample:
    """A policy as on the wire and as read."""

    raw: list[dict[str, Any]]
    entry: PolicyEntry


def test_no_generated_plan_runs_above_its_tier() -> None:
    """10,000 plans under up to four of 400 policies, valid and not; the seed is fixed, so a failure repeats."""
    rng = random.Random(20260102)
    raws = [[random_rule(rng) for _ in range(rng.choice([0] + [1, 2, 3] * 6))] for _ in range(400)]
    pool = [Sample(raw, policy(*raw, name=f"p{index}")) for index, raw in enumerate(raws)]
    plans = [plan(*rng.choice(ACTIONS), confidence=rng.randint(0, 100)) for _ in range(300)]
    seen: Counter[Tier] = Counter()
    for _ in range(PLANS):
        samples = rng.sample(pool, rng.randint(0, 4))
        of, severity = rng.choice(plans), rng.choice([Severity.LOW, Severity.HIGH])
        seen[check_ruling(samples, of, severity)] += 1
    # A generator that never gets anywhere near auto would prove nothing.
    assert min(seen[tier] for tier in (Tier.AUTO_LOW_RISK, Tier.HUMAN_APPROVAL, Tier.FORBIDDEN)) > 100


def check_ruling(samples: list[Sample], of: ActionPlan, severity: Severity) -> Tier:
    entries = tuple(sample.entry for sample in samples)
    confidence = of.spec.confidence_percent
    ruling = rule_on(*entries, of=of, severity=severity)
    valid = [raw for sample in samples if sample.entry.valid for raw in sample.raw]
    for action in of.spec.actions:
        heard = [word for raw in valid if (word := words_on(action, raw, confidence, severity))]
        assert all(STRICTNESS[ruling.tier] >= STRICTNESS[word] for word in heard)
        assert heard or ruling.tier is not Tier.AUTO_LOW_RISK
    if ruling.tier is Tier.AUTO_LOW_RISK:
        assert all(entry.valid or not matches_namespace(entry.namespaces, NS) for entry in entries)
    assert entries or ruling.tier is Tier.FORBIDDEN
    assert (ruling.required_approvals >= 1) is (ruling.tier is Tier.HUMAN_APPROVAL)
    assert ruling.tier is not Tier.READ_ONLY
    assert tier_now(Observed(of, severity, entries, {a.id: LIVE for a in of.spec.actions}), START).tier is ruling.tier
    assert len(ruling.rules) <= 16
    return ruling.tier
