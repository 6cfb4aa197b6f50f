"""All rules over one observation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from analysis.detect import absent, fill, quantiles, services
from analysis.detect.absent import evaluate_absent
from analysis.detect.fill import evaluate_fill
from analysis.detect.finding import Evaluation, Level, Observed
from analysis.detect.growth import evaluate_growth
from analysis.detect.quantiles import evaluate_quantile
from analysis.detect.rulebook import applies
from analysis.detect.rules import (
    AbsentRule,
    FillRule,
    GrowthRule,
    QuantileRule,
    RatioRule,
    Rule,
    RuleSet,
    SignalRule,
    ThrottleRule,
)
from analysis.detect.services import evaluate_ratio
from analysis.detect.signals import evaluate_signals
from analysis.detect.step import evaluate_step
from analysis.detect.throttle import evaluate_throttle, throttle_queries
from analysis.telemetry.query import RateSum


def evaluate(rule: Rule, observed: Observed) -> Evaluation | None:
    """Findings of one rule; None when a source that it needs could not be read."""
    if isinstance(rule, SignalRule):
        return evaluate_signals(rule, observed)
    if isinstance(rule, FillRule):
        return evaluate_fill(rule, observed)
    if not observed.pods:
        return Evaluation()
    if isinstance(rule, AbsentRule):
        return evaluate_absent(rule, observed)
    if isinstance(rule, GrowthRule):
        return evaluate_growth(rule, observed)
    if isinstance(rule, RatioRule):
        return evaluate_ratio(rule, observed)
    if isinstance(rule, QuantileRule):
        return evaluate_quantile(rule, observed)
    if isinstance(rule, ThrottleRule):
        return evaluate_throttle(rule, observed)
    return evaluate_step(rule, observed)


def rate_queries(rule: RatioRule | QuantileRule | ThrottleRule, observed: Observed) -> tuple[RateSum, ...]:
    """The rates that have to be read before the rule can be evaluated."""
    if isinstance(rule, ThrottleRule):
        return throttle_queries(rule, observed)
    return services.queries(rule, observed) if isinstance(rule, RatioRule) else quantiles.queries(rule, observed)


def rates_wanted(rules: RuleSet, observed: Observed) -> dict[RateSum, tuple[float, float]]:
    """All of them, each for as long (seconds) and in as fine steps as any rule needs it."""
    wanted: dict[RateSum, tuple[float, float]] = {}
    for rule in rules.rules:
        if isinstance(rule, RatioRule | QuantileRule | ThrottleRule):
            for query in rate_queries(rule, observed):
                lasting, step = wanted.get(query, (0.0, rule.step))
                wanted[query] = (max(lasting, rule.looks_back), min(step, rule.step))
    return wanted


def level_queries(rule: FillRule | AbsentRule, observed: Observed) -> tuple[Level, ...]:
    """The gauges that have to be read before the rule can be evaluated."""
    if isinstance(rule, AbsentRule):
        return absent.levels(rule, observed)
    return fill.gauges(rule) if fill.concerns(rule, observed) else ()


def evaluate_all(
    rules: RuleSet, observed: Observed, failed: Callable[[Rule, Exception], None] | None = None
) -> dict[str, Evaluation | None]:
    """By rule name. What a rule raises is raised, or ``failed`` hears of it and the other rules go on.

    That rule is then as one whose source could not be read: None, and what it reported stays.
    """
    return {rule.name: _evaluated(rule, observed, failed) for rule in rules.rules}


def _evaluated(rule: Rule, observed: Observed, failed: Callable[[Rule, Exception], None] | None) -> Evaluation | None:
    try:
        return _within(rule, evaluate(rule, observed))
    except Exception as error:  # whatever odd data does to one rule
        if failed is None:
            raise
        failed(rule, error)
        return None


def _within(rule: Rule, evaluation: Evaluation | None) -> Evaluation | None:
    """Without what an override has taken out of the rule's hands."""
    if evaluation is None or not (rule.only_in or rule.not_in):
        return evaluation
    kept = tuple(one for one in evaluation.findings if applies(rule, one.target.namespace))
    return replace(evaluation, findings=kept)
