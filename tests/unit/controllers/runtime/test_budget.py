"""How much may be written in any minute."""

from __future__ import annotations

from datetime import timedelta

from controllers.runtime.budget import Budget
from tests.fakes.kube import START


def test_it_counts_a_sliding_minute() -> None:
    budget = Budget(2)
    assert [budget.take(START + timedelta(seconds=s)) for s in (0, 30, 59, 60, 89, 90)] == [
        True, True, False, True, False, True,
    ]  # fmt: skip


def test_what_cannot_wait_takes_the_room_of_what_can() -> None:
    budget = Budget(2)
    budget.spend(START, 3)
    assert not budget.take(START + timedelta(seconds=59))
    assert budget.wait(START + timedelta(seconds=59)) == timedelta(seconds=1)
    assert budget.take(START + timedelta(seconds=60))


def test_several_writes_fit_together_or_not_at_all() -> None:
    budget = Budget(3)
    assert budget.take(START, 2)
    assert not budget.take(START, 2)
    assert budget.take(START, 1)


def test_more_than_the_whole_budget_gets_an_untouched_minute() -> None:
    budget = Budget(2)
    assert budget.take(START, 3)
    assert not budget.take(START + timedelta(seconds=30), 1)
