"""Blast radius, rates, loop breaker, oscillation guard, circuit breaker."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controllers.policy.target import Target, read_target
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actionpolicy import Tier
from crds.v1alpha1.actions import Action
from crds.v1alpha1.base import LocalRef
from tests.fakes.chain import NS, deployment, restart, rule, scale
from tests.fakes.kube import START
from tests.fakes.workloads import daemon_set, pause, rollback
from tests.unit.controllers.policy.world import UID, done, plan, policy, rule_on


def auto(**limits: Any) -> Any:
    return policy(rule("AutoLowRisk", "auto", limits=limits))


BUDGETS = {"respectDisruptionBudgets": True}


@pytest.mark.parametrize(
    ("action", "target", "limits", "reason"),
    [
        (restart(), Target(UID, 4, ready=4, unavailable=1), {"maxUnavailablePercent": 25}, ""),
        (restart(), Target(UID, 4, ready=4, unavailable=2), {"maxUnavailablePercent": 49}, "BlastRadius"),
        (restart(), Target(UID, 1, ready=1, unavailable=1), {"maxUnavailablePercent": 99}, "BlastRadius"),
        (scale(2), Target(UID, 4, ready=4), {"maxUnavailablePercent": 50}, ""),
        (scale(1), Target(UID, 4, ready=4), {"maxUnavailablePercent": 50}, "BlastRadius"),
        (scale(6), Target(UID, 4, ready=0), {"minReadyPercent": 100}, ""),
        (restart(), Target(UID, 4, ready=3, unavailable=1), {"minReadyPercent": 50}, ""),
        (restart(), Target(UID, 4, ready=2, unavailable=1), {"minReadyPercent": 50}, "TooFewReady"),
        (restart(), Target(UID, 4, ready=0, unavailable=1), {"minReadyPercent": 1}, "TooFewReady"),
        (restart(), Target(UID, 4, ready=0, unavailable=1), {}, ""),
        (restart(), Target(UID, 4, ready=4, unavailable=2, budget="b", disruptions_allowed=1), {}, ""),
        (restart(), Target(UID, 4, unavailable=2, budget="b", disruptions_allowed=1), BUDGETS, "DisruptionBudget"),
        (restart(), Target(UID, 4, unavailable=1, budget="b", disruptions_allowed=1), BUDGETS, ""),
        (restart(), Target(UID, 4, unavailable=1), {"respectDisruptionBudgets": True}, ""),
        (restart(), Target(UID, 4, ready=4, nodes=2), {"maxNodes": 2}, ""),
        (restart(), Target(UID, 4, ready=4, nodes=3), {"maxNodes": 2}, "TooManyNodes"),
        (restart(), Target(UID, 4, ready=4, nodes=3), {}, ""),
        (rollback(), Target(UID, 4, ready=4, nodes=3), {"maxNodes": 2}, "TooManyNodes"),
        (scale(2), Target(UID, 4, ready=4, nodes=4), {"maxNodes": 2}, ""),
        (scale(1), Target(UID, 4, ready=4, nodes=4), {"maxNodes": 2}, "TooManyNodes"),
        (scale(6), Target(UID, 4, ready=4, nodes=4), {"maxNodes": 1}, ""),
        (pause(), Target(UID, 4, ready=4, nodes=4), {"maxNodes": 1}, ""),
    ],
)  # fmt: skip
def test_the_blast_radius_is_bounded(action: Action, target: Target, limits: dict[str, Any], reason: str) -> None:
    ruling = rule_on(auto(**limits), of=plan(action), target=target)
    assert ruling.reason == (reason or "AllowedByPolicy")


@pytest.mark.parametrize(
    ("target", "limits", "message"),
    [
        (
            Target(UID, 4, ready=4, unavailable=2),
            {"maxUnavailablePercent": 49},
            "2 of 4 pods would be gone at once; policy allows 49 %",
        ),
        (
            Target(UID, 100, ready=51, unavailable=1),
            {"minReadyPercent": 51},
            "50 of 100 pods would be left ready; policy asks for 51 %",
        ),
        (Target(UID, 100, ready=52, unavailable=1), {"minReadyPercent": 51}, ""),
        (Target(UID, 100, ready=51, unavailable=0), {"minReadyPercent": 60}, ""),
        (
            Target(UID, 4, ready=4, unavailable=2, budget="web", disruptions_allowed=1),
            BUDGETS,
            "2 pods would be gone at once; budget web allows 1 now",
        ),
    ],
)
def test_a_broken_bound_is_told_in_numbers(target: Target, limits: dict[str, Any], message: str) -> None:
    ruling = rule_on(auto(**limits), target=target)
    assert ruling.message.endswith(message or "may run by itself")
    assert ruling.message.startswith("deploy/payments: ") is bool(message)


def test_the_strictest_limit_of_all_rules_holds() -> None:
    loose = rule("AutoLowRisk", "a", limits={"maxUnavailablePercent": 100, "respectDisruptionBudgets": True})
    strict = rule("AutoLowRisk", "b", limits={"maxUnavailablePercent": 10, "minReadyPercent": 50})
    target = Target(UID, 4, ready=4, unavailable=1)
    assert rule_on(policy(loose, strict), target=target).reason == "BlastRadius"
    target = Target(UID, 100, ready=50, unavailable=1, budget="b")
    assert rule_on(policy(loose, strict), target=target).reason == "TooFewReady"
    target = Target(UID, 100, ready=90, unavailable=1, budget="b")
    assert rule_on(policy(loose, strict), target=target).reason == "DisruptionBudget"
    wide, narrow, open_ = (rule("AutoLowRisk", f"n{n}", limits={"maxNodes": n} if n else {}) for n in (9, 2, 0))
    assert rule_on(policy(wide, narrow, open_), target=Target(UID, 4, nodes=3)).reason == "TooManyNodes"


def test_each_rule_whose_own_bound_breaks_says_so() -> None:
    rules = policy(rule("AutoLowRisk", "wide", limits={"maxNodes": 9}), rule(name="narrow", limits={"maxNodes": 2}))
    ruling = rule_on(rules, target=Target(UID, 4, nodes=3))
    assert (ruling.reason, ruling.message) == ("TooManyNodes", ruling.rules[0].message)
    said = [(found.rule, found.tier.value, found.message) for found in ruling.rules]
    assert said == [
        ("narrow", "Forbidden", "deploy/payments: pods on 3 nodes would go; policy allows 2"),
        ("wide", "AutoLowRisk", "may run by itself"),
    ]


def pod(name: str, node: str, app: str = "payments", phase: str = "Running") -> dict[str, Any]:
    spec = {"containers": [], **({"nodeName": node} if node else {})}
    metadata = {"name": name, "namespace": NS, "uid": name, "labels": {"app": app, "tier": "back"}}
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase}}


PODS_OF = [
    pod("a", "n1"), pod("b", "n2"), pod("c", "n2"), pod("d", ""), pod("e", "n3", app="cart"),
    pod("f", "n4", phase="Succeeded"), pod("g", "n5", phase="Failed"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "nodes"),
    [
        (deployment(), 2),
        (deployment(selector={"matchExpressions": [{"key": "tier", "operator": "In", "values": ["back"]}]}), 3),
        (deployment("other"), 0),
        (pod("a", "n1"), 1),
        (pod("d", ""), 0),
        (daemon_set(nodes=7), 7),
    ],
)
def test_nodes_are_those_of_the_pods_that_live(body: dict[str, Any], nodes: int) -> None:
    found = read_target(body, pods=PODS_OF)
    assert (found.nodes, found.document()["nodes"]) == (nodes, nodes)


@pytest.mark.parametrize(
    ("strategy", "replicas", "unavailable"),
    [
        ({}, 8, 2),
        ({}, 3, 0),
        ({"type": "Recreate"}, 3, 3),
        ({"rollingUpdate": {"maxUnavailable": "50%"}}, 5, 2),
        ({"rollingUpdate": {"maxUnavailable": 2}}, 5, 2),
        ({"rollingUpdate": {"maxUnavailable": 9}}, 5, 5),
    ],
)
def test_a_rollout_takes_what_its_strategy_says(strategy: dict[str, Any], replicas: int, unavailable: int) -> None:
    body = deployment(replicas=replicas, strategy=strategy)
    assert read_target(body).unavailable == unavailable


def budget(name: str, allowed: int, selector: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"selector": selector}, "status": {"disruptionsAllowed": allowed}}


def expression(operator: str, *values: str, key: str = "app") -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("budgets", "name", "allowed"),
    [
        ([], "", 0),
        ([budget("a", 2, {"matchLabels": {"app": "payments"}})], "a", 2),
        ([budget("a", 2, {}), budget("b", 1, {"matchLabels": {"app": "payments"}})], "b", 1),
        ([budget("a", 2, None)], "", 0),
        ([budget("a", 2, {"matchLabels": {"app": "payments", "x": "y"}})], "", 0),
        ([budget("a", 1, expression("In", "payments", "cart"))], "a", 1),
        ([budget("a", 1, expression("In", "cart"))], "", 0),
        ([budget("a", 1, expression("NotIn", "cart"))], "a", 1),
        ([budget("a", 1, expression("NotIn", "payments"))], "", 0),
        ([budget("a", 1, expression("Exists"))], "a", 1),
        ([budget("a", 1, expression("Exists", key="x"))], "", 0),
        ([budget("a", 1, expression("DoesNotExist"))], "", 0),
        ([budget("a", 1, expression("DoesNotExist", key="x"))], "a", 1),
        ([budget("a", 1, expression("Later"))], "a", 1),
    ],
)
def test_the_tightest_budget_of_the_pods_counts(budgets: list[dict[str, Any]], name: str, allowed: int) -> None:
    found = read_target(deployment(), "hpa", budgets)
    assert (found.budget, found.disruptions_allowed, found.autoscaler) == (name, allowed, "hpa")


def test_a_pods_budget_is_that_of_its_own_labels() -> None:
    """Deleting a pod asks no budget by itself; that no policy's limit passes it by, the budget has to be found."""
    own, other = (
        budget("back", 0, {"matchLabels": {"tier": "back"}}),
        budget("cart", 1, {"matchLabels": {"app": "cart"}}),
    )
    found = read_target(pod("a", "n1"), budgets=[other, own])
    assert (found.budget, found.disruptions_allowed) == ("back", 0)


