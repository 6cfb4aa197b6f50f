from __future__ import annotations

from collections.abc import Iterable

import pytest

from analysis.logs.records import joined
from analysis.logs.templates import Chunk, Seen, Side, chunks, literal_part, surprise, within
from analysis.telemetry.loki import LogLine
from crds.v1alpha1.rcareport import LogMark

HOURS = 10_800
SINCE = 600


def side(texts: Iterable[tuple[float, str]], start: float, seconds: float, slices: int) -> Side:
    lines = [LogLine(int((start + at) * 1e9), text, "p") for at, text in texts]
    return Side(tuple(Seen(one) for one in joined(lines)), start, seconds, slices)


def compare(before: Iterable[tuple[float, str]], after: Iterable[tuple[float, str]]) -> tuple[Chunk, ...]:
    return chunks(side(before, 0, HOURS, 6), side(after, HOURS, SINCE, 4))


def every(seconds: float, text: str, until: float) -> list[tuple[float, str]]:
    return [(at * seconds, f"{text} {at}") for at in range(int(until / seconds))]


def hourly_burst() -> list[tuple[float, str]]:
    return [(hour * 3600 + at, f"job step {at}") for hour in range(3) for at in range(200)]


@pytest.mark.parametrize(
    ("before", "after", "text", "mark"),
    [
        (every(5, "GET ok", HOURS), every(5, "GET ok", SINCE), "GET ok <*>", LogMark.USUAL),
        (every(5, "GET ok", HOURS), every(60, "bank refused", SINCE), "bank refused <*>", LogMark.NEW),
        (every(60, "slow query", HOURS), every(5, "slow query", SINCE), "slow query <*>", LogMark.BURSTING),
        (every(60, "slow query", HOURS), every(30, "slow query", SINCE), "slow query <*>", LogMark.USUAL),
        (hourly_burst(), [(at, f"job step {at}") for at in range(200)], "job step <*>", LogMark.USUAL),
        (every(10, "queue drained", HOURS), [], "queue drained <*>", LogMark.VANISHED),
        (every(3600, "cache rebuilt", HOURS), [], "cache rebuilt <*>", LogMark.USUAL),
        (every(2, "old life", 1800), [], "old life <*>", LogMark.USUAL),
    ],
    ids=["steady", "new", "bursting", "twice", "as every hour", "vanished", "rare anyway", "long gone"],
)
def test_kinds_are_marked_against_the_hours_before(
    before: list[tuple[float, str]], after: list[tuple[float, str]], text: str, mark: LogMark
) -> None:
    found = {one.text: one for one in compare(before, after)}
    assert found[text].mark is mark


def test_a_kind_has_counts_times_and_an_example() -> None:
    (found,) = compare([], [(5.0, "cache miss 7"), (9.0, "cache miss 8")])
    assert (found.text, found.count, found.before) == ("cache miss <*>", 2, 0)
    assert (found.first_at, found.last_at) == (int((HOURS + 5.0) * 1e9), int((HOURS + 9.0) * 1e9))
    assert found.example.head.text == "cache miss 7"


def test_one_new_error_says_more_than_much_of_the_usual() -> None:
    found = compare(every(1, "GET ok", HOURS), [*every(1, "GET ok", SINCE), (3.0, "panic: nil map")])
    assert [one.text for one in found] == ["panic: nil map", "GET ok <*>"]


def test_health_checks_are_no_news() -> None:
    after = [(1.0, '10.0.0.1 "GET /healthz HTTP/1.1" 200 kube-probe/1.36'), (2.0, "GET /health of mind")]
    assert compare([(0.0, "up")], after)[-1].text == "up"
    assert len(compare([(0.0, "up")], after)) == 1


def test_very_long_lines_are_cut() -> None:
    (found,) = compare([], [(1.0, "x" * 10_000)])
    assert len(found.text) == 160


def test_the_budget_goes_to_what_tells_most() -> None:
    found = compare(every(5, "GET ok", HOURS), [(1.0, "bank refused"), *every(1, "retry of order", SINCE)])
    tokens = found[0].tokens
    assert within(found, tokens, 8) == found[:1]
    assert within(found, 10_000, 2) == found[:2]


def test_surprise_grows_with_the_difference_and_is_none_without() -> None:
    assert surprise(10, 600, 180, 10_800) == pytest.approx(0)
    assert 0 < surprise(20, 600, 180, 10_800) < surprise(200, 600, 180, 10_800)
    assert surprise(0, 600, 180, 10_800) > 0


def test_literal_part_is_the_longest_constant() -> None:
    assert literal_part("<*> cache miss, loading <*> entries") == "cache miss, loading"


def test_the_literal_part_is_found_in_the_line() -> None:
    line = '{"level":"error","msg":"cannot reach bank","attempt":3}'
    (found,) = compare([], [(1.0, line)])
    assert literal_part(found.text) in line
