"""Beta posteriors of remedies, and the autonomy that a remedy has earned. Pure.

Each outcome is a Bernoulli trial of its pair (action, cause, class of workload); with the uniform prior Beta(1, 1) the
posterior is Beta(1 + successes, 1 + failures). Older outcomes count less: weight 0.5^(age / HALF_LIFE), because
workloads change. The lower bound is the 5 % quantile, by bisection over the regularized incomplete beta function
(continued fraction, modified Lentz; Numerical Recipes, 3rd edition, 6.4). Nothing here widens what policy allows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from controllers.policy.history import Outcome, Pair, Result
from crds.v1alpha1.actionpolicy import Autonomy

HALF_LIFE = timedelta(days=30)
QUANTILE = 0.05
_ITERATIONS, _EPSILON, _TINY = 300, 1e-12, 1e-300


@dataclass(frozen=True)
class Posterior:
    """What is known about one pair. ``alpha`` and ``beta`` include the prior."""

    pair: Pair
    alpha: float
    beta: float
    streak: int
    """Verified successes since the last failure."""
    drilled: bool
    """A drill is among the successes since the last failure."""
    last_failure: datetime | None
    trials: int
    """Outcomes that taught something, undecayed."""

    @property
    def mean(self) -> float:
        """Expected share of successes."""
        return self.alpha / (self.alpha + self.beta)

    @property
    def lower(self) -> float:
        """The share of successes is above this with 95 % probability."""
        return beta_quantile(QUANTILE, self.alpha, self.beta)


def learn(history: Iterable[Outcome], now: datetime) -> dict[Pair, Posterior]:
    """The posterior of every pair that has an outcome. Outcomes after ``now`` do not count (replays)."""
    grouped: dict[Pair, list[Outcome]] = {}
    for outcome in history:
        if outcome.at <= now:
            grouped.setdefault(outcome.pair, []).append(outcome)
    return {pair: _posterior(pair, found, now) for pair, found in sorted(grouped.items())}


def unknown(pair: Pair) -> Posterior:
    """The prior: nothing is known."""
    return Posterior(pair, 1.0, 1.0, 0, False, None, 0)


def shortfall(asked: Autonomy, known: Posterior) -> str:
    """What is missing before the pair may run by itself; empty when it has earned that."""
    if known.streak < asked.min_successes:
        since = f" since the failure of {known.last_failure:%Y-%m-%d %H:%M}Z" if known.last_failure is not None else ""
        return f"{known.streak} of {asked.min_successes} verified successes{since}"
    if known.lower * 100 < asked.min_success_percent:
        return f"lower bound of success {known.lower * 100:.0f} % is below {asked.min_success_percent} %"
    if asked.require_drill and not known.drilled:
        return "no drill has been passed since the last failure"
    return ""


def _posterior(pair: Pair, found: list[Outcome], now: datetime) -> Posterior:
    alpha = beta = 1.0
    streak, drilled, last_failure, trials = 0, False, None, 0
    for outcome in sorted(found, key=lambda item: item.at):
        weight = 0.5 ** ((now - outcome.at) / HALF_LIFE)
        if outcome.result is Result.SUCCESS:
            alpha, streak, trials, drilled = alpha + weight, streak + 1, trials + 1, drilled or outcome.drill
        elif outcome.result is Result.FAILURE:
            beta, streak, trials, drilled, last_failure = beta + weight, 0, trials + 1, False, outcome.at
    return Posterior(pair, alpha, beta, streak, drilled, last_failure, trials)


def beta_quantile(share: float, alpha: float, beta: float) -> float:
    """x with P(X <= x) = ``share`` for X ~ Beta(alpha, beta), to 1e-9; alpha, beta > 0, 0 < share < 1."""
    low, high = 0.0, 1.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        if beta_cdf(middle, alpha, beta) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def beta_cdf(x: float, alpha: float, beta: float) -> float:
    """The regularized incomplete beta function I_x(alpha, beta)."""
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    front = math.exp(
        math.lgamma(alpha + beta) - math.lgamma(alpha) - math.lgamma(beta)
        + alpha * math.log(x) + beta * math.log1p(-x)
    )  # fmt: skip
    # The fraction converges fast on one side of the mean; the symmetry relation gives the other.
    if x < (alpha + 1.0) / (alpha + beta + 2.0):
        return front * _fraction(x, alpha, beta) / alpha
    return 1.0 - front * _fraction(1.0 - x, beta, alpha) / beta


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    result = d
    for m in range(1, _ITERATIONS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + term * d)
            c = _away_from_zero(1.0 + term / c)
            result *= c * d
        if abs(c * d - 1.0) < _EPSILON:
            break
    return result


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