def test_a_daemon_set_that_says_no_number_of_ready_pods_has_none() -> None:
    body = daemon_set(nodes=3)
    del body["status"]["numberReady"]
    assert (read_target(body).replicas, read_target(body).ready) == (3, 0)


def test_a_target_as_conditions_see_it() -> None:
    body = deployment(replicas=8)
    body["metadata"]["labels"] = {"a": "b"}
    assert read_target(body).document() == {
        "replicas": 8, "readyReplicas": 8, "maxUnavailable": 2, "nodes": 0, "autoscaler": "", "disruptionBudget": "",
        "disruptionsAllowed": 0, "labels": {"a": "b"},
    }  # fmt: skip


# --- rates over namespace and cluster ---


def elsewhere(name: str, hours_ago: float, *outcome: Any) -> ActionPlan:
    found = done(name, hours_ago, *outcome)
    return found.model_copy(update={"metadata": found.metadata.model_copy(update={"namespace": "bank"})})


CART = restart("cart")


@pytest.mark.parametrize(
    ("limits", "others", "bank", "limited"),
    [
        ({"maxPerHour": 2}, [done("a", 0.5), done("b", 0.5)], [], True),
        ({"maxPerHour": 2}, [done("a", 0.5), done("b", 0.5, "Effective", CART)], [], False),
        ({"maxPerHourInNamespace": 2}, [done("a", 0.5), done("b", 0.5, "Effective", CART)], [], True),
        ({"maxPerHourInNamespace": 2}, [done("a", 0.5), done("b", 1.5, "Effective", CART)], [], False),
        ({"maxPerHourInNamespace": 2}, [done("a", 0.5)], [elsewhere("b", 0.5)], False),
        ({"maxPerHourInCluster": 2}, [done("a", 0.5)], [elsewhere("b", 0.5)], True),
        ({"maxPerHourInCluster": 2}, [done("a", 0.5)], [elsewhere("b", 1.5)], False),
        ({"maxPerHour": 0}, [], [], True),
    ],
)
def test_s9_rates_hold_over_target_namespace_and_cluster(
    limits: dict[str, Any], others: list[ActionPlan], bank: list[ActionPlan], limited: bool
) -> None:
    ruling = rule_on(auto(**limits), others=(*others, *bank))
    assert (ruling.reason == "RateLimited") is limited
    ((name, most),) = limits.items()
    where = {
        "maxPerHour": "deploy/payments",
        "maxPerHourInNamespace": "namespace shop",
        "maxPerHourInCluster": "cluster",
    }
    told = f"{where[name]}: {most} plans ran or wait within the hour; policy allows {most}"
    assert (ruling.message == told) is limited


