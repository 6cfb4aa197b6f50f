"""Reading the records around an onset: spread over hours, bounded in number and time, and checked against all lines.

Of a large log only a part is read: slices of equal length, so many lines of each. What the part does not show is asked
of Loki itself, which looks at every line: first for lines since the onset that are of no kind known from before, then
whether the kinds that seem new were there in the hours before after all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from analysis.logs.mining import mine
from analysis.logs.records import Record, joined
from analysis.logs.templates import Chunk, Seen, Side, chunks, literal_part
from analysis.telemetry.errors import SourceError
from analysis.telemetry.loki import LogLine, Loki
from analysis.telemetry.query import equal, one_of, quote, selector
from analysis.words import moment
from analysis.workloads import pod_matcher
from crds.v1alpha1.base import TargetRef
from crds.v1alpha1.rcareport import LogMark

BASELINE = timedelta(hours=3)
"""What is usual is what came in these hours before the onset."""
MAX_LINES = 2000
"""Of each side."""
MAX_ASKED = 500
"""Lines of a question to the whole log."""
CHECK_SECONDS = 4.0
"""For asking the whole log; without its answer what was read has to do."""
SLICES_BEFORE = 6
SLICES_SINCE = 4
MIN_SLICE_LINES = 100
MIN_LITERAL = 8
"""Characters of a template's constant part: a shorter one would be found in lines of other kinds."""
MAX_LITERALS = 60
MAX_WHOLE = 6
"""Examples that are read again with the lines around them."""
AROUND = timedelta(seconds=1)
INDENTED = "^\\s"
"""RE2: such a line belongs to another one."""


@dataclass(frozen=True, slots=True)
class LogContext:
    """What the logs of one workload say since the onset, against the hours before it; most informative first."""

    selector: str
    chunks: tuple[Chunk, ...]
    lines_before: int
    lines_after: int
    sampled: bool
    """True when there were more lines than were read."""
    checked: bool = True
    """False when there were more lines than were read, and Loki could not be asked about the others."""

    @property
    def new(self) -> tuple[Chunk, ...]:
        """Kinds that did not come in the hours before; empty where there was nothing before."""
        return tuple(one for one in self.chunks if one.mark is LogMark.NEW) if self.lines_before else ()


@dataclass(frozen=True, slots=True)
class _Read:
    """One side as it was read."""

    side: Side
    lines: int
    cut: bool


def stream_selector(target: TargetRef) -> str:
    """LogQL selector of a workload's container logs."""
    return selector("", equal("k8s_namespace_name", target.namespace), pod_matcher(target, "k8s_pod_name"))


def template_query(streams: str, masked: str) -> str:
    """LogQL that finds the lines of a template."""
    return f"{streams} |= {quote(literal_part(masked)[:120])}"


