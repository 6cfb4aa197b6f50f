"""Budgets: per incident and per day, in tokens and in money, over restarts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from analysis.config import ModelBudget
from analysis.llm.budget import Budget, OverBudget
from analysis.words import estimate_tokens


class Clock:
    now = datetime(2026, 1, 1, 23, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"tokens_per_incident": 1000}, "this incident: 400 of 1000"),
        ({"tokens_per_day": 1000}, "today: 400 of 1000"),
        (
            {"money_per_day": 0.01, "price_per_million_prompt": 10, "price_per_million_output": 30, "currency": "EUR"},
            "today: 0.01 EUR",
        ),
    ],
)
def test_a_call_that_does_not_fit_is_not_made(clock: Clock, limits: dict[str, float], words: str) -> None:
    budget = Budget(ModelBudget.model_validate(limits), clock)
    budget.reserve("a", 500, 100)
    with pytest.raises(OverBudget, match=words):
        budget.reserve("a", 400, 100)


def test_what_was_used_replaces_the_estimate_and_what_was_not_sent_is_free(clock: Clock) -> None:
    budget = Budget(ModelBudget(tokens_per_incident=1000), clock)
    budget.settle(budget.reserve("a", 500, 400), 100, 50)
    budget.release(budget.reserve("a", 500, 300))
    budget.settle(budget.reserve("a", 500, 300))  # an answer without figures costs what was reserved
    with pytest.raises(OverBudget, match="50 of 1000"):
        budget.reserve("a", 50, 1)
    budget.reserve("another", 900, 50)


def test_a_new_day_has_its_own_budget_but_an_incident_keeps_its_own(clock: Clock) -> None:
    budget = Budget(ModelBudget(tokens_per_incident=1500, tokens_per_day=1000), clock)
    held = budget.reserve("a", 900, 100)
    clock.now += timedelta(hours=2)
    budget.settle(held, 800, 100)  # yesterday's call does not burden today
    with pytest.raises(OverBudget, match="this incident: 600 of 1500"):
        budget.reserve("a", 700, 0)
    budget.reserve("b", 1000, 0)


@pytest.mark.parametrize("damage", [None, "", "{", "[]", '{"day": 1}'])
def test_a_restart_forgets_nothing_and_a_damaged_file_spends_nothing(
    tmp_path: Path, clock: Clock, damage: str | None
) -> None:
    file = tmp_path / "state" / "budget.json"
    limits = ModelBudget(tokens_per_day=1000)
    Budget(limits, clock, file).reserve("a", 900, 50)
    if damage is not None:
        file.write_text(damage)
    with pytest.raises(OverBudget, match=f"today: {50 if damage is None else 0} of 1000"):
        Budget(limits, clock, file).reserve("a", 60, 0)
    clock.now += timedelta(days=1)
    Budget(limits, clock, file).reserve("b", 900, 0)


def test_a_lying_endpoint_cannot_lower_the_count(clock: Clock) -> None:
    budget = Budget(ModelBudget(tokens_per_incident=1000), clock)
    budget.settle(budget.reserve("a", 500, 400), -10_000, -10_000)
    with pytest.raises(OverBudget):
        budget.reserve("a", 1001, 0)


def test_money_needs_prices() -> None:
    with pytest.raises(ValidationError, match="pricePerMillionPrompt"):
        ModelBudget(money_per_day=5)


@pytest.mark.parametrize("text", ["", "word " * 1000, "日本語" * 500, "{}[]();" * 300])
def test_the_estimate_is_at_least_a_token_per_word_or_sign_group(text: str) -> None:
    assert estimate_tokens(text) >= max(len(text.split()), len(text) // 4)