# --- guards ---


@pytest.mark.parametrize(
    ("action", "others", "refused"),
    [
        (restart(), [done("a", 2, "Ineffective")], True),
        (restart(), [done("a", 7, "Ineffective")], False),
        (restart(), [done("a", 2, "Effective")], False),
        (restart(), [done("a", 2, "Inconclusive")], False),
        (restart(), [done("a", 2, "RecoveredAnyway")], False),
        (restart(), [done("a", 2, None, phase="Failed")], True),
        (restart(), [done("a", 2, None, phase="Failed", reason="RolloutStalled")], True),
        (restart(), [done("a", 2, None, phase="Failed", reason="Overwritten")], False),
        (restart(), [done("a", 2, None, phase="Failed", reason="TargetGone")], False),
        (restart(), [done("a", 2, None, phase="Refused")], False),
        (restart(), [done("a", 3, "Ineffective"), done("b", 2, "Effective")], False),
        (restart(), [done("b", 3, "Effective"), done("a", 2, "Ineffective")], True),
        (restart(), [done("a", 3, "Ineffective"), done("b", 2, "Inconclusive")], True),
        (restart(), [done("a", 2, "Ineffective", CART)], False),
        (restart(), [done("a", 2, "Ineffective", cause="Other")], False),
        (restart(), [done("a", 2, "Ineffective", scale(3))], False),
        (scale(3), [done("a", 2, "Ineffective", scale(3))], True),
        (scale(4), [done("a", 2, "Ineffective", scale(3))], False),
        (restart(), [elsewhere("a", 2)], False),
    ],
)
def test_what_did_not_help_is_not_tried_again(action: Action, others: list[ActionPlan], refused: bool) -> None:
    ruling = rule_on(auto(), of=plan(action), others=tuple(others))
    assert (ruling.reason == "AlreadyIneffective") is refused
    if refused:
        assert "did not help against MemoryLeak (shop/" in ruling.message


