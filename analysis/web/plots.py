"""The metric behind an incident as a drawing: the query that fired, run again, with onset, change and action marks.

Drawn by the server as SVG within the page: no script, and the page's own colours in light and dark.
"""

from __future__ import annotations

import asyncio
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np

from analysis.telemetry.errors import SourceError
from analysis.telemetry.prometheus import Prometheus
from analysis.web.reader import Chain
from analysis.web.view import amount
from analysis.windows.block import Float64, Samples
from crds.v1alpha1.incident import Incident, TimelineSource

__all__ = ["Mark", "Plot", "Plotter", "Shown", "draw"]

WIDTH, HEIGHT = 720, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 12, 22, 24
_WORD = 60
"""Room for the word of a mark."""
_STEPS = 160
_SERIES = 6
_BEFORE, _AFTER = timedelta(minutes=10), timedelta(minutes=10)
_LONGEST = timedelta(hours=6)
_TIMEOUT = 3.0
_SLOPE = re.compile(r"deriv\(([^()]+)\[[0-9a-z]+\]\)")
_LIMIT_IN_VIEW = 5.0
"""A limit so many times above the values would make them a flat line."""
_MARKED = {TimelineSource.CHANGE: "change", TimelineSource.ACTION: "action"}


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line: ``x`` in the drawing, what it is, and when."""

    x: float
    kind: str
    text: str
    anchor: str = ""
    """Where its word begins or ends (SVG ``text-anchor``); empty where there is no room for one."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing, or why there is none (``problem``). ``lines``: SVG points of unbroken stretches, by series."""

    query: str
    summary: str
    problem: str = ""
    lines: tuple[tuple[int, str], ...] = ()
    marks: tuple[Mark, ...] = ()
    rows: tuple[tuple[float, str], ...] = ()
    """Height and label of the horizontal lines."""
    columns: tuple[tuple[float, str], ...] = ()
    """Position and label on the time axis."""
    limit: tuple[float, str] | None = None
    """Height and label of the limit that is predicted to be reached."""
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True, slots=True)
class Shown:
    """What a drawing is of: PromQL, words for it, and the unit of its values."""

    query: str
    summary: str
    unit: str = ""


class Plotter:
    """Asks Prometheus, with little patience: a page without a drawing is better than a page that hangs."""

    def __init__(self, prometheus: Prometheus) -> None:
        self._prometheus = prometheus

    async def plot(self, chain: Chain, now: datetime) -> Plot | None:
        """The first metric of the first signal; None when the incident names none. Of a slope the level is drawn."""
        shown = _evidence(chain.incident)
        return await self.query(_level(shown), chain.incident, now) if shown is not None else None

    async def query(self, shown: Shown, incident: Incident, now: datetime) -> Plot:
        """Any query of an incident, around its time."""
        start, end = _window(incident, now)
        step = max(5.0, (end - start).total_seconds() / _STEPS)
        try:
            asked = self._prometheus.range(shown.query, start, end, step)
            samples = await asyncio.wait_for(asked, _TIMEOUT)
        except (SourceError, TimeoutError):
            return Plot(shown.query, shown.summary, problem="The metric could not be read just now.")
        return draw(samples, shown, incident, start, end, step)


