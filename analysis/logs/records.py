"""Records: what a program wrote at once, though every line of it is an entry of its own in Loki.

Indented lines belong to the line before them, as in the multi-line rules of the common log shippers; the stack traces
of Python, Java, Go, Node.js and .NET have unindented lines as well, which are known by what they say. Nothing is joined
across streams, nor after a pause.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from analysis.telemetry.loki import LogLine

MAX_LINES: Final = 120
MAX_PAUSE: Final = 2 * 10**9
"""Nanoseconds between two lines of one record."""
MAX_EXCERPT: Final = 690
"""Characters."""

_ALARM: Final = re.compile(
    r"error|exception|fatal|panic|fail|critical|refused|timed? ?out|denied|killed|unavailable|abort|\boom\b",
    re.IGNORECASE,
)
_PYTHON: Final = re.compile(r"^(?:  )?\s*Traceback \(most recent call last\)")
_CHAINED: Final = re.compile(r"^(?:During handling of the above exception|The above exception was the direct cause)")
_CONTINUES: Final = re.compile(r"^(?:Caused by: |Suppressed: |\.\.\. \d+ (?:more|common)|--- End of |[}\])]+[,;]?$)")
_EXCEPTION: Final = re.compile(
    r"^(?:Exception in thread \S+ |Unhandled exception\. |Uncaught )?(?:[\w$]+\.)*[\w$]*(?:Error|Exception|Throwable)\b"
)
_FRAME: Final = re.compile(r"^\s+(?:at |--->|\.\.\. \d+|--- End of )")
_GO: Final = re.compile(r"^(?:panic|fatal error): |\bpanic serving |^goroutine \d+ \[")
_GO_FRAME: Final = re.compile(
    r"^(?:goroutine \d+ \[|created by |exit status \d|\[signal |\[recovered\]|[\w./*()\[\]{}%·-]+\(.*\)$)"
)


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its lines, oldest first, at least one."""

    lines: tuple[LogLine, ...]

    @property
    def head(self) -> LogLine:
        """The line that tells its kind: the first that speaks of an error, of a bare stack trace the exception."""
        flat = [line for line in self.lines if line.text and not line.text[0].isspace()] or list(self.lines)
        loud = next((line for line in flat if alarming(line.text)), None)
        if loud is not None:
            return loud
        return flat[-1] if _PYTHON.match(self.lines[0].text) else self.lines[0]

    @property
    def id(self) -> str:
        """Stable and resolvable: ``log-<nanoseconds in hex>-<hash of stream and text>``."""
        return line_id(self.head)

    @property
    def alarming(self) -> bool:
        """Whether it speaks of an error, or is a stack trace."""
        return alarming(self.head.text)

    def excerpt(self) -> str:
        """Its text; of a long one the beginning and the end, where causes stand."""
        text = "\n".join(line.text for line in self.lines)
        if len(text) <= MAX_EXCERPT:
            return text
        half = MAX_EXCERPT // 2
        return f"{text[:half]}\n…\n{text[-half:]}"


def line_id(line: LogLine) -> str:
    """Id of one line. With the streams of its report it finds the line again: the time is in it, the hash checks it."""
    source = "\0".join((line.pod, line.container, line.text))
    return f"log-{line.at:x}-{hashlib.sha256(source.encode('utf-8', 'replace')).hexdigest()[:8]}"


def time_of(found: str) -> int | None:
    """The Unix nanoseconds in a line's id; None for something else."""
    match = re.fullmatch(r"log-([0-9a-f]{1,16})-[0-9a-f]{8}", found)
    return int(match[1], 16) if match else None


def alarming(text: str) -> bool:
    """Whether a line has a word of trouble."""
    return _ALARM.search(text) is not None


def joined(lines: Iterable[LogLine]) -> list[Record]:
    """Lines, oldest first, as records, by the time of their first lines."""
    streams: dict[tuple[str, str, str], list[LogLine]] = defaultdict(list)
    for line in lines:
        streams[line.pod, line.container, line.stream].append(line)
    found = [record for _, stream in sorted(streams.items()) for record in _records(stream)]
    return sorted(found, key=lambda one: one.lines[0].at)


def _records(stream: list[LogLine]) -> Iterator[Record]:
    opened: _Open | None = None
    for line, following in zip_longest(stream, stream[1:]):
        if opened is not None and opened.takes(line, following):
            opened.add(line)
            continue
        if opened is not None:
            yield Record(tuple(opened.lines))
        # a frame without its head: the trace began before what was read
        opened = None if not line.text.strip() or _FRAME.match(line.text) else _Open(line)
    if opened is not None:
        yield Record(tuple(opened.lines))


class _Open:
    """A record that may go on."""

    def __init__(self, line: LogLine) -> None:
        self.lines: list[LogLine] = []
        self._awaits_exception = False
        """Frames of a Python traceback are coming, and then the exception, which is not indented."""
        self._go = False
        self._trace = False
        self.add(line)

    def add(self, line: LogLine) -> None:
        text = line.text
        indented = text[:1].isspace()
        if _PYTHON.match(text):
            self._awaits_exception = True
        elif text and not indented:
            self._awaits_exception = False
        self._go = self._go or _GO.search(text) is not None
        self._trace = self._trace or (bool(self.lines) and indented)
        self.lines.append(line)

    def takes(self, line: LogLine, following: LogLine | None) -> bool:
        last, text = self.lines[-1], line.text
        if len(self.lines) >= MAX_LINES or line.at - last.at > MAX_PAUSE:
            return False
        if not text.strip():
            return self._trace or self._go
        if (
            text[0].isspace()
            or _CONTINUES.match(text)
            or self._awaits_exception
            or (self._trace and _CHAINED.match(text))
        ):
            return True
        if self._go and (_GO_FRAME.match(text) or _GO.match(text)):
            return True
        begins = _PYTHON.match(text) or (
            _EXCEPTION.match(text) and following is not None and _FRAME.match(following.text)
        )
        return bool(begins) and (not last.text.strip() or (not self._trace and alarming(self.lines[0].text)))
