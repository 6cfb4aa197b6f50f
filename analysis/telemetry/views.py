"""Which rows a question is about, kept up to date as series come and go: labels are read once per series."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from analysis.telemetry.labels import decode
from analysis.telemetry.query import Matcher
from analysis.windows.block import Block, Bool, Float64, Int64, Labels


@dataclass(slots=True)
class Log:
    """Series of one metric in the order in which they came. ``births`` tells a row's tenants apart."""

    rows: list[int] = field(default_factory=list)
    births: list[int] = field(default_factory=list)
    version: int = 0
    """Changes when the log was compacted: positions in it are no longer what they were."""

    def add(self, row: int, birth: int) -> None:
        """A series came."""
        self.rows.append(row)
        self.births.append(birth)

    def compact(self, born: Int64) -> None:
        """Drop what is gone, once it is the larger part."""
        rows, births = np.array(self.rows, dtype=np.int64), np.array(self.births, dtype=np.int64)
        alive = born[rows] == births
        if len(rows) > 1024 and 2 * int(alive.sum()) < len(rows):
            self.rows, self.births = rows[alive].tolist(), births[alive].tolist()
            self.version += 1


class View:
    """Rows of one metric that match, each with its group by the labels in ``by``.

    ``rows: int64[series]``, ``groups: int64[series]`` (an index into ``labels``).
    """

    def __init__(self, log: Log, matchers: tuple[Matcher, ...], by: tuple[str, ...]) -> None:
        self.log = log
        self.labels: list[Labels] = []
        self.rows: Int64 = np.zeros(0, dtype=np.int64)
        self.groups: Int64 = np.zeros(0, dtype=np.int64)
        self._by = tuple(name.encode() for name in by)
        self._tests = tuple(_test(matcher) for matcher in matchers)
        self._births: Int64 = np.zeros(0, dtype=np.int64)
        self._known: dict[tuple[bytes, ...], int] = {}
        self._sorted: Int64 = np.zeros(0, dtype=np.int64)
        self._seen, self._version = 0, log.version

    def refresh(self, born: Int64, raw: Callable[[int], bytes]) -> None:
        """Take in what has come and let go what is gone since the last time."""
        self.log.compact(born)
        if self._version != self.log.version:
            self._start_anew()
        alive = born[self.rows] == self._births
        if not alive.all():
            self.rows, self.groups, self._births = self.rows[alive], self.groups[alive], self._births[alive]
            if 2 * len(np.unique(self.groups)) < len(self.labels):
                self._start_anew()
        rows, groups, births = [], [], []
        for row, birth in zip(self.log.rows[self._seen :], self.log.births[self._seen :], strict=True):
            if born[row] != birth:
                continue
            group = self._group(raw(row))
            if group is not None:
                rows.append(row)
                groups.append(group)
                births.append(birth)
        self._seen = len(self.log.rows)
        if rows:
            self.rows = np.concatenate([self.rows, np.array(rows, dtype=np.int64)])
            self.groups = np.concatenate([self.groups, np.array(groups, dtype=np.int64)])
            self._births = np.concatenate([self._births, np.array(births, dtype=np.int64)])

    def block(self, times: Float64, values: Float64, end: float, seconds: float, step: float) -> Block:
        """The groups' samples on a grid; of several in one cell the newest is kept.

        Args:
            times: Unix milliseconds ``[series, time]``, NaN for gaps.
            values: the same shape.
        """
        count = max(1, round(seconds / step))
        start = end - count * step
        order = self._order()
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        offsets = np.full((len(order), count), np.nan, dtype=np.float32)
        cells = np.full((len(order), count), np.nan, dtype=np.float32)
        series, column = np.nonzero(np.isfinite(times))
        at = times[series, column]
        if len(order) < len(self.rows):  # several series of one group: in order of time
            by_time = np.argsort(at, kind="stable")
            series, column, at = series[by_time], column[by_time], at[by_time]
        since = at / 1000 - start
        cell = np.floor(since / step).astype(np.int64)
        keep = (cell >= 0) & (cell < count) & (since > count * step - seconds)
        where = (rank[self.groups[series[keep]]], cell[keep])
        offsets[where] = since[keep].astype(np.float32)
        cells[where] = values[series[keep], column[keep]].astype(np.float32)
        some: Bool = np.asarray(np.isfinite(cells).any(axis=1))
        labels = tuple(self.labels[index] for index, is_there in zip(order.tolist(), some, strict=True) if is_there)
        return Block(labels, start, step, offsets[some], cells[some])

    def _order(self) -> Int64:
        if len(self._sorted) != len(self.labels):  # groups only ever come, until all start anew
            keys = sorted(range(len(self.labels)), key=lambda index: tuple(self.labels[index].values()))
            self._sorted = np.array(keys, dtype=np.int64)
        return self._sorted

    def _start_anew(self) -> None:
        self.labels, self._known, self._seen, self._version = [], {}, 0, self.log.version
        self.rows = self.groups = self._births = self._sorted = np.zeros(0, dtype=np.int64)

    def _group(self, raw: bytes) -> int | None:
        labels = decode(raw)
        if not all(test(labels) for test in self._tests):
            return None
        key = tuple(labels.get(name, b"") for name in self._by)
        group = self._known.get(key)
        if group is None:
            group = self._known[key] = len(self.labels)
            names = (name.decode() for name in self._by)
            self.labels.append({n: value.decode("utf-8", "replace") for n, value in zip(names, key, strict=True)})
        return group


def _test(matcher: Matcher) -> Callable[[dict[bytes, bytes]], bool]:
    """A matcher as a function of labels; a label that is absent is an empty one, as in PromQL.

    Raises:
        re.error: the pattern is RE2 that Python does not know.
    """
    name, wanted = matcher.label.encode(), matcher.value.encode()
    if matcher.operator == "=":
        return lambda labels: labels.get(name, b"") == wanted
    if matcher.operator == "!=":
        return lambda labels: labels.get(name, b"") != wanted
    pattern = re.compile(wanted, re.DOTALL)
    if matcher.operator == "=~":
        return lambda labels: pattern.fullmatch(labels.get(name, b"")) is not None
    return lambda labels: pattern.fullmatch(labels.get(name, b"")) is None
