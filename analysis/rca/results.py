"""What a query returned, comparable between two runs: the server's, and that of `iirp rca verify`. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from analysis.rca.observation import digest
from analysis.words import measure
from crds.v1alpha1.base import Window
from crds.v1alpha1.rcareport import QueryResult

SETTLE: Final = timedelta(seconds=20)
"""The end of a window is left out: samples of the last seconds may still be on their way when the report is made."""
STEPS: Final = 60
MIN_STEP: Final = 15.0
DIGITS: Final = 4
CLOSE: Final = 0.05
"""Relative difference up to which two runs say the same in other words: late samples, another replica."""


class Language(StrEnum):
    """What a query is written in."""

    PROMQL = "PromQL"
    LOGQL = "LogQL"
    API = "API"


class Same(StrEnum):
    """How two results of a query compare."""

    SAME = "same"
    CLOSE = "close"
    CHANGED = "changed"
    NO_DATA = "no data"


def language(query: str) -> Language:
    """By its first character: paths begin with a slash, log queries with a stream selector."""
    return {"/": Language.API, "{": Language.LOGQL}.get(query[:1], Language.PROMQL)


def span(window: Window) -> tuple[datetime, datetime, float]:
    """Start, end and step of a run over a report's window: whole seconds, as the API stores them."""
    start = window.start.replace(microsecond=0)
    end = max(window.end.replace(microsecond=0) - SETTLE, start + timedelta(seconds=1))
    return start, end, float(max(MIN_STEP, math.ceil((end - start).total_seconds() / STEPS)))


def metric_result(series: Sequence[tuple[Mapping[str, str], Sequence[tuple[float, float]]]]) -> QueryResult:
    """Summary of a matrix: ``(labels, [(Unix seconds, value), …])`` per series, in any order."""
    known = [
        (sorted(labels.items()), [(round(at), value) for at, value in points if math.isfinite(value)])
        for labels, points in series
    ]
    known = sorted((labels, points) for labels, points in known if points)
    values = [value for _, points in known for _, value in points]
    canonical = [[labels, [[at, _rounded(value)] for at, value in points]] for labels, points in known]
    return QueryResult(
        series=len(known),
        samples=len(values),
        lowest=measure(min(values, default=math.nan)),
        highest=measure(max(values, default=math.nan)),
        last=measure(math.fsum(points[-1][1] for _, points in known) if known else math.nan),
        digest=_short(canonical),
    )


def log_result(lines: int) -> QueryResult:
    """Summary of a count of lines."""
    return QueryResult(series=0, samples=lines, digest=_short(["lines", lines]))


def _short(canonical: object) -> str:
    return digest(canonical).removeprefix("sha256:")[:16]


def _rounded(value: float) -> str:
    return f"{value:.{DIGITS}g}"


def compare(then: QueryResult, now: QueryResult) -> Same:
    """``close``: the numbers agree within five percent of their range; ``no data``: there is nothing left of it."""
    if then.digest == now.digest:
        return Same.SAME
    if now.samples == 0:
        return Same.NO_DATA
    pairs = [(float(one), float(other)) for one, other in zip(_numbers(then), _numbers(now), strict=True)]
    scale = max((abs(value) for pair in pairs for value in pair if math.isfinite(value)), default=0.0)
    near = all(_near(one, other, scale) for one, other in pairs)
    alike = then.series == now.series and abs(then.samples - now.samples) <= max(2, CLOSE * then.samples)
    return Same.CLOSE if near and alike else Same.CHANGED


def _numbers(result: QueryResult) -> tuple[str, str, str]:
    return result.lowest, result.highest, result.last


def _near(one: float, other: float, scale: float) -> bool:
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) == math.isnan(other)
    return abs(one - other) <= CLOSE * scale
