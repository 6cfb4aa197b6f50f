"""A small metrics store that answers as Prometheus does, computing ``rate`` sample by sample from its documentation."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import cramjam
import httpx
import numpy as np

from analysis.telemetry.prometheus import Prometheus
from tests.unit.analysis.telemetry.remote import request

_RATE = re.compile(r"sum by \((?P<by>[^)]*)\) \(rate\((?P<metric>\w+)\{(?P<match>[^}]*)\}\[(?P<window>\d+)s\]\)\)")
_RANGE = re.compile(r"(?P<metric>\w+)\{(?P<match>[^}]*)\}\[(?P<window>\d+)s\]")
_MAX = re.compile(r"max by \((?P<by>[^)]*)\) \((?P<metric>\w+)\{(?P<match>[^}]*)\}\)")
_COUNT = re.compile(r"count by \(namespace\) \(last_over_time\((?P<metric>\w+)\[(?P<window>\d+)s\]\)\)")
STALE = float(np.array([0x7FF0000000000002], dtype=np.uint64).view(np.float64)[0])

Point = tuple[float, float]


@dataclass
class Source:
    """Series by their labels; each is a list of (Unix seconds, value)."""

    series: dict[tuple[tuple[str, str], ...], list[Point]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    down: bool = False

    def add(self, labels: dict[str, str], at: float, value: float) -> None:
        self.series.setdefault(tuple(sorted(labels.items())), []).append((at, value))

    def body(self, after: float, until: float) -> bytes:
        """What remote_write would send of ``(after, until]``."""
        chosen = [
            (dict(labels), [(value, round(at * 1000)) for at, value in points if after < at <= until])
            for labels, points in self.series.items()
        ]
        message = request(*((labels, points) for labels, points in chosen if points))
        return bytes(cramjam.snappy.compress_raw(message))

    def prometheus(self) -> Prometheus:
        return Prometheus("http://prom:9090", 2.0, httpx.AsyncClient(transport=httpx.MockTransport(self._answer)))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            return httpx.Response(503, text="down")
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        query = form["query"]
        self.asked.append(query)
        if found := _RATE.fullmatch(query):
            data = {"resultType": "matrix", "result": self._rates(found, form)}
        elif found := _RANGE.fullmatch(query):
            data = {"resultType": "matrix", "result": self._range(found, float(form["time"]))}
        elif found := _MAX.fullmatch(query):
            data = {"resultType": "vector", "result": self._max(found, float(form["time"]))}
        elif found := _COUNT.fullmatch(query):
            data = {"resultType": "vector", "result": self._count(found, float(form["time"]))}
        else:
            return httpx.Response(400, text=f"cannot parse {query}")
        return httpx.Response(200, json={"status": "success", "data": data})

    def _chosen(self, metric: str, match: str) -> list[tuple[dict[str, str], list[Point]]]:
        tests: list[Callable[[dict[str, str]], bool]] = []
        for name, operator, value in re.findall(r'(\w+)(=~|!=|=)"((?:[^"\\]|\\.)*)"', match):
            wanted = value.replace("\\\\", "\\")
            if operator == "=~":
                tests.append(lambda one, n=name, w=wanted: re.fullmatch(w, one.get(n, "")) is not None)
            else:
                tests.append(lambda one, n=name, w=wanted, e=operator == "=": (one.get(n, "") == w) is e)
        return [
            (dict(labels), points)
            for labels, points in self.series.items()
            if dict(labels)["__name__"] == metric and all(test(dict(labels)) for test in tests)
        ]

    def _range(self, found: re.Match[str], at: float) -> list[dict]:
        result = []
        for labels, points in self._chosen(found["metric"], found["match"]):
            inside = [[when, repr(value)] for when, value in points
                      if at - float(found["window"]) < when <= at and not np.isnan(value)]  # fmt: skip
            if inside:
                result.append({"metric": labels, "values": inside})
        return result

    def _count(self, found: re.Match[str], at: float) -> list[dict]:
        counts: dict[str, int] = {}
        for labels, points in self._chosen(found["metric"], ""):
            if any(at - float(found["window"]) < when <= at for when, _ in points):
                counts[labels.get("namespace", "")] = counts.get(labels.get("namespace", ""), 0) + 1
        return [{"metric": {"namespace": name}, "value": [at, str(count)]} for name, count in counts.items()]

    def _max(self, found: re.Match[str], at: float) -> list[dict]:
        best: dict[tuple[tuple[str, str], ...], float] = {}
        for labels, points in self._chosen(found["metric"], found["match"]):
            inside = [value for when, value in sorted(points) if at - 300 < when <= at]
            if inside and not np.isnan(inside[-1]):
                key = tuple((name, labels.get(name, "")) for name in found["by"].split(", "))
                best[key] = max(best.get(key, -np.inf), inside[-1])
        return [{"metric": dict(key), "value": [at, repr(value)]} for key, value in best.items()]

    def _rates(self, found: re.Match[str], form: dict[str, str]) -> list[dict]:
        at, end, step = float(form["start"]), float(form["end"]), float(form["step"].removesuffix("s"))
        sums: dict[tuple[tuple[str, str], ...], dict[float, float]] = {}
        while at <= end + 1e-6:
            for labels, points in self._chosen(found["metric"], found["match"]):
                value = rate_of(sorted(points), at, float(found["window"]))
                if value is not None:
                    key = tuple((name, labels[name]) for name in found["by"].split(", ") if name in labels)
                    steps = sums.setdefault(key, {})
                    steps[at] = steps.get(at, 0.0) + value
            at += step
        return [
            {"metric": dict(key), "values": [[when, repr(value)] for when, value in steps.items()]}
            for key, steps in sums.items()
        ]


def rate_of(points: list[Point], at: float, window: float) -> float | None:
    """``rate`` as promql/functions.go has it, one sample after the other."""
    inside = [(when, value) for when, value in points if at - window < when <= at and not np.isnan(value)]
    if len(inside) < 2:
        return None
    grown, previous = inside[-1][1] - inside[0][1], inside[0][1]
    for _, value in inside[1:]:
        if value < previous:
            grown += previous
        previous = value
    sampled = inside[-1][0] - inside[0][0]
    mean = sampled / (len(inside) - 1)
    to_start, to_end = inside[0][0] - (at - window), at - inside[-1][0]
    if to_start >= mean * 1.1:
        to_start = mean / 2
    if grown > 0 and inside[0][1] >= 0:
        to_start = min(to_start, sampled * (inside[0][1] / grown))
    if to_end >= mean * 1.1:
        to_end = mean / 2
    return grown * (sampled + to_start + to_end) / sampled / window
