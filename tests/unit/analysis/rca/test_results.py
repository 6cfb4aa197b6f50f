from __future__ import annotations

import asyncio
import math
from datetime import timedelta
from urllib.parse import parse_qsl

import httpx
import pytest

from analysis.config import DATA_ROOT
from analysis.rca.catalogue import load_causes
from analysis.rca.results import Language, Same, compare, language, log_result, metric_result, span
from analysis.rca.service import Explainer
from analysis.telemetry.loki import Loki
from analysis.telemetry.prometheus import Prometheus
from crds.v1alpha1.base import Window
from tests.unit.analysis.rca.world import at, request

WINDOW = Window(start=at(0), end=at(900))
POINTS = [(1000.0 + 15 * step, 1.0 + step) for step in range(20)]


@pytest.mark.parametrize(
    ("points", "verdict"),
    [
        (POINTS, Same.SAME),
        ([(time, value * (1 + 1e-7)) for time, value in POINTS], Same.SAME),
        ([*POINTS[:-1], (POINTS[-1][0], 20.2)], Same.CLOSE),
        (POINTS[1:], Same.CHANGED),
        ([(time, value * 2) for time, value in POINTS], Same.CHANGED),
        ([(time, math.nan) for time, _ in POINTS], Same.NO_DATA),
        ([], Same.NO_DATA),
    ],
)
def test_two_runs_of_a_metric_query(points: list[tuple[float, float]], verdict: Same) -> None:
    then = metric_result([({"pod": "a"}, POINTS)])
    if points == POINTS[1:]:  # the first value is the lowest: without it the range differs by more than rounding
        then = metric_result([({"pod": "a"}, [(POINTS[0][0], -5.0), *POINTS[1:]])])
    assert compare(then, metric_result([({"pod": "a"}, points)])) is verdict


def test_the_order_of_series_does_not_matter_and_their_number_does() -> None:
    one, two = ({"pod": "a"}, POINTS), ({"pod": "b"}, POINTS)
    assert metric_result([one, two]) == metric_result([two, one])
    assert compare(metric_result([one, two]), metric_result([one])) is Same.CHANGED


@pytest.mark.parametrize(
    ("then", "now", "verdict"), [(7, 7, Same.SAME), (700, 690, Same.CLOSE), (7, 40, Same.CHANGED), (7, 0, Same.NO_DATA)]
)
def test_two_counts_of_lines(then: int, now: int, verdict: Same) -> None:
    assert compare(log_result(then), log_result(now)) is verdict


def test_a_query_that_found_nothing_then_and_now_is_the_same() -> None:
    assert compare(log_result(0), log_result(0)) is Same.SAME
    assert compare(metric_result([]), metric_result([])) is Same.SAME


@pytest.mark.parametrize(
    ("query", "expected"),
    [('{a="b"} |= "x"', Language.LOGQL), ("/api/v1/nodes/n1", Language.API), ("sum(up)", Language.PROMQL)],
)
def test_languages(query: str, expected: Language) -> None:
    assert language(query) is expected


def test_the_last_seconds_of_a_window_are_left_out_and_parts_of_seconds_do_not_matter() -> None:
    later = Window(start=WINDOW.start + timedelta(milliseconds=300), end=WINDOW.end + timedelta(milliseconds=700))
    assert span(later) == span(WINDOW)
    start, end, step = span(WINDOW)
    assert ((end - start).total_seconds(), step) == (880.0, 15.0)


async def _explained(status: int = 200, label: str = "", sent: list[str] | None = None):
    def answer(asked: httpx.Request) -> httpx.Response:
        if status != 200:
            return httpx.Response(status, text="gone")
        form = dict(parse_qsl(asked.content.decode()))
        if sent is not None:
            sent.append(form["query"])
        if "/loki/" in asked.url.path:
            kind = "streams" if asked.url.path.endswith("query_range") else "vector"
            return httpx.Response(200, json={"status": "success", "data": {"resultType": kind, "result": []}})
        values = [[float(form.get("start", "0")) + 15 * step, "0.4"] for step in range(60)]
        result = [{"metric": {"upstream": "payments", "pod": "payments-7c9d8f6b5d-abcde"}, "values": values}]
        return httpx.Response(200, json={"status": "success", "data": {"resultType": "matrix", "result": result}})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        prometheus, loki = Prometheus("http://p", 5, client, label), Loki("http://l", 5, client, label)
        return await Explainer(load_causes(DATA_ROOT / "causes"), prometheus, loki, None).explain(
            request("HighLatency").model_copy(update={"cluster": "east"})
        )


def test_every_query_of_a_report_was_run_as_it_is_shown() -> None:
    report = asyncio.run(_explained())
    shown = [one for cause in report.root_causes for one in (*cause.evidence, *cause.refuters)]
    asked = [one for one in shown if one.query and language(one.query) is not Language.API]
    assert asked
    assert all(one.ran is not None for one in asked)
    assert all(one.ran is None for one in shown if not one.query)
    promql = next(one for one in asked if language(one.query) is Language.PROMQL)
    assert promql.ran.series == 1
    assert promql.ran.last == "0.4"


def test_each_query_of_a_report_about_one_of_several_clusters_names_it() -> None:
    sent: list[str] = []
    report = asyncio.run(_explained(label="where", sent=sent))
    assert len(sent) > 10
    assert all('{where="east"' in query for query in sent)
    shown = [one.query for cause in report.root_causes for one in (*cause.evidence, *cause.refuters)]
    assert all('{where="east"' in query for query in shown if query and language(query) is not Language.API)
    sent.clear()
    asyncio.run(_explained(sent=sent))
    assert not any("where" in query for query in sent)


def test_sources_that_are_away_leave_a_report_without_results() -> None:
    report = asyncio.run(_explained(503))
    assert report.missing_data
    assert all(one.ran is None for cause in report.root_causes for one in (*cause.evidence, *cause.refuters))
