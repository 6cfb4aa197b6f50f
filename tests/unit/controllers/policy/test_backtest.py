"""Changed policies against the past."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controllers.policy.backtest import backtest, summary
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.base import Severity
from tests.fakes.chain import add_incident, rule
from tests.fakes.kube import START, FakeKube
from tests.unit.controllers.policy.world import done, policy

MONTH = timedelta(days=30)


def decided(of: ActionPlan, reason: str = "ApprovalRequired", tier: str = "HumanApproval") -> ActionPlan:
    assert of.status.decision is not None
    decision = of.status.decision.model_copy(update={"reason": reason, "tier": tier})
    return of.model_copy(update={"status": of.status.model_copy(update={"decision": decision})})


PLANS = [decided(done("a", 30, "Effective")), decided(done("b", 20, "Ineffective")), decided(done("c", 10, None))]


@pytest.mark.parametrize(
    ("tier", "told"),
    [
        ("AutoLowRisk", "3 plans: 0 stricter, 3 looser (1 had been effective, 1 not), 0 same, 0 not judged"),
        ("HumanApproval", "3 plans: 0 stricter, 0 looser, 3 same, 0 not judged"),
        ("Forbidden", "3 plans: 3 stricter (1 had been effective, 1 not), 0 looser, 0 same, 0 not judged"),
    ],
)
def test_it_says_what_would_have_been_and_how_it_ended(tier: str, told: str) -> None:
    found = backtest(PLANS, {}, {}, (policy(rule(tier)),), START - MONTH)
    assert summary(found) == told
    assert [row.plan for row in found] == ["shop/a", "shop/b", "shop/c"]
    assert [row.ended for row in found] == ["Executed (Effective)", "Executed (Ineffective)", "Executed"]


def test_only_what_was_decided_since_then_is_compared() -> None:
    found = backtest(PLANS, {}, {}, (policy(rule()),), START - timedelta(hours=15))
    assert [row.plan for row in found] == ["shop/c"]


def test_what_a_check_refused_is_not_judged() -> None:
    (row,) = backtest([decided(done("a", 1), "RateLimited", "Forbidden")], {}, {}, (policy(rule()),), START - MONTH)
    assert (row.change, row.now) == ("not judged", None)
    assert row.why.startswith("RateLimited")


def test_the_record_is_as_it_was_then() -> None:
    """Autonomy that only later outcomes earned, or lost, does not count."""
    earned = rule("AutoLowRisk", "auto", autonomy={"minSuccesses": 1, "minSuccessPercent": 0})
    found = backtest(PLANS, {}, {}, (policy(earned),), START - MONTH)
    assert [row.change for row in found] == ["same", "looser", "same"]


def test_severity_and_environment_come_from_the_export() -> None:
    incident = add_incident(FakeKube(), Severity.LOW)
    rules = policy(rule("AutoLowRisk", "a", match={"severities": ["low"], "environments": ["dev"]}))
    labels = {"shop": {"iirp.io/environment": "dev"}}
    known = {incident.metadata.uid: incident}
    assert backtest(PLANS[:1], known, labels, (rules,), START - MONTH)[0].change == "looser"
    assert backtest(PLANS[:1], {}, labels, (rules,), START - MONTH)[0].change == "stricter"
    assert backtest(PLANS[:1], known, {}, (rules,), START - MONTH)[0].change == "stricter"
