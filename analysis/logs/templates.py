"""Kinds of records since an onset, held against the hours before it: new, bursting, vanished or usual. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from analysis.logs.mining import mine
from analysis.logs.records import Record
from analysis.logs.tokens import WILDCARD
from analysis.words import estimate_tokens
from crds.v1alpha1.rcareport import LogMark

MAX_TEMPLATE_CHARS: Final = 160
BURST_FACTOR: Final = 3.0
"""Of the mean rate of the hours before."""
BURST_OVER_BUSIEST: Final = 1.5
"""Of the number in the busiest of the slices before: what bursts every hour is usual."""
MIN_BURST: Final = 10
MIN_EXPECTED: Final = 7.0
"""Records that should have come since the onset before their absence says something: by chance, one in a thousand."""
ALARM_FACTOR: Final = 2.0
"""Of a kind's information when it speaks of an error: what people look for first."""

_PROBE: Final = re.compile(
    r"kube-probe/|\bELB-HealthChecker|\b(?:GET|HEAD) /(?:-/)?(?:healthz?|livez?|readyz?|ping|metrics)\b",
    re.IGNORECASE,
)
"""Health checks and scrapes: they come and go with the pods and say nothing of a cause."""


def literal_part(masked: str) -> str:
    """The longest constant stretch of a template: what a line filter can search for."""
    parts = [part.strip(' "…') for part in masked.split(WILDCARD)]
    return max(parts, key=len, default="")


@dataclass(frozen=True, slots=True)
class Seen:
    """A record that was read, and for how many it stands where not all were."""

    record: Record
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Side:
    """What was read of one side of the onset: ``seconds`` long, in ``slices`` of equal length from ``start``."""

    seen: tuple[Seen, ...]
    start: float
    """Unix seconds."""
    seconds: float
    slices: int = 1

    def slice_of(self, record: Record) -> int:
        """Number of the slice that a record lies in."""
        share = (record.lines[0].at / 1e9 - self.start) / self.seconds
        return min(self.slices - 1, max(0, int(share * self.slices)))


@dataclass(frozen=True, slots=True)
class Chunk:
    """A kind of record with one example. Times are Unix nanoseconds; counts are estimates where not all was read."""

    mark: LogMark
    text: str
    """The template."""
    count: int
    """Since the onset."""
    before: int
    """In the hours before it."""
    first_at: int
    last_at: int
    """Since the onset; of what vanished, before it."""
    example: Record
    pods: tuple[str, ...]
    information: float
    """Bits, dampened; what is usual has little."""

    @property
    def id(self) -> str:
        """Of its example: resolves to the line in Loki."""
        return self.example.id

    @property
    def tokens(self) -> int:
        """What it takes of a context's budget."""
        return estimate_tokens(self.text) + estimate_tokens(self.example.excerpt())


def chunks(before: Side, after: Side) -> tuple[Chunk, ...]:
    """Every kind of record of both sides, most informative first, ties by text.

    Both sides are mined together, so that a record is of the same kind on either side of the onset.
    """
    old = [one for one in before.seen if not _PROBE.search(one.record.head.text)]
    new = [one for one in after.seen if not _PROBE.search(one.record.head.text)]
    mined = mine([one.record.head.text.strip() for one in (*old, *new)])
    kinds: dict[int, tuple[list[Seen], list[Seen]]] = {}
    for at, (one, group) in enumerate(zip((*old, *new), mined.groups, strict=True)):
        kinds.setdefault(group, ([], []))[at >= len(old)].append(one)
    found = [
        _chunk(text, earlier, later, before, after)
        for group, (earlier, later) in kinds.items()
        if literal_part(text := _cut(mined.templates[group]))
    ]
    return tuple(sorted(found, key=lambda one: (-one.information, one.text)))


def _chunk(text: str, earlier: list[Seen], later: list[Seen], before: Side, after: Side) -> Chunk:
    mark = _mark(earlier, later, before, after)
    shown = later or earlier
    a, b = _total(later), _total(earlier)
    bits = surprise(a, after.seconds, b, before.seconds)
    example = min((one.record for one in shown), key=lambda one: (one.lines[0].at, one.lines[0].pod))
    factor = ALARM_FACTOR if example.alarming else 1.0
    return Chunk(
        mark=mark,
        text=text,
        count=round(a),
        before=round(b),
        first_at=min(one.record.lines[0].at for one in shown),
        last_at=max(one.record.lines[0].at for one in shown),
        example=example,
        pods=tuple(sorted({one.record.lines[0].pod for one in shown})),
        information=math.log2(1 + bits) * factor * (0.1 if mark is LogMark.USUAL else 1.0),
    )


def _mark(earlier: Sequence[Seen], later: Sequence[Seen], before: Side, after: Side) -> LogMark:
    a, b = _total(later), _total(earlier)
    if not earlier:
        return LogMark.NEW
    if not later:
        expected = b / before.seconds * after.seconds
        recent = any(before.slice_of(one.record) == before.slices - 1 for one in earlier)
        return LogMark.VANISHED if recent and expected >= MIN_EXPECTED else LogMark.USUAL
    busiest: dict[int, float] = {}
    for one in earlier:
        number = before.slice_of(one.record)
        busiest[number] = busiest.get(number, 0.0) + one.weight
    often = a / after.seconds >= BURST_FACTOR * b / before.seconds
    length = max(1.0, after.seconds / (before.seconds / before.slices))
    more = a >= BURST_OVER_BUSIEST * length * max(busiest.values())
    return LogMark.BURSTING if a >= MIN_BURST and often and more else LogMark.USUAL


def _total(seen: Iterable[Seen]) -> float:
    return math.fsum(one.weight for one in seen)


def surprise(a: float, a_seconds: float, b: float, b_seconds: float) -> float:
    """Bits by which two counts over two spans speak against one rate for both: log-likelihood ratio (Dunning 1993)."""
    share = a_seconds / (a_seconds + b_seconds)
    terms = ((a, (a + b) * share), (b, (a + b) * (1 - share)))
    return math.fsum(count * math.log2(count / expected) for count, expected in terms if count > 0)


def within(found: Iterable[Chunk], tokens: int, most: int) -> tuple[Chunk, ...]:
    """The most informative ones that fit a token budget, most informative first."""
    chosen: list[Chunk] = []
    for one in sorted(found, key=lambda one: (-one.information, one.text)):
        if len(chosen) < most and one.tokens <= tokens:
            chosen.append(one)
            tokens -= one.tokens
    return tuple(chosen)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEMPLATE_CHARS else text[: MAX_TEMPLATE_CHARS - 1] + "…"
