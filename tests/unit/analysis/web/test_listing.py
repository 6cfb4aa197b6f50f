"""The list: what waits for a person first, then newest first; choices counted within the others, in the address."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from analysis.web.facets import PAGE_SIZE, Choice, listing
from analysis.web.rows import Row, rows
from analysis.web.view import since

START = datetime(2026, 1, 1, tzinfo=UTC)


def row(number: int, state: str = "Resolved", severity: str = "high", kind: str = "MemoryLeak") -> Row:
    at = START + timedelta(minutes=number)
    return Row("shop", f"inc-{number}", state, severity, kind, "payments", "", f"cause {number}", "", at)


def test_a_table_is_read_by_its_columns_names_newest_first() -> None:
    names = ("Age", "Where", "Name", "State", "Sev", "Started", "Type", "Target", "Cause")
    cells = [
        ("1d", "shop", "old", None, "low", "2026-01-01T00:00:00Z", "MemoryLeak", "payments", None),
        ("1h", "shop", "new", "Resolved", "high", "2026-01-02T00:00:00Z", "HighLatency", "cart", "slow disk"),
        ("?", "shop", "odd", "Resolved", "high", "not a time", "HighLatency", "cart", "x"),
    ]
    table = {"columnDefinitions": [{"name": name} for name in names], "rows": [{"cells": list(one)} for one in cells]}
    found = rows(table)
    assert [one.name for one in found] == ["new", "old", "odd"]
    assert found[0].cause == "slow disk"
    assert found[1].state == "Detected"
    assert rows({}) == ()


def test_choices_are_counted_within_the_others() -> None:
    found = [row(1), row(2, "Diagnosing"), row(3, "Diagnosing", "low"), row(4, "Escalated", kind="HighLatency")]
    shown = listing(found, Choice(state="open", severity="high"))
    assert [one.name for one in shown.incidents] == ["inc-4", "inc-2"]
    groups = {title: {facet.word: facet.count for facet in facets} for title, facets in shown.groups}
    assert groups["State"] == {"open": 2, "Diagnosing": 1, "Resolved": 1, "Escalated": 1}
    assert groups["Severity"] == {"high": 2, "low": 1}
    assert groups["Type"] == {"HighLatency": 1, "MemoryLeak": 1}


def test_what_waits_for_a_person_comes_first_and_what_has_ended_last() -> None:
    states = ["Resolved", "Diagnosing", "AwaitingApproval", "Closed", "Escalated", "Recovered", "Verifying"]
    found = [row(number, state) for number, state in enumerate(states)]
    order = [one.state for one in listing(found, Choice()).incidents]
    assert order == ["AwaitingApproval", "Escalated", "Diagnosing", "Verifying", "Resolved", "Closed", "Recovered"]


def test_a_link_keeps_the_other_choices_and_starts_at_the_first_page() -> None:
    choice = Choice(namespace="shop", state="open", q="a b&c", page=3)
    assert choice.link(severity="high") == "/?namespace=shop&state=open&severity=high&q=a+b%26c"
    assert choice.link(state="", namespace="", q="") == "/"


@pytest.mark.parametrize(
    ("page", "first", "previous", "after"),
    [
        (1, 1, "", "/?page=2"),
        (2, PAGE_SIZE + 1, "/", "/?page=3"),
        (99, 2 * PAGE_SIZE + 1, "/?page=2", ""),
        (-4, 1, "", "/?page=2"),
    ],
)
def test_pages_are_cut_and_bounded(page: int, first: int, previous: str, after: str) -> None:
    shown = listing([row(number) for number in range(2 * PAGE_SIZE + 5)], Choice(page=page))
    assert (shown.first, shown.previous, shown.next) == (first, previous, after)
    assert len(shown.incidents) == (5 if page == 99 else PAGE_SIZE)
    assert shown.fitting == 2 * PAGE_SIZE + 5


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-36, "−36 s"), (0, "0 s"), (119, "+119 s"), (200, "+3 min"), (-7199, "−119 min"), (9000, "+2 h")],
)
def test_a_timeline_tells_the_time_from_the_onset(seconds: int, text: str) -> None:
    assert since(START + timedelta(seconds=seconds), START) == text
