"""Posteriors against known values; autonomy is earned slowly and lost at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controllers.policy.history import Pair, Result, outcomes
from controllers.policy.learning import beta_cdf, beta_quantile, learn, shortfall, unknown
from controllers.policy.target import Target
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actionpolicy import Autonomy, Tier
from crds.v1alpha1.actions import ActionType
from tests.fakes.chain import restart, rule, scale
from tests.fakes.kube import START
from tests.unit.controllers.policy.world import UID, done, policy, rule_on

PAIR = Pair(ActionType.RESTART_DEPLOYMENT, "MemoryLeak")
CART = restart("cart")


# Closed forms: I_x(1, b) = 1 - (1-x)^b, I_x(a, 1) = x^a, I_x(2, 2) = 3x^2 - 2x^3, symmetry at the middle.
@pytest.mark.parametrize(
    ("x", "a", "b", "share"),
    [
        (0.3, 1, 1, 0.3),
        (0.2, 1, 5, 1 - 0.8**5),
        (0.9, 1, 5, 1 - 0.1**5),
        (0.7, 6, 1, 0.7**6),
        (0.25, 2, 2, 3 * 0.0625 - 2 * 0.015625),
        (0.5, 7.5, 7.5, 0.5),
        (0.0, 2, 3, 0.0),
        (1.0, 2, 3, 1.0),
        (0.5, 400, 400, 0.5),
    ],
)
def test_the_incomplete_beta_function(x: float, a: float, b: float, share: float) -> None:
    assert beta_cdf(x, a, b) == pytest.approx(share, abs=1e-9)


@pytest.mark.parametrize(("share", "a", "b"), [(0.05, 1, 1), (0.05, 11, 1), (0.5, 3, 9), (0.95, 2.5, 4.5)])
def test_the_quantile_inverts_it(share: float, a: float, b: float) -> None:
    assert beta_cdf(beta_quantile(share, a, b), a, b) == pytest.approx(share, abs=1e-6)
    assert beta_quantile(0.05, 11, 1) == pytest.approx(0.05 ** (1 / 11), abs=1e-8)


def runs(*verdicts: str, hours: float = 24, **rest: Any) -> list[ActionPlan]:
    """One a day, newest last."""
    count = len(verdicts)
    return [done(f"r{n}", hours * (count - n), verdict, CART, **rest) for n, verdict in enumerate(verdicts)]


def test_outcomes_are_read_off_plans() -> None:
    plans = [
        done("ok", 5, "Effective", CART, workload_class="stateless", labels={"iirp.io/drill": "true"}),
        done("bad", 4, "Ineffective", scale(3)),
        done("anyway", 3, "RecoveredAnyway"),
        done("failed", 2, None, phase="Failed"),
        done("refused", 2, None, phase="Refused"),
        done("running", 1, None),
    ]
    found = outcomes(reversed(plans))
    assert [(o.plan, o.result) for o in found] == [
        ("shop/ok", Result.SUCCESS),
        ("shop/bad", Result.FAILURE),
        ("shop/anyway", Result.NOTHING),
        ("shop/failed", Result.FAILURE),
    ]
    assert found[0].pair == Pair(ActionType.RESTART_DEPLOYMENT, "MemoryLeak", "stateless")
    assert (found[0].drill, found[1].drill) == (True, False)
    assert (found[0].replicas, found[1].replicas) == (None, 3)
    assert found[0].target == ("shop", "Deployment", "cart")
    assert found[0].at == START - timedelta(hours=5)


def test_an_outcome_without_a_decision_counts_for_no_class() -> None:
    known = done("ok", 5, "Effective", CART, workload_class="stateless")
    (found,) = outcomes([known.model_copy(update={"status": known.status.model_copy(update={"decision": None})})])
    assert found.pair.workload_class == ""


def test_the_first_of_two_actions_is_not_blamed_for_the_second() -> None:
    both = done("two", 2, None, restart(), scale(3), phase="Failed")
    execution = both.status.execution
    assert execution is not None
    first = execution.actions[0].model_copy(update={"phase": "Succeeded"})
    mixed = execution.model_copy(update={"actions": [first, execution.actions[1]]})
    both = both.model_copy(update={"status": both.status.model_copy(update={"execution": mixed})})
    assert [(o.pair.action.value, o.result) for o in outcomes([both])] == [
        ("RestartDeployment", Result.NOTHING),
        ("ScaleDeployment", Result.FAILURE),
    ]


def test_posteriors_decay_and_forget_nothing_newer() -> None:
    now = START
    month = 30 * 24
    plans = [done("a", month, "Effective"), done("b", 0, "Ineffective"), done("c", 2 * month, "Effective")]
    found = learn(outcomes(plans), now)[PAIR]
    assert found.alpha == pytest.approx(1 + 0.5 + 0.25)
    assert found.beta == pytest.approx(2.0)
    assert found.mean == pytest.approx(1.75 / 3.75)
    assert (found.trials, found.streak, found.last_failure) == (3, 0, START)
    assert learn(outcomes(plans), now - timedelta(hours=1))[PAIR].trials == 2


def test_the_prior_knows_nothing() -> None:
    prior = unknown(PAIR)
    assert prior.mean == 0.5
    assert prior.lower == pytest.approx(0.05, abs=1e-8)


ASKED = Autonomy(min_successes=3, min_success_percent=40)


@pytest.mark.parametrize(
    ("plans", "asked", "missing"),
    [
        (runs("Effective", "Effective"), ASKED, "2 of 3 verified successes"),
        (runs("Effective", "Effective", "Effective"), ASKED, ""),
        (runs("Effective", "Effective", "Effective", "Inconclusive"), ASKED, ""),
        (
            runs(*["Effective"] * 9, "Ineffective"),
            ASKED,
            "0 of 3 verified successes since the failure of 2026-01-01 03:04Z",
        ),
        (runs("Ineffective", *["Effective"] * 5), ASKED, ""),
        (runs("Ineffective", *["Effective"] * 2), ASKED, "2 of 3 verified successes since the failure"),
        (runs(*["Effective"] * 5), Autonomy(min_successes=3, min_success_percent=90), "lower bound of success"),
        (runs(*["Effective"] * 5), ASKED.model_copy(update={"require_drill": True}), "no drill has been passed"),
        (
            [done("drill", 200, "Effective", CART, labels={"iirp.io/drill": "true"}), *runs(*["Effective"] * 3)],
            ASKED.model_copy(update={"require_drill": True}),
            "",
        ),
        (
            [
                done("drill", 300, "Effective", CART, labels={"iirp.io/drill": "true"}),
                done("bad", 200, "Ineffective", CART),
                *runs(*["Effective"] * 5),
            ],
            ASKED.model_copy(update={"require_drill": True}),
            "no drill has been passed",
        ),
    ],
)
def test_autonomy_is_earned_and_lost(plans: list[ActionPlan], asked: Autonomy, missing: str) -> None:
    told = shortfall(asked, learn(outcomes(plans), START).get(PAIR, unknown(PAIR)))
    assert missing in told
    assert bool(told) is bool(missing)


def test_a_rule_asks_for_the_record_of_this_class_of_workload() -> None:
    earned = policy(rule("AutoLowRisk", "auto", autonomy={"minSuccesses": 3, "minSuccessPercent": 40}))
    plain, stateless = Target(UID, 2), Target(UID, 2, labels={"iirp.io/workload-class": "stateless"})
    record = tuple(runs(*["Effective"] * 4, workload_class="stateless"))
    assert rule_on(earned, target=stateless, others=record).tier is Tier.AUTO_LOW_RISK
    assert "earned by 4 verified successes" in rule_on(earned, target=stateless, others=record).message
    without = rule_on(earned, target=plain, others=record)
    assert without.tier is Tier.HUMAN_APPROVAL
    assert "autonomy is not earned (0 of 3 verified successes)" in without.message
    assert rule_on(earned, target=stateless).tier is Tier.HUMAN_APPROVAL


def test_autonomy_never_widens_what_policy_allows() -> None:
    record = tuple(runs(*["Effective"] * 9))
    earned = rule("AutoLowRisk", "auto", autonomy={"minSuccesses": 3, "minSuccessPercent": 40})
    assert rule_on(policy(earned, rule("Forbidden", "no")), others=record).tier is Tier.FORBIDDEN
    assert rule_on(policy(earned, rule("HumanApproval", "me")), others=record).tier is Tier.HUMAN_APPROVAL