def draw(samples: Samples, shown: Shown, incident: Incident, start: datetime, end: datetime, step: float) -> Plot:
    """Lay out the drawing. Gaps in the data stay gaps. Pure."""
    finite = np.isfinite(samples.values)
    if not finite.any():
        return Plot(shown.query, shown.summary, problem="There are no samples in this window.")
    low, high = float(samples.values[finite].min()), float(samples.values[finite].max())
    low, high = (min(low, 0.0), high) if low > 0 and low < high / 2 else (low, high)
    limit = _limit(incident, shown.unit, high)
    high = max(high, limit) if limit is not None else high if high > low else low + (abs(low) or 1.0)
    span = (end - start).total_seconds()

    def across(seconds: float) -> float:
        return round(_LEFT + (WIDTH - _LEFT - _RIGHT) * (seconds - start.timestamp()) / span, 1)

    def up(value: float) -> float:
        return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * (value - low) / (high - low), 1)

    lines = []
    for number in range(min(len(samples.labels), _SERIES)):
        mine = (samples.series == number) & finite
        for times, values in _stretches(samples.times[mine], samples.values[mine], 2.5 * step):
            points = zip(times.tolist(), values.tolist(), strict=True)
            lines.append((number, " ".join(f"{across(at)},{up(value)}" for at, value in points)))
    ticks = [start + (end - start) * part / 4 for part in range(5)]
    return Plot(
        shown.query,
        shown.summary,
        lines=tuple(lines),
        marks=_marks(
            [(across(at.timestamp()), kind, text) for at, kind, text in _moments(incident) if start <= at <= end]
        ),
        rows=tuple((up(value), amount(f"{value:.6g}", shown.unit)) for value in (low, (low + high) / 2, high)),
        limit=(up(limit), f"limit {amount(f'{limit:.6g}', shown.unit)}") if limit is not None else None,
        columns=tuple((across(at.timestamp()), at.astimezone(UTC).strftime("%H:%M")) for at in ticks),
    )


def _marks(moments: list[tuple[float, str, str]]) -> tuple[Mark, ...]:
    """Words are set so that none lies over another: aside of a near neighbour, or not at all between two."""
    moments = sorted(moments)
    places = [-math.inf, *(x for x, _, _ in moments), math.inf]
    marks = []
    for number, (x, kind, text) in enumerate(moments, 1):
        left, right = x - places[number - 1] >= _WORD, places[number + 1] - x >= _WORD
        anchor = "middle" if left and right else "end" if left else "start" if right else ""
        marks.append(Mark(x, kind, text, anchor))
    return tuple(marks)


def _evidence(incident: Incident) -> Shown | None:
    signals = incident.status.detection.signals if incident.status.detection else ()
    found = (Shown(metric.query, metric.summary, metric.unit) for signal in signals for metric in signal.metrics)
    return next(found, None)


def _level(shown: Shown) -> Shown:
    """What grows says more to people than how fast: a slope begins with noise, and its level shows the same."""
    found = _SLOPE.fullmatch(shown.query)
    return Shown(found[1], shown.summary, shown.unit.removesuffix("/s")) if found else shown


def _limit(incident: Incident, unit: str, high: float) -> float | None:
    """What the values are predicted to reach, if it is in their unit and not far above them."""
    prediction = incident.status.detection.prediction if incident.status.detection else None
    if prediction is None or prediction.unit != unit:
        return None
    limit = float(prediction.limit)
    return limit if 0 < limit < _LIMIT_IN_VIEW * high else None


def _window(incident: Incident, now: datetime) -> tuple[datetime, datetime]:
    ended = incident.status.resolved_at
    end = min(now, ended + _AFTER) if ended else now
    start = max(incident.spec.started_at - _BEFORE, end - _LONGEST)
    return start, max(end, start + timedelta(minutes=1))


def _moments(incident: Incident) -> list[tuple[datetime, str, str]]:
    told = ((entry.at, _MARKED.get(entry.source), entry.message) for entry in incident.status.timeline)
    return [(incident.spec.started_at, "onset", "onset"), *((at, kind, text) for at, kind, text in told if kind)]


def _stretches(times: Float64, values: Float64, gap: float) -> list[tuple[Float64, Float64]]:
    """Parts without a hole longer than ``gap`` seconds; a lone sample cannot be a line and is left out."""
    if times.size == 0:
        return []
    cuts = [0, *(np.flatnonzero(np.diff(times) > gap) + 1).tolist(), times.size]
    return [(times[a:b], values[a:b]) for a, b in pairwise(cuts) if b - a > 1 and math.isfinite(float(times[a]))]