async def read_context(
    loki: Loki, target: TargetRef, onset: datetime, end: datetime, lines: int = MAX_LINES
) -> LogContext:
    """Compare the records since the onset with those of the hours before it.

    Args:
        lines: to be read of each side at most.

    Raises:
        SourceError: Loki does not answer.
    """
    streams = stream_selector(target)
    end = max(end, onset + timedelta(seconds=1))
    most = max(1, lines // MIN_SLICE_LINES)
    before, after = await asyncio.gather(
        _spread(loki, streams, onset - BASELINE, onset, lines, min(SLICES_BEFORE, most)),
        _spread(loki, streams, onset, end, lines, min(SLICES_SINCE, most)),
    )
    before, checked = _since_first_line(before), True
    if before.lines and (before.cut or after.cut):
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                before, after = await _checked(loki, streams, onset, end, before, after)
        except (SourceError, TimeoutError):
            checked = False
    found = await asyncio.to_thread(chunks, before.side, after.side)
    if after.cut and checked:
        with suppress(SourceError, TimeoutError):  # the example is shorter then
            async with asyncio.timeout(CHECK_SECONDS):
                found = await _whole(loki, target.namespace, found)
    return LogContext(streams, found, before.lines, after.lines, before.cut or after.cut, checked)


async def _spread(loki: Loki, streams: str, start: datetime, end: datetime, lines: int, slices: int) -> _Read:
    """Read equally many lines of each slice; of a slice that has more, each record stands for several."""
    length = (end - start) / slices
    spans = [(start + length * at, start + length * (at + 1)) for at in range(slices)]
    limit = lines // slices
    found = await asyncio.gather(*(loki.lines(streams, *span, limit, newest=False) for span in spans))
    full = [len(one) >= limit for one in found]

    async def total(at: int) -> int:
        return await loki.count(streams, length.total_seconds(), spans[at][1]) if full[at] else len(found[at])

    totals = await asyncio.gather(*(total(at) for at in range(slices)))
    seen = [
        Seen(record, max(1.0, totals[at] / len(one)))
        for at, one in enumerate(found)
        for record in joined(one)
    ]  # fmt: skip
    side = Side(tuple(seen), start.timestamp(), (end - start).total_seconds(), slices)
    return _Read(side, sum(totals), any(full))


def _since_first_line(read: _Read) -> _Read:
    """A side that begins with its first line: a young workload was not silent before it was there."""
    side = read.side
    if not side.seen:
        return read
    first = min(one.record.lines[0].at for one in side.seen) / 1e9
    seconds = max(1.0, side.start + side.seconds - first)
    return replace(read, side=replace(side, start=first, seconds=seconds))


async def _checked(
    loki: Loki, streams: str, onset: datetime, end: datetime, before: _Read, after: _Read
) -> tuple[_Read, _Read]:
    """Both sides with what the whole log adds to them.

    Raises:
        SourceError: Loki does not answer.
    """
    if after.cut:
        often = sorted(chunks(before.side, after.side), key=lambda one: -(one.before + one.count))
        heads = [one.text for one in often if one.before or one.count >= MAX_ASKED]
        known = _literals([*heads, *_other_lines(before), *_other_lines(after)])
        others = f"{streams} !~ {quote(INDENTED)}" + (f" !~ {quote(known)}" if known else "")
        after = _with(after, await loki.lines(others, onset, end, MAX_ASKED, newest=False))
    news = _literals(one.text for one in chunks(before.side, after.side) if one.mark is LogMark.NEW)
    if before.cut and news:
        asked = f"{streams} |~ {quote(news)}"
        before = _with(before, await loki.lines(asked, onset - BASELINE, onset, MAX_ASKED, newest=True))
    return before, after


def _other_lines(read: _Read) -> list[str]:
    """Templates of the lines of its records that are neither their heads nor indented."""
    records = [one.record for one in read.side.seen if len(one.record.lines) > 1]
    texts = {line.text for record in records for line in record.lines if line is not record.head and line.text.strip()}
    return sorted(set(mine(sorted(text for text in texts if not text[0].isspace())).templates))


def _literals(templates: Iterable[str]) -> str:
    """RE2 source for the constant parts of templates, in order, as far as they tell them from others."""
    parts = [part for text in templates if len(part := literal_part(text)[:120]) >= MIN_LITERAL]
    return one_of(parts[:MAX_LITERALS])


def _with(read: _Read, lines: list[LogLine]) -> _Read:
    """A side with the records of an answer added; they are all of their kinds, unless the answer is cut.

    What was read before and is in the answer stands for itself alone then.
    """
    found = {record.id: record for record in joined(lines)}
    there = {one.record.id for one in read.side.seen}
    more = tuple(Seen(record) for name, record in found.items() if name not in there)
    seen = read.side.seen
    if len(lines) < MAX_ASKED:
        seen = tuple(replace(one, weight=1.0) if one.record.id in found else one for one in seen)
    return replace(read, side=replace(read.side, seen=(*seen, *more)))


async def _whole(loki: Loki, namespace: str, found: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    """The chunks; the most telling with the whole of their examples, of which single lines may have been read.

    Raises:
        SourceError: Loki does not answer.
    """
    telling = [one for one in found if one.mark is not LogMark.USUAL and one.example.alarming][:MAX_WHOLE]
    examples = await asyncio.gather(*(_reread(loki, namespace, one) for one in telling))
    whole = {one.id: example for one, example in zip(telling, examples, strict=True)}
    return tuple(replace(one, example=whole.get(one.id, one.example)) for one in found)


async def _reread(loki: Loki, namespace: str, chunk: Chunk) -> Record:
    head = chunk.example.head
    labels = {"k8s_namespace_name": namespace, "k8s_pod_name": head.pod, "k8s_container_name": head.container}
    streams = selector("", *(equal(name, value) for name, value in labels.items() if value))
    at = moment(head.at / 1e9)
    lines = await loki.lines(streams, at - AROUND, at + AROUND, MAX_ASKED, newest=False)
    return next((one for one in joined(lines) if one.id == chunk.id), chunk.example)
