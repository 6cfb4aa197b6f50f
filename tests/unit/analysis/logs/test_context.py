from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import httpx

from analysis.logs.context import LogContext, read_context
from analysis.logs.excerpts import MOST, TOKENS, excerpts
from analysis.telemetry.loki import AT_ONCE, Loki
from analysis.words import estimate_tokens
from crds.v1alpha1.base import TargetRef
from crds.v1alpha1.rcareport import LogMark
from tests.unit.analysis.logs.loki import Store

ONSET = datetime(2026, 1, 2, 12, tzinfo=UTC)
AT = ONSET.timestamp()
TARGET = TargetRef(kind="Deployment", namespace="shop", name="payments")
Lines = list[tuple[float, str]]


def usual(start: float, end: float, step: float, text: str = "GET /cart took {} ms") -> Lines:
    return [(AT + at * step, text.format(at)) for at in range(round(start / step), round(end / step))]


def read(store: Store, lines: int = 240) -> LogContext:
    return asyncio.run(read_context(store.loki(), TARGET, ONSET, ONSET + timedelta(minutes=10), lines))


def test_one_line_among_thousands_is_found() -> None:
    store = Store([*usual(-10_000, 600, 0.5), (AT + 331.7, "panic: assignment to entry in nil map")])
    found = read(store)
    assert found.sampled
    assert found.checked
    assert [(one.text, one.count) for one in found.new] == [("panic: assignment to entry in nil map", 1)]


def test_the_frames_of_a_trace_that_is_known_hide_nothing() -> None:
    trace = ["ERROR charge failed", *[f'  File "/app/x.py", line {at}' for at in range(20)], "KeyError: bank"]
    usual_traces = [(AT + start + at / 1000, text) for start in range(-10_000, 600, 5) for at, text in enumerate(trace)]
    found = read(Store([*usual_traces, (AT + 590.5, "panic: nil map")]))
    assert [(one.text, one.count) for one in found.new] == [("panic: nil map", 1)]


def test_a_single_trace_among_thousands_is_quoted_whole() -> None:
    trace = ["Traceback (most recent call last):", '  File "/app/x.py", line 3, in f', "KeyError: 'bank'"]
    lines = [(AT + 333 + at / 1000, text) for at, text in enumerate(trace)]
    (found,) = read(Store([*usual(-10_000, 600, 0.5), *lines])).new
    assert found.text == "KeyError: 'bank'"
    assert found.example.excerpt() == "\n".join(trace)


def test_a_rare_kind_that_was_there_before_is_no_news() -> None:
    rare = [(AT + at, "certificate of bank expires in 20 days") for at in (-7_003.3, 100.2)]
    found = read(Store([*usual(-10_000, 600, 0.5), *rare]))
    assert [one.text for one in found.new] == []


def test_counts_stand_for_all_lines_not_for_those_read() -> None:
    store = Store([*usual(-10_000, 600, 0.5), *usual(0, 600, 0.05, "order {} refused by bank")])
    (found,) = [one for one in read(store).chunks if one.text.startswith("order")]
    assert found.mark is LogMark.NEW
    assert 0.8 * 12_000 < found.count < 1.2 * 12_000


def test_a_small_log_is_read_whole_and_asked_for_once_more_by_nobody() -> None:
    store = Store([*usual(-10_000, 600, 100), (AT + 5, "bank refused order 7")])
    found = read(store)
    assert not found.sampled
    assert [(one.text, one.count) for one in found.new] == [("bank refused order <*>", 1)]
    assert all("~ " not in query.rpartition("}")[2] for query in store.asked)


def test_without_a_check_what_was_read_is_told_and_the_gap_said() -> None:
    store = Store([*usual(-10_000, 600, 0.5), *usual(0, 600, 1, "order {} refused by bank")])
    store.refuses = "!~ "
    found = read(store)
    assert not found.checked
    assert [one.text for one in found.new] == ["order <*> refused by bank"]


def test_a_workload_without_a_past_has_no_news() -> None:
    assert read(Store(usual(0, 600, 1))).new == ()


def test_loki_is_asked_a_few_things_at_a_time() -> None:
    under_way: list[int] = [0, 0]
    data = {"status": "success", "data": {"resultType": "streams", "result": []}}

    async def answer(_: httpx.Request) -> httpx.Response:
        under_way[0] += 1
        under_way[1] = max(under_way)
        await asyncio.sleep(0)
        under_way[0] -= 1
        return httpx.Response(200, json=data)

    async def run() -> None:
        loki = Loki("http://loki:3100", 2.0, httpx.AsyncClient(transport=httpx.MockTransport(answer)))
        contexts = (read_context(loki, TARGET, ONSET, ONSET + timedelta(minutes=10)) for _ in range(5))
        await asyncio.gather(*contexts)

    asyncio.run(run())
    assert 1 < under_way[1] <= AT_ONCE


def test_excerpts_keep_a_budget_and_no_secret() -> None:
    errors = [
        (AT + 10 + at, f"step {'of ' * at}failed: password=hunter2{at} at 10.1.2.3 {'because of it ' * 40}")
        for at in range(12)
    ]
    found = excerpts([read(Store([*usual(-10_000, 600, 50), *errors]))])
    assert 1 < len(found) <= MOST
    assert sum(estimate_tokens(one.example) for one in found) <= TOKENS
    text = "".join(one.model_dump_json() for one in found)
    assert "hunter2" not in text
    assert "10.1.2.3" in text


def test_what_vanished_is_told_too() -> None:
    store = Store([*usual(-10_000, 600, 50), *usual(-10_000, 0, 20, "heartbeat {} sent")])
    assert [(one.mark, one.template, one.count) for one in excerpts([read(store)])] == [
        (LogMark.VANISHED, "heartbeat <*> sent", 0)
    ]