@pytest.mark.parametrize("undoes", [False, True])
def test_taking_back_what_stalled_is_no_second_try(undoes: bool) -> None:
    failed = done("a", 0.1, None, rollback(), phase="Failed", reason="RolloutStalled")
    back = plan(rollback("payments-7d9e", 7), undoes=failed.ref() if undoes else None)
    ruling = rule_on(auto(), of=back, others=(failed,))
    assert ruling.reason == ("AllowedByPolicy" if undoes else "AlreadyIneffective")


def test_how_long_is_for_policy_to_say() -> None:
    others = (done("a", 2, "Ineffective"),)
    assert rule_on(auto(retryIneffectiveAfter="1h"), others=others).tier is Tier.AUTO_LOW_RISK
    assert rule_on(auto(retryIneffectiveAfter="1h"), auto(), others=others).reason == "AlreadyIneffective"


@pytest.mark.parametrize(
    ("counts", "now", "wanted", "refused"),
    [
        ([], 2, 3, False),
        ([(0.5, 4)], 4, 2, False),
        ([(0.8, 4), (0.5, 2)], 2, 4, False),
        ([(0.9, 4), (0.6, 2), (0.3, 4)], 4, 2, True),
        ([(1.9, 4), (0.6, 2), (0.3, 4)], 4, 2, False),
        ([(0.9, 2), (0.6, 3), (0.3, 4)], 4, 5, False),
        ([(0.9, 4), (0.6, 2), (0.3, 2)], 2, 4, False),
    ],
)
def test_no_swinging_up_and_down(counts: list[tuple[float, int]], now: int, wanted: int, refused: bool) -> None:
    others = tuple(done(f"p{i}", ago, "Inconclusive", scale(n)) for i, (ago, n) in enumerate(counts))
    ruling = rule_on(auto(), of=plan(scale(wanted)), target=Target(UID, now, ready=now), others=others)
    assert (ruling.reason == "Oscillating") is refused
    if refused:
        assert ruling.message == "deploy/payments would swing (4, 2, 4, 2 replicas within the hour)"


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([(2, 4), (4, 2)], "2, 4, 2, 4"),
        ([(4, 4), (4, 2)], ""),
        ([(None, 4), (4, 2)], ""),
        ([(None, 4), (2, 3)], "4, 2, 3, 2, 4"),  # somebody else took the replicas away in between
        ([(None, 1), (1, 2)], ""),
    ],
)
def test_what_a_scale_found_counts_as_what_it_set(steps: list[tuple[int | None, int]], told: str) -> None:
    """2, 4, 2 and 4 again is an oscillation, although only the second 4 is about to be set."""
    others = [
        done(f"p{n}", 0.8 - n / 10, "Inconclusive", scale(to), found=found) for n, (found, to) in enumerate(steps)
    ]
    ruling = rule_on(auto(), of=plan(scale(4)), target=Target(UID, 2, ready=2), others=others)
    assert ruling.message.removesuffix(" replicas within the hour)").partition("swing (")[2] == told


BAD = [done(f"bad{n}", 10 + n, "Ineffective", CART) for n in range(3)]


