"""S3: 10,000 generated plans under generated policies; none runs above its tier, whatever becomes of the policies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, event, given, seed, settings
from hypothesis import strategies as st

from controllers.approval import decide as approval
from controllers.policy.decide import Observed, Ruling, decide, tier_now
from controllers.policy.match import matches_namespace
from controllers.policy.target import Target
from controllers.policy.validity import PolicyEntry, read_policy
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actionpolicy import Tier
from crds.v1alpha1.actions import Action
from crds.v1alpha1.approval import Approval, ApprovalState
from crds.v1alpha1.base import Severity
from tests.fakes.chain import NS, PLATFORM, REQUESTER, restart, scale
from tests.fakes.kube import START
from tests.unit.controllers.policy.world import HEX, UID, plan
from tests.unit.safety.amount import amount

ALL = settings(max_examples=amount(10_000), deadline=None, suppress_health_check=list(HealthCheck), database=None)
ORDER = [Tier.AUTO_LOW_RISK, Tier.HUMAN_APPROVAL, Tier.FORBIDDEN]
TIERS = [tier.value for tier in Tier]
PEOPLE = ["alice", "bob", "carol", REQUESTER, f"system:serviceaccount:{PLATFORM}:iirp-policy", "eve"]
NAMESPACES = st.sampled_from([[NS], ["*"], ["sho*"], ["other"], [NS, "other"]])
BROKEN = [
    {},
    {"rules": []},
    {"rules": [{"name": "x", "match": {"namespaces": [NS]}, "tier": "Sometimes"}]},
    {"rules": "all"},
]


@st.composite
def rules(draw: st.DrawFn, number: int = 0) -> dict[str, Any]:
    match: dict[str, Any] = {"namespaces": draw(NAMESPACES)}
    if draw(st.booleans()):
        match["actionTypes"] = draw(st.lists(st.sampled_from(["RestartDeployment", "ScaleDeployment"]), max_size=2))
    if draw(st.integers(0, 4)) == 0:
        match["causeKinds"] = [draw(st.sampled_from(["MemoryLeak", "Other"]))]
    rule: dict[str, Any] = {"name": f"r{number}", "match": match, "tier": draw(st.sampled_from(TIERS))}
    if draw(st.booleans()):
        rule["requiredApprovals"] = draw(st.integers(0, 6))
    if draw(st.integers(0, 3)) == 0:
        rule["approvers"] = draw(st.lists(st.sampled_from(PEOPLE), max_size=3))
    return rule


@st.composite
def entries(draw: st.DrawFn) -> tuple[PolicyEntry, ...]:
    """Up to three policies of up to three rules, some of them broken."""
    found = []
    for number in range(draw(st.integers(0, 3))):
        broken = draw(st.integers(0, 6)) == 0
        made = {"rules": [draw(rules(n)) for n in range(draw(st.integers(1, 3)))]}
        spec = draw(st.sampled_from(BROKEN)) if broken else made
        found.append(read_policy({"metadata": {"name": f"p{number}"}, "spec": spec}))
    return tuple(found)


plans = st.lists(
    st.sampled_from([restart(), scale(3), scale(1)]), min_size=1, max_size=2, unique_by=lambda action: action.id
)
words = st.lists(st.tuples(st.sampled_from(PEOPLE), st.sampled_from(["approve", "reject"])), max_size=6)


def observed(of: ActionPlan, policies: tuple[PolicyEntry, ...]) -> Observed:
    # Every plan here is the platform's own: a person's never runs by itself anyway.
    targets = {action.id: Target(uid=UID, replicas=2) for action in of.spec.actions}
    return Observed(of, Severity.HIGH, policies, targets, proposer=REQUESTER)


def loosest_allowed(actions: list[Action], policies: tuple[PolicyEntry, ...]) -> Tier:
    """What the policies say, told a second time, as simply as possible: the strictest word; none is Forbidden."""
    said = [Tier.HUMAN_APPROVAL for entry in policies if not entry.valid and matches_namespace(entry.namespaces, NS)]
    invalid = bool(said)
    for action in actions:
        mine = [
            Tier.HUMAN_APPROVAL if rule.tier is Tier.READ_ONLY else rule.tier
            for entry in policies
            if entry.spec is not None
            for rule in entry.spec.rules
            if matches_namespace(rule.match.namespaces, NS)
            and (not rule.match.action_types or action.type in rule.match.action_types)
            and (not rule.match.cause_kinds or "MemoryLeak" in rule.match.cause_kinds)
        ]
        if not mine and not invalid:
            return Tier.FORBIDDEN
        said += mine
    return max(said, key=ORDER.index, default=Tier.FORBIDDEN)


@dataclass(frozen=True)
class Asked:
    """A decided plan with the Approval that policy asks for it, and what was said."""

    plan: ActionPlan
    approval: Approval


def asked(of: ActionPlan, ruling: Ruling, said: list[tuple[str, str]]) -> Asked:
    expires = (START + timedelta(minutes=30)).isoformat()
    decision = {
        "tier": ruling.tier.value, "reason": ruling.reason, "message": ruling.message[:1000], "planDigest": HEX,
        "requiredApprovals": ruling.required_approvals, "decidedAt": START.isoformat(), "expiresAt": expires,
    }  # fmt: skip
    decided = plan(*of.spec.actions, decision=decision)
    spec = {
        "planRef": {"name": decided.metadata.name, "uid": decided.metadata.uid}, "planDigest": HEX, "summary": "x",
        "tier": ruling.tier.value, "requestedBy": REQUESTER, "requiredApprovals": ruling.required_approvals,
        "approvers": list(ruling.approvers), "expiresAt": expires,
        "decisions": [{"by": by, "verdict": verdict, "planDigest": HEX} for by, verdict in said],
    }  # fmt: skip
    metadata = {"name": decided.metadata.name, "namespace": NS, "uid": "uid-approval"}
    return Asked(decided, Approval.from_wire({"metadata": metadata, "spec": spec}))


@seed(3)
@ALL
@given(plans, entries(), words)
def test_s3_nothing_runs_above_its_tier(
    actions: list[Action], policies: tuple[PolicyEntry, ...], said: list[tuple[str, str]]
) -> None:
    of = plan(*actions)
    ruling = decide(observed(of, policies), START)
    event(ruling.tier.value)
    allowed = loosest_allowed(actions, policies)
    assert ORDER.index(ruling.tier) >= ORDER.index(allowed), (ruling, allowed)
    assert (ruling.required_approvals >= 1) == (ruling.tier is Tier.HUMAN_APPROVAL)
    if ruling.tier is Tier.FORBIDDEN:
        return
    case = asked(of, ruling, said)
    verdict = approval.decide(approval.Observed(case.approval, case.plan, HEX, PLATFORM), START)
    ours = f"system:serviceaccount:{PLATFORM}:"
    people = [(by, word) for by, word in said if not by.startswith(ours)]
    approvers = {by for by, word in people if word == "approve" and by != REQUESTER}
    approvers &= set(ruling.approvers) or approvers
    enough = len(approvers) >= ruling.required_approvals and not any(word == "reject" for _, word in people)
    assert (verdict.state is ApprovalState.APPROVED) == enough
    assert bool(verdict.granted) == enough


@seed(33)
@settings(ALL, max_examples=amount(3000))
@given(plans, entries(), entries())
def test_s3_policies_that_change_after_the_approval_only_ever_make_it_stricter(
    actions: list[Action], before: tuple[PolicyEntry, ...], after: tuple[PolicyEntry, ...]
) -> None:
    """Deleted, broken or contradictory by now: the plan's tier is never looser than what the policies of now say."""
    of = plan(*actions)
    first = decide(observed(of, before), START)
    now = tier_now(observed(of, after), START)
    assert ORDER.index(now.tier) >= ORDER.index(loosest_allowed(actions, after))
    if not after:
        assert now.tier is Tier.FORBIDDEN
    event(f"{first.tier.value} then {now.tier.value}")


@seed(333)
@settings(ALL, max_examples=amount(2000))
@given(plans, st.sampled_from(BROKEN), entries())
def test_s3_a_broken_policy_never_lets_a_plan_run_by_itself_where_it_is_named(
    actions: list[Action], broken: dict[str, Any], others: tuple[PolicyEntry, ...]
) -> None:
    spec = {**broken, "rules": [{"match": {"namespaces": [NS]}, "tier": "Sometimes"}]}
    entry = read_policy({"metadata": {"name": "broken"}, "spec": spec})
    assert not entry.valid
    assert decide(observed(plan(*actions), (*others, entry)), START).tier is not Tier.AUTO_LOW_RISK
