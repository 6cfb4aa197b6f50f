"""Which kinds of lines are new since an onset, compared with the lines before it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from analysis.logs.mining import mine
from analysis.logs.tokens import WILDCARD
from analysis.telemetry.loki import LogLine

MAX_TEMPLATE_CHARS: Final = 160

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
class NewTemplate:
    """A kind of line that was not seen before the onset. Times are Unix nanoseconds."""

    text: str
    count: int
    first_at: int
    example: str


def new_templates(before: Iterable[LogLine], after: Iterable[LogLine], limit: int) -> tuple[NewTemplate, ...]:
    """Kinds of lines of ``after`` that do not occur in ``before``, most frequent first, ties by text.

    Both are mined together, so that a line is of the same kind on either side of the onset.
    """
    old = [line for line in before if not _PROBE.search(line.text)]
    new = [line for line in after if not _PROBE.search(line.text)]
    mined = mine([_head(line.text) for line in [*old, *new]])
    known = set(mined.groups[: len(old)])
    counts: dict[int, tuple[int, int, str]] = {}
    for line, group in zip(new, mined.groups[len(old) :], strict=True):
        if group in known:
            continue
        count, first, example = counts.get(group, (0, line.at, line.text))
        counts[group] = (count + 1, min(first, line.at), example)
    found = [
        NewTemplate(text, count, first, example)
        for group, (count, first, example) in counts.items()
        if literal_part(text := _cut(mined.templates[group]))
    ]
    return tuple(sorted(found, key=lambda one: (-one.count, one.text))[:limit])


def _head(text: str) -> str:
    """The first line of a record that has several, such as a stack trace."""
    return text.strip().partition("\n")[0]


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEMPLATE_CHARS else text[: MAX_TEMPLATE_CHARS - 1] + "…"
