"""Which rows a question is about, kept up to date as series come and go: labels are read once per series."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from analysis.telemetry.groups import Groups
from analysis.telemetry.labels import decode
from analysis.telemetry.query import Matcher
from analysis.windows.block import Block, Bool, Float64, Int64


@dataclass(slots=True)
class Log:
    """Series of one metric in the order in which they came. ``births`` tells a row's tenants apart."""

    rows: array[int] = field(default_factory=lambda: array("q"))
    births: array[int] = field(default_factory=lambda: array("q"))
    version: int = 0
    """Changes when the log was compacted: positions in it are no longer what they were."""
    _looked_at: int = 0
    """Its length when it was last looked at whether most of it is gone."""

    def add(self, row: int, birth: int) -> None:
        """A series came."""
        self.rows.append(row)
        self.births.append(birth)

    def compact(self, born: Int64) -> None:
        """Drop what is gone, once it is the larger part; only looked at when series have come, which make it longer."""
        if len(self.rows) == self._looked_at:
            return
        rows, births = np.array(self.rows, dtype=np.int64), np.array(self.births, dtype=np.int64)
        alive = born[rows] == births
        if len(rows) > 1024 and 2 * int(alive.sum()) < len(rows):
            self.rows, self.births = array("q", rows[alive].tobytes()), array("q", births[alive].tobytes())
            self.version += 1
        self._looked_at = len(self.rows)


@dataclass(frozen=True, slots=True)
class Frame:
    """A grid of cells up to ``end`` (Unix seconds), of which samples of the last ``seconds`` are wanted."""

    end: float
    seconds: float
    step: float
    """Seconds of a cell."""

    @property
    def count(self) -> int:
        """Cells of the grid."""
        return max(1, round(self.seconds / self.step))

    @property
    def start(self) -> float:
        """Unix seconds."""
        return self.end - self.count * self.step

    @property
    def within(self) -> tuple[int, int]:
        """First and last Unix millisecond whose samples are on it."""
        opened, start, end = (round(at * 1000, 3) for at in (self.end - self.seconds, self.start, self.end))
        return max(math.floor(opened) + 1, math.ceil(start)), math.ceil(end) - 1


class View:
    """Rows of one metric that match, each with its group.

    ``rows: int64[series]``, ``numbers: int64[series]`` (of the groups).
    """

    def __init__(self, log: Log, matchers: tuple[Matcher, ...], groups: Groups) -> None:
        self.log, self.groups = log, groups
        self.rows: Int64 = np.zeros(0, dtype=np.int64)
        self.numbers: Int64 = np.zeros(0, dtype=np.int64)
        self.members: Int64 = np.zeros(0, dtype=np.int64)
        """Numbers of the groups that there are, rising."""
        self._tests = tuple(_test(matcher) for matcher in matchers)
        self._births: Int64 = np.zeros(0, dtype=np.int64)
        self._in_order: Int64 | None = None
        self._seen, self._version = 0, log.version

    @property
    def alone(self) -> bool:
        """Whether no two rows are of one group."""
        return len(self.members) == len(self.rows)

    @property
    def places(self) -> Int64:
        """Place of each row's group among the members. ``int64[series]``."""
        return np.searchsorted(self.members, self.numbers).astype(np.int64)

    def refresh(self, born: Int64, raw: Callable[[int], bytes]) -> None:
        """Take in what has come and let go what is gone since the last time."""
        self.log.compact(born)
        if self._version != self.log.version:
            self.rows = self.numbers = self._births = np.zeros(0, dtype=np.int64)
            self._seen, self._version = 0, self.log.version
        before = len(self.rows)
        alive = born[self.rows] == self._births
        if not alive.all():
            self.rows, self.numbers, self._births = self.rows[alive], self.numbers[alive], self._births[alive]
        came = self._came(born, raw)
        if len(came):
            self.rows, self.numbers, self._births = (
                np.concatenate(pair) for pair in zip((self.rows, self.numbers, self._births), came.T, strict=True)
            )
        if len(came) or before != len(self.rows):
            self.members, self._in_order = np.unique(self.numbers), None

    def _came(self, born: Int64, raw: Callable[[int], bytes]) -> Int64:
        """Row, group and birth of what matches and is new. ``int64[series, 3]``."""
        found = array("q")  # flat: at the first look it is all series at once
        for row, birth in zip(self.log.rows[self._seen :], self.log.births[self._seen :], strict=True):
            if born[row] != birth:
                continue
            labels = decode(raw(row))
            if all(test(labels) for test in self._tests):
                found.extend((row, self.groups.number(labels), birth))
        self._seen = len(self.log.rows)
        return np.array(found, dtype=np.int64).reshape(-1, 3)

    def chosen(self, numbers: Int64 | None) -> tuple[Int64, Int64]:
        """Places of the rows of some groups (of all without), and those groups in the order of their labels."""
        if numbers is None:
            if self._in_order is None:
                self._in_order = self.groups.in_order(self.members)
            return np.arange(len(self.rows)), self._in_order
        wanted = np.zeros(len(self.groups), dtype=np.bool_)
        wanted[numbers] = True
        places = np.flatnonzero(wanted[self.numbers])
        return places, self.groups.in_order(np.unique(self.numbers[places]))

    def block(self, places: Int64, order: Int64, times: Float64, values: Float64, frame: Frame) -> Block:
        """The groups' samples on a grid; of several in one cell the newest is kept.

        Args:
            places: of the rows that the samples are of, ``int64[series]``.
            order: their groups, in the block's order.
            times: Unix milliseconds ``[series, time]``, NaN for gaps.
            values: the same shape.
        """
        rank = np.zeros(len(self.groups), dtype=np.int64)
        rank[order] = np.arange(len(order))
        offsets = np.full((len(order), frame.count), np.nan, dtype=np.float32)
        cells = np.full((len(order), frame.count), np.nan, dtype=np.float32)
        with np.errstate(invalid="ignore"):
            series, column = np.nonzero((times >= frame.within[0]) & (times <= frame.within[1]))
        at = times[series, column]
        if len(order) < len(places):  # several series of one group: in order of time
            by_time = np.argsort(at, kind="stable")
            series, column, at = series[by_time], column[by_time], at[by_time]
        since = at / 1000 - frame.start
        cell = np.clip(np.floor(since / frame.step).astype(np.int64), 0, frame.count - 1)
        where = (rank[self.numbers[places[series]]], cell)
        offsets[where] = since.astype(np.float32)
        cells[where] = values[series, column].astype(np.float32)
        some: Bool = np.asarray(np.isfinite(cells).any(axis=1))
        labels = tuple(self.groups.labels(number) for number in order[some].tolist())
        return Block(labels, frame.start, frame.step, offsets[some], cells[some])


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
