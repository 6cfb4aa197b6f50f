"""What a rule can ask beyond namespace, action, cause and severity, and what it says when it does not match."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from controllers.policy.conditions import OBJECTS, evaluate, problem_of
from controllers.policy.decide import Observed, tier_now
from controllers.policy.match import Documents
from controllers.policy.target import Target
from controllers.policy.validity import read_policy
from controllers.runtime.windows import within
from crds.v1alpha1.actionpolicy import Tier, TimeWindow
from crds.v1alpha1.actions import Action
from crds.v1alpha1.base import Severity
from tests.fakes.chain import REQUESTER, restart, rule, scale
from tests.fakes.kube import START
from tests.unit.controllers.policy.world import LIVE, UID, plan, policy, rule_on

PRODUCTION = Documents(
    incident={"metadata": {"name": "leak"}, "spec": {"type": "MemoryLeak"}, "status": {"reopened": 2}},
    report={"status": {"confidencePercent": 84, "method": "Deterministic"}},
    namespace={"metadata": {"name": "shop", "labels": {"iirp.io/environment": "production"}}},
)
LABELLED = Target(UID, 2, ready=2, labels={"tier": "front", "team": "pay"})
OFFICE = {"days": ["Mon", "Tue", "Wed", "Thu", "Fri"], "from": "08:00", "to": "18:00", "timeZone": "Europe/Berlin"}
NIGHT = {"days": ["Fri"], "from": "22:00", "to": "06:00"}


def matching(**match: Any) -> dict[str, Any]:
    return rule("AutoLowRisk", "r", match=match)


def condition(expression: str) -> dict[str, Any]:
    return matching(conditions=[{"name": "c", "expression": expression}])


# START is Friday, 2026-01-02 03:04:05 UTC.
@pytest.mark.parametrize(
    ("match", "why"),
    [
        ({"environments": ["production", "staging"]}, ""),
        ({"environments": ["staging"]}, "environment production is not staging"),
        ({"targetLabels": [{"key": "tier", "values": ["back", "front"]}]}, ""),
        ({"targetLabels": [{"key": "tier"}]}, ""),
        ({"targetLabels": [{"key": "tier", "values": ["back"]}]}, "label tier front is not back"),
        ({"targetLabels": [{"key": "tier"}, {"key": "zone"}]}, "the target has no label zone"),
        ({"windows": [{"days": ["Fri"]}]}, ""),
        ({"windows": [{"days": ["Sat"]}, {"from": "03:00", "to": "04:00"}]}, ""),
        ({"windows": [OFFICE]}, "outside Mon,Tue,Wed,Thu,Fri 08:00-18:00 Europe/Berlin"),
        ({"exceptWindows": [OFFICE]}, ""),
        ({"exceptWindows": [{"from": "03:04", "to": "03:05"}]}, "within daily 03:04-03:05 UTC"),
        ({"period": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-03T00:00:00Z"}}, ""),
        (
            {"period": {"start": "2026-01-03T00:00:00Z", "end": "2026-01-04T00:00:00Z"}},
            "outside the period 2026-01-03 00:00Z to 2026-01-04 00:00Z",
        ),
        ({"severities": ["low"]}, "severity high is not low"),
        ({"causeKinds": ["BadRollout"]}, "cause MemoryLeak is not BadRollout"),
        ({"actionTypes": ["ScaleDeployment"]}, "action RestartDeployment is not ScaleDeployment"),
        ({"conditions": [{"name": "n", "expression": "false"}]}, "condition n does not hold"),
    ],
)
def test_a_rule_matches_or_says_why_not(match: dict[str, Any], why: str) -> None:
    ruling = rule_on(policy(matching(**match)), target=LABELLED, documents=PRODUCTION)
    assert ruling.tier is (Tier.FORBIDDEN if why else Tier.AUTO_LOW_RISK)
    (recorded,) = ruling.rules
    assert recorded.matched is not bool(why)
    assert recorded.message == (why or "may run by itself")
    if why:
        assert ruling.reason == "NoMatchingRule"


def test_without_a_target_no_label_matches() -> None:
    ruling = rule_on(policy(matching(targetLabels=[{"key": "tier"}])), target=None)
    assert ruling.reason == "NoMatchingRule"


def test_a_rule_of_another_namespace_is_not_recorded() -> None:
    assert rule_on(policy(matching(), rule("Forbidden", "x", namespaces=["bank"]))).rules[0].rule == "r"
    assert len(rule_on(policy(matching(), rule("Forbidden", "x", namespaces=["bank"]))).rules) == 1


@pytest.mark.parametrize(
    ("expression", "tier"),
    [
        ("plan.spec.confidencePercent >= 84 && action.type == 'RestartDeployment'", Tier.AUTO_LOW_RISK),
        ("incident.spec.type == 'MemoryLeak' && incident.status.reopened < 3", Tier.AUTO_LOW_RISK),
        ("report.status.method == 'Deterministic' && severity == 'high'", Tier.AUTO_LOW_RISK),
        ("target.readyReplicas == 2 && target.labels['team'] == 'pay'", Tier.AUTO_LOW_RISK),
        ("now < timestamp('2026-01-03T00:00:00Z') && namespaceObject.metadata.name == 'shop'", Tier.AUTO_LOW_RISK),
        ("plan.metadata.namespace == 'shop' && plan.metadata.?labels['x'].orValue('no') == 'no'", Tier.AUTO_LOW_RISK),
        ("plan.metadata.name == 'p-1' && size(plan.metadata.labels) == 0", Tier.AUTO_LOW_RISK),
        ("severity == 'low'", Tier.FORBIDDEN),
        ("incident.spec.nonsense == 1", Tier.HUMAN_APPROVAL),
        ("incident.spec.type", Tier.HUMAN_APPROVAL),
        ("incident.spec.type > 3", Tier.HUMAN_APPROVAL),
    ],
)
def test_conditions_decide_and_doubt_means_a_person(expression: str, tier: Tier) -> None:
    ruling = rule_on(policy(condition(expression)), target=LABELLED, documents=PRODUCTION)
    assert ruling.tier is tier
    if tier is Tier.HUMAN_APPROVAL:
        assert "condition c cannot be told" in ruling.message
        assert ruling.required_approvals == 1


def test_a_false_condition_beats_one_that_cannot_be_told() -> None:
    both = [{"name": "a", "expression": "incident.x == 1"}, {"name": "b", "expression": "false"}]
    assert rule_on(policy(matching(conditions=both))).rules[0].message == "condition b does not hold"


@pytest.mark.parametrize("actions", [(restart(), scale(3)), (scale(3), restart())])
def test_of_several_actions_the_strictest_word_of_a_rule_stays(actions: tuple[Action, ...]) -> None:
    """Certain for the scale, in doubt for the restart: the plan is in doubt, in whichever order they come."""
    ruling = rule_on(policy(condition("action.type == 'ScaleDeployment' || incident.x == 1")), of=plan(*actions))
    assert (ruling.tier, len(ruling.rules)) == (Tier.HUMAN_APPROVAL, 1)
    assert "condition c cannot be told" in ruling.rules[0].message


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (rule("Forbidden", "x"), "never runs"),
        (rule("HumanApproval", "x"), "needs 1 approval"),
        (rule("HumanApproval", "x", requiredApprovals=2), "needs 2 approvals"),
        (rule("ReadOnly", "x"), "ReadOnly does not fit an action that changes a workload, so a person decides"),
        (rule("AutoLowRisk", "x"), "may run by itself"),
        (rule("AutoLowRisk", "x", minConfidencePercent=85), "confidence 84 is below 85, so a person decides"),
    ],
)
def test_a_rule_says_what_it_asks_for(one: dict[str, Any], message: str) -> None:
    assert rule_on(policy(one)).rules[0].message == message


def test_doubt_never_weakens_a_strict_rule() -> None:
    doubt = {"conditions": [{"name": "c", "expression": "incident.x == 1"}]}
    never = rule_on(policy(rule("Forbidden", "never", match=doubt)))
    assert (never.tier, never.reason) == (Tier.FORBIDDEN, "ForbiddenByPolicy")
    people = rule_on(policy(rule("HumanApproval", "two", match=doubt, requiredApprovals=2)))
    assert (people.tier, people.required_approvals) == (Tier.HUMAN_APPROVAL, 2)
    assert "cannot be told" in people.message


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("true", ""),
        ("plan.spec.x", ""),
        ("foo == 1", "undeclared reference"),
        ("1 + 1", "gives INT, not bool"),
        ("'a", "Syntax error"),
        ("now + 1", "line 1, column 5: found no matching overload"),
        ("plan.a &&\n  foo", "line 2, column 3: undeclared reference to 'foo'"),
        ("severity > 3", "no matching overload"),
    ],
)
def test_conditions_are_checked_when_the_policy_is_read(expression: str, problem: str) -> None:
    found = problem_of(expression)
    assert problem in found
    assert bool(problem) is bool(found)
    entry = policy(condition(expression))
    assert entry.valid is not bool(problem)


@pytest.mark.parametrize(
    ("expression", "holds", "problem"),
    [
        ("plan.a == 1", True, ""),
        ("plan.a == 2", False, ""),
        ("((", None, "line 1, column 3: Syntax error"),
        ("plan.a", None, "gives INT, not bool"),
        ("plan.missing == 1", None, "key not found"),
        ("1 / (plan.a - 1) == 1", None, "divide by zero"),
        ("plan.a > 'text'", None, "no matching overload"),
    ],
)
def test_a_condition_holds_or_not_or_says_why_it_cannot_be_told(
    expression: str, holds: bool | None, problem: str
) -> None:
    given = {name: {} for name in OBJECTS} | {"plan": {"a": 1}, "severity": "high", "now": START}
    answer = evaluate(expression, given)
    assert answer.holds is holds
    assert problem.lower() in answer.problem.lower()
    assert bool(problem) is bool(answer.problem)
    assert "\n" not in answer.problem


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (matching(windows=[{"timeZone": "Mars/Base"}]), "'Mars/Base' is not a time zone"),
        (matching(exceptWindows=[{"timeZone": "../etc"}]), "is not a time zone"),
        (matching(period={"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}), "ends before it starts"),
        (
            matching(conditions=[{"name": "c", "expression": "true"}] * 2),
            "two conditions have the same name",
        ),
        (rule(approvers=["alice"], requiredApprovals=2), "fewer approvers are named"),
        (rule(approvers=["alice", "alice"], requiredApprovals=2), "fewer approvers are named"),
        (rule(autonomy={}), "autonomy belongs to tier AutoLowRisk"),
        (rule(limits={"breakerWindow": "721h"}), "limits.breakerWindow 721h is not between 0m and 720h"),
        (rule(limits={"retryIneffectiveAfter": "721h"}), "limits.retryIneffectiveAfter 721h is not between"),
        (rule(expiresAfter="59s"), "expiresAfter 59s is not between 1m and 24h"),
        (rule(expiresAfter="24h1s"), "expiresAfter 24h1s is not between 1m and 24h"),
        (rule("AutoLowRisk", namespaces=["*"]), "AutoLowRisk must name its namespaces"),
    ],
)
def test_an_invalid_rule_says_why(spec: dict[str, Any], problem: str) -> None:
    entry = read_policy({"metadata": {"name": "bad"}, "spec": {"rules": [spec]}})
    assert not entry.valid
    assert any(problem in told and told.startswith(f"rule {spec['name']}: ") for told in entry.problems), entry.problems


@pytest.mark.parametrize(
    "spec",
    [
        rule(expiresAfter="1m"),
        rule(expiresAfter="24h"),
        rule(limits={"breakerWindow": "720h", "retryIneffectiveAfter": "0s"}),
        rule(approvers=["alice", "bob"], requiredApprovals=2),
        rule("AutoLowRisk", autonomy={"minSuccesses": 3}),
        matching(period={"start": "2026-01-02T00:00:00Z", "end": "2026-01-02T00:00:00Z"}),
    ],
)
def test_bounds_are_inclusive(spec: dict[str, Any]) -> None:
    assert policy(spec).problems == ()


@pytest.mark.parametrize(
    ("window", "at", "inside"),
    [
        (OFFICE, "2026-01-02T06:59", False),
        (OFFICE, "2026-01-02T07:00", True),
        (OFFICE, "2026-01-02T16:59", True),
        (OFFICE, "2026-01-02T17:00", False),
        (OFFICE, "2026-07-03T06:00", True),  # summer time
        (OFFICE, "2026-01-03T10:00", False),  # Saturday
        (NIGHT, "2026-01-02T21:59", False),
        (NIGHT, "2026-01-02T22:00", True),
        (NIGHT, "2026-01-03T05:59", True),
        (NIGHT, "2026-01-03T06:00", False),
        (NIGHT, "2026-01-02T05:00", False),  # the night before began on Thursday
        (NIGHT, "2026-01-03T23:00", False),
        ({"days": ["Fri"]}, "2026-01-02T00:00", True),
        ({"days": ["Fri"]}, "2026-01-02T23:59", True),
        ({"days": ["Fri"]}, "2026-01-03T00:00", False),
        ({}, "2026-01-03T00:00", True),
    ],
)
def test_windows(window: dict[str, Any], at: str, inside: bool) -> None:
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert within(TimeWindow.model_validate(window), moment) is inside


def test_s10_a_freeze_that_begins_ends_what_was_decided_before() -> None:
    freeze = rule("Forbidden", "f", match={"period": {"start": "2026-01-02T04:00:00Z", "end": "2026-01-03T00:00:00Z"}})
    entries = (policy(matching()), policy(freeze, name="freeze"))
    observed = Observed(plan(), Severity.HIGH, entries, {"restart": LIVE})
    assert tier_now(observed, START).tier is Tier.AUTO_LOW_RISK
    assert tier_now(observed, START.replace(hour=4)).tier is Tier.FORBIDDEN
    assert tier_now(observed, START.replace(day=3, hour=1)).tier is Tier.AUTO_LOW_RISK


def named(name: str, *people: str, required: int = 1) -> dict[str, Any]:
    return rule("HumanApproval", name, approvers=list(people), requiredApprovals=required)


@pytest.mark.parametrize(
    ("rules", "approvers", "reason"),
    [
        ([rule()], (), "ApprovalRequired"),
        ([named("a", "bob", "alice")], ("alice", "bob"), "ApprovalRequired"),
        ([named("a", "alice", "bob"), named("b", "bob", "carol"), rule()], ("bob",), "ApprovalRequired"),
        ([named("a", "alice"), named("b", "bob")], (), "TooFewApprovers"),
        ([named("a", "alice", "bob"), rule("HumanApproval", "two", requiredApprovals=3)], (), "TooFewApprovers"),
        ([named("a", REQUESTER)], (), "TooFewApprovers"),
        ([named("a", "alice", REQUESTER, required=2)], (), "TooFewApprovers"),
        ([rule("AutoLowRisk", "auto", approvers=["alice"])], (), "AllowedByPolicy"),
        ([rule("AutoLowRisk", "auto", approvers=["alice"], minConfidencePercent=99)], ("alice",), "ApprovalRequired"),
    ],
)
def test_only_people_whom_all_policies_name_may_approve(
    rules: list[dict[str, Any]], approvers: tuple[str, ...], reason: str
) -> None:
    ruling = rule_on(policy(*rules))
    assert (ruling.approvers, ruling.reason) == (approvers, reason)
    assert (ruling.tier is Tier.FORBIDDEN) is (reason == "TooFewApprovers")
    assert ruling.rules


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([named("a", "alice"), named("b", "bob")], "1 approvals are needed, and all policies together let only nobody"),
        (
            [named("a", "bob", "alice"), rule("HumanApproval", "many", requiredApprovals=3)],
            "3 approvals are needed, and all policies together let only alice, bob",
        ),
    ],
)
def test_too_few_approvers_are_named(rules: list[dict[str, Any]], message: str) -> None:
    assert rule_on(policy(*rules)).message == f"{message} approve"


def test_the_workload_class_and_the_order_are_recorded() -> None:
    target = Target(UID, 2, labels={"iirp.io/workload-class": "stateless"})
    ruling = rule_on(policy(rule(limits={"oneWorkloadAtATime": True}), rule(name="b")), target=target)
    assert (ruling.workload_class, ruling.one_at_a_time) == ("stateless", True)
    assert rule_on(policy(rule())).one_at_a_time is False
