from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest

from analysis.telemetry.errors import QueryRefused, SourceError, SourceUnreachable
from analysis.telemetry.health import SourceProbe
from analysis.telemetry.loki import Loki
from analysis.telemetry.prometheus import Prometheus

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
Handler = Callable[[httpx.Request], httpx.Response]


def prometheus(handler: Handler) -> Prometheus:
    return Prometheus("http://prom:9090/", 2.0, httpx.AsyncClient(transport=httpx.MockTransport(handler)))


def answer(data: object) -> Handler:
    return lambda _: httpx.Response(200, json={"status": "success", "data": data})


def test_a_matrix_is_flattened_with_its_own_times() -> None:
    result = [
        {"metric": {"__name__": "m", "pod": "a"}, "values": [[1.5, "10"], [2.5, "NaN"]]},
        {"metric": {"pod": "b"}, "values": [[1.0, "+Inf"]]},
        {"metric": {"pod": "c"}, "histograms": [[2.0, {"count": "4", "sum": "1", "buckets": [[0, "0.5", "1", "3"]]}]]},
    ]
    found = asyncio.run(prometheus(answer({"resultType": "matrix", "result": result})).samples("m", 60, AT))
    assert found.labels[:2] == ({"pod": "a"}, {"pod": "b"})
    assert found.series.tolist()[:3] == [0, 0, 1]
    assert found.times.tolist()[:3] == [1.5, 2.5, 1.0]
    assert found.newest == 2.5
    below = {found.labels[row]["le"]: value for row, value in zip(found.series[3:], found.values[3:], strict=True)}
    assert {found.labels[row]["pod"] for row in found.series[3:]} == {"c"}
    assert (below["0.5"], below["1.0"], below["+Inf"]) == (0.0, 3.0, 4.0)


def test_raw_samples_are_asked_for_by_range_selector_in_a_form() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answer({"resultType": "matrix", "result": []})(request)

    found = asyncio.run(prometheus(handler).samples('m{a="b"}', 900, AT))
    assert found.newest is None
    assert seen[0].method == "POST"
    assert b"query=m%7Ba%3D%22b%22%7D%5B900s%5D" in seen[0].content


def slow(_: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("late")


def refuse(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("connection refused")


@pytest.mark.parametrize(
    ("handler", "kind", "words"),
    [
        (slow, SourceUnreachable, "no answer within 2 s"),
        (refuse, SourceUnreachable, "connection refused"),
        (lambda _: httpx.Response(503, text="busy"), SourceUnreachable, "HTTP 503: busy"),
        (lambda _: httpx.Response(400, text="parse error"), QueryRefused, "parse error"),
        (lambda _: httpx.Response(200, text="<html>"), SourceUnreachable, "right URL"),
        (lambda _: httpx.Response(200, json={"status": "error"}), QueryRefused, "right URL"),
        (answer({"resultType": "scalar"}), QueryRefused, "expected a matrix"),
    ],
)
def test_failures_are_typed_and_name_the_address(handler: Handler, kind: type[SourceError], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        asyncio.run(prometheus(handler).samples("m", 60, AT))
    assert "http://prom:9090" in str(caught.value)


def test_lines_come_oldest_first_and_bounded() -> None:
    streams = [{"stream": {"k8s_pod_name": "p"}, "values": [["20", "b" * 5000], ["10", "a", {"x": "y"}]]}]
    loki = Loki("http://loki:3100", 2.0, httpx.AsyncClient(transport=httpx.MockTransport(
        answer({"resultType": "streams", "result": streams}))))  # fmt: skip
    lines = asyncio.run(loki.lines("{}", AT, AT, 10, newest=True))
    assert [line.at for line in lines] == [10, 20]
    assert len(lines[1].text) == 2048


def test_a_hanging_source_is_waited_for_once_only() -> None:
    hanging = asyncio.Event()

    async def scenario() -> list[bool]:
        async def handler(_: httpx.Request) -> httpx.Response:
            if calls:
                await hanging.wait()
            calls.append(1)
            return httpx.Response(200, json={"status": "success", "data": {}})

        calls: list[int] = []
        now = [0.0]
        client = httpx.AsyncClient(transport=httpx.MockTransport(handler))
        probe = SourceProbe(Prometheus("http://p", 1, client), Loki("http://l", 1, client), lambda: now[0])
        first = await probe.loki()
        now[0] = 100.0
        again = await asyncio.wait_for(probe.loki(), 1.0)
        hanging.set()
        return [first.ok, again.ok]

    assert asyncio.run(scenario()) == [True, True]