@pytest.mark.parametrize(
    ("others", "tier"),
    [
        (BAD, Tier.HUMAN_APPROVAL),
        (BAD[:2], Tier.AUTO_LOW_RISK),
        ([*BAD, done("ok", 9, "Effective", CART)], Tier.AUTO_LOW_RISK),
        ([*BAD, done("ok", 11.5, "Effective", CART)], Tier.AUTO_LOW_RISK),
        ([*BAD, done("ok", 20, "Effective", CART)], Tier.HUMAN_APPROVAL),
        ([*BAD, done("unknown", 9, "Inconclusive", CART)], Tier.HUMAN_APPROVAL),
        ([done(f"x{n}", 30, "Ineffective", CART) for n in range(3)], Tier.AUTO_LOW_RISK),
        ([done(f"x{n}", 10, "Ineffective", scale(3, "cart")) for n in range(3)], Tier.AUTO_LOW_RISK),
        ([done(f"x{n}", 10, None, CART, phase="Failed") for n in range(3)], Tier.HUMAN_APPROVAL),
    ],
)
def test_the_circuit_breaker_asks_for_a_person(others: list[ActionPlan], tier: Tier) -> None:
    ruling = rule_on(auto(), others=tuple(others))
    assert ruling.tier is tier
    if tier is Tier.HUMAN_APPROVAL:
        assert ruling.required_approvals == 1
        assert (ruling.rules[0].policy, ruling.rules[0].rule) == ("(platform)", "circuit-breaker")


def test_guards_say_which_plan_and_until_when() -> None:
    assert "the last 3 RestartDeployment failed, most lately shop/bad0; a person" in rule_on(auto(), others=BAD).message
    tried = (done("a", 2, "Ineffective"),)
    told = rule_on(auto(retryIneffectiveAfter="6h"), others=tried).message
    assert told.endswith(f"; not again before {START + timedelta(hours=4):%Y-%m-%d %H:%M}Z")


def test_the_circuit_breaker_counts_other_namespaces_and_obeys_its_limits() -> None:
    bank = [elsewhere(f"bad{n}", 10 + n, "Ineffective", CART) for n in range(3)]
    assert rule_on(auto(), others=bank).tier is Tier.HUMAN_APPROVAL
    assert rule_on(auto(breakerFailures=4), others=tuple(BAD)).tier is Tier.AUTO_LOW_RISK
    assert rule_on(auto(breakerWindow="11h30m"), others=tuple(BAD)).tier is Tier.AUTO_LOW_RISK


def test_a_target_is_read_as_it_is_served() -> None:
    body = deployment(replicas=8, paused=True)
    body["metadata"] |= {"labels": {"a": "b"}, "deletionTimestamp": "2026-01-02T03:04:05Z"}
    body["status"]["readyReplicas"] = 5
    assert read_target(body, "hpa") == Target(
        UID, 8, deleting=True, paused=True, autoscaler="hpa", ready=5, unavailable=2, labels={"a": "b"}
    )
    bare = {"metadata": {"name": "x", "uid": "u"}, "spec": {}}
    assert read_target(bare) == Target("u", 1)
    silent = {"metadata": {"name": "b"}, "spec": {"selector": {}}}
    assert read_target(deployment(), budgets=[silent]).disruptions_allowed == 0
    assert read_target(bare, budgets=[silent]).budget == "b"


def test_what_is_superseded_does_not_count_against_what_takes_its_place() -> None:
    waiting = done("old", 0.5).model_copy(deep=True)
    status = waiting.status.model_copy(update={"execution": None, "verification": None})
    waiting = waiting.model_copy(update={"status": status})
    ref = {"name": "old", "uid": waiting.metadata.uid}
    newer = plan()
    newer = newer.model_copy(update={"spec": newer.spec.model_copy(update={"supersedes": LocalRef(**ref)})})
    assert rule_on(auto(maxPerHour=1), of=newer, others=(waiting,)).tier is Tier.AUTO_LOW_RISK
    assert rule_on(auto(maxPerHour=1), others=(waiting,)).reason == "RateLimited"
    assert rule_on(auto(maxPerHour=1), of=newer, others=(done("old", 0.5),)).reason == "RateLimited"


def test_the_hour_ends_after_an_hour() -> None:
    assert rule_on(auto(maxPerHour=1), others=(done("a", 1.0),)).tier is Tier.AUTO_LOW_RISK
    assert rule_on(auto(maxPerHour=1), others=(done("a", 0.999),)).reason == "RateLimited"
