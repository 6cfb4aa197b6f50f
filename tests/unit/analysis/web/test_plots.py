"""The drawing: marks where they belong, gaps as gaps, and no drawing where there are no data."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from analysis.telemetry.errors import SourceError
from analysis.web.plots import HEIGHT, WIDTH, Plotter, draw
from analysis.web.reader import Chain
from analysis.windows.block import Samples
from crds.v1alpha1.detection import MetricEvidence
from crds.v1alpha1.incident import Incident
from tests.fakes import story

START = datetime(2026, 1, 31, 13, 52, 55, tzinfo=UTC)
END = START + timedelta(minutes=30)
SHOWN = MetricEvidence(query="up", summary="working set grows", value="1", unit="bytes")


def incident(**status: Any) -> Incident:
    """With an action a little after the onset."""
    body = story.incident()
    action = {"at": "2026-01-31T14:09:32Z", "source": "action", "message": "restarted"}
    metric = {"query": "up", "summary": "working set grows", "value": "1", "unit": "bytes"}
    signal = {
        "type": "MemoryLeak", "rule": "memory-growth", "target": body["spec"]["target"],
        "firstSeenAt": "2026-01-31T14:02:55Z", "lastSeenAt": "2026-01-31T14:07:05Z", "metrics": [metric],
    }  # fmt: skip
    body["status"]["detection"]["signals"] = [signal]
    body["status"]["timeline"].append(action)
    body["status"] |= status
    return Incident.from_wire(body)


def samples(*series: tuple[list[float], list[float]]) -> Samples:
    """Series of (seconds since the start, values)."""
    return Samples(
        tuple({"pod": str(number)} for number in range(len(series))),
        np.concatenate([np.full(len(at), number) for number, (at, _) in enumerate(series)]).astype(np.int64),
        np.concatenate([np.array(at) + START.timestamp() for at, _ in series]),
        np.concatenate([np.array(values, dtype=np.float64) for _, values in series]),
    )


def points(text: str) -> list[tuple[float, float]]:
    """SVG points as numbers."""
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in text.split())]


def test_values_rise_within_the_frame_and_marks_stand_where_they_happened() -> None:
    made = draw(samples(([0, 900, 1800], [100e6, 150e6, 200e6])), SHOWN, incident(), START, END, 11.0)
    assert made.lines == ()  # 900 s apart at a step of 11 s is no line
    made = draw(samples(([0, 900, 1800], [100e6, 150e6, 200e6])), SHOWN, incident(), START, END, 600.0)
    ((_, text),) = made.lines
    xs, ys = zip(*points(text), strict=True)
    assert list(xs) == sorted(xs)
    assert list(ys) == sorted(ys, reverse=True), "up is less in SVG"
    assert min(ys) >= 0
    assert max(ys) <= HEIGHT
    assert xs[-1] <= WIDTH
    by_kind = {mark.kind: mark.x for mark in made.marks}
    assert set(by_kind) == {"onset", "change", "action"}
    assert by_kind["change"] < by_kind["onset"] < by_kind["action"]
    assert made.rows[-1][1] == "256 MiB", "as high as the limit"


def test_words_of_marks_do_not_lie_over_each_other() -> None:
    def action(at: str) -> dict[str, str]:
        return {"at": f"2026-01-31T{at}Z", "source": "action", "message": at}

    one = incident(timeline=[action(at) for at in ("14:03:20", "14:03:40", "14:04:00", "14:15:00")])
    made = draw(samples(([0, 900, 1800], [1.0, 2.0, 3.0])), SHOWN, one, START, END, 600.0)
    assert [(mark.kind, mark.anchor) for mark in made.marks] == [
        ("onset", "end"), ("action", ""), ("action", ""), ("action", "start"), ("action", "middle"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "unit", "asked"),
    [
        ('deriv(memory{pod=~"a-[a-z]{5}"}[120s])', "bytes/s", 'memory{pod=~"a-[a-z]{5}"}'),
        ("rate(requests_total[1m])", "requests/s", "rate(requests_total[1m])"),
        ("deriv(sum(memory)[5m:10s])", "bytes/s", "deriv(sum(memory)[5m:10s])"),
    ],
)
def test_of_a_slope_the_level_is_drawn(query: str, unit: str, asked: str) -> None:
    one = incident()
    assert one.status.detection is not None
    metric = {"query": query, "summary": "grows", "value": "1", "unit": unit}
    signal = one.status.detection.signals[0].to_wire() | {"metrics": [metric]}
    detection = {**one.status.detection.to_wire(), "signals": [signal]}
    source = Source(samples(([0.0, 10], [100e6, 150e6])))
    made = plotted(source, incident(detection=detection))
    assert source.asked[0][0] == made.query == asked
    assert (made.limit is not None) is (unit == "bytes/s" and asked != query), "the limit is one of the level"


@pytest.mark.parametrize(("top", "shown"), [(200e6, "limit 256 MiB"), (30e6, None)])
def test_the_limit_is_drawn_where_it_leaves_the_values_a_shape(top: float, shown: str | None) -> None:
    made = draw(samples(([0, 900, 1800], [10e6, 20e6, top])), SHOWN, incident(), START, END, 600.0)
    assert (made.limit[1] if made.limit else None) == shown
    if made.limit:
        assert made.limit[0] == made.rows[-1][0], "the highest that is in the drawing"


def test_a_gap_stays_a_gap() -> None:
    at = [0.0, 10, 20, 600, 610, 620]
    made = draw(samples((at, [1.0] * 6)), SHOWN, incident(), START, END, 10.0)
    assert [len(points(text)) for _, text in made.lines] == [3, 3]


@pytest.mark.parametrize("values", [[], [float("nan")] * 3])
def test_no_data_is_said(values: list[float]) -> None:
    made = draw(samples(([0.0, 10, 20][: len(values)], values)), SHOWN, incident(), START, END, 10.0)
    assert made.problem == "There are no samples in this window."
    assert made.lines == ()


class Source:
    """Prometheus as told."""

    def __init__(self, answer: Samples | Exception | None) -> None:
        self.answer = answer
        self.asked: list[tuple[str, datetime, datetime]] = []

    async def range(self, query: str, start: datetime, end: datetime, step: float) -> Samples:
        self.asked.append((query, start, end))
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is None:
            await asyncio.sleep(60)
        assert self.answer is not None
        return self.answer


def plotted(source: Source, one: Incident, now: datetime = END) -> Any:
    """As the page asks."""
    return asyncio.run(Plotter(source).plot(Chain(one, (), (), ()), now))  # type: ignore[arg-type]


def test_the_query_that_fired_is_run_again_around_the_incident() -> None:
    source = Source(samples(([0.0, 10], [1.0, 2.0])))
    assert plotted(source, incident()).query == "up"
    ((_, start, end),) = source.asked
    assert start < datetime(2026, 1, 31, 14, 2, 55, tzinfo=UTC) < end == END
    plotted(source, incident(resolvedAt="2026-01-31T14:15:00Z"), END + timedelta(days=3))
    assert source.asked[1][2] == datetime(2026, 1, 31, 14, 25, tzinfo=UTC), "a resolved incident keeps its window"


def test_a_source_that_fails_or_hangs_does_not_take_the_page_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analysis.web.plots._TIMEOUT", 0.05)
    for answer in (SourceError("Prometheus", "http://x", "down"), None):
        assert plotted(Source(answer), incident()).problem == "The metric could not be read just now."


def test_an_incident_without_a_metric_has_no_drawing() -> None:
    assert plotted(Source(None), Incident.from_wire(story.incident())) is None
