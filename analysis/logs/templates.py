"""Log templates: what lines have in common once their variable parts are masked.

Masking alone, without clustering: the same line always gives the same template, whatever was seen before, so that a
report can be reproduced byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from analysis.telemetry.loki import LogLine

WILDCARD: Final = "<*>"
MAX_TEMPLATE_CHARS: Final = 160

_MASKS: Final[tuple[re.Pattern[str], ...]] = tuple(
    re.compile(pattern)
    for pattern in (
        r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d+)?(?:Z|[+-]\d{2}:?\d{2})?",  # ISO 8601
        r"\d{1,2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:\d{2}(?: [+-]\d{4})?",  # access logs
        r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b",  # UUID
        r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b",  # IPv4
        r"\b0x[0-9a-fA-F]+\b",
        r"\b(?=[0-9a-f]*\d)[0-9a-f]{12,}\b",  # digests, ids
        r"\"[^\"]{0,200}\"|'[^']{0,200}'",  # quoted values
        r"(?<![A-Za-z0-9_])[-+]?\d+(?:[.,:]\d+)*(?=(?:[a-zA-Zµ%]{0,3})(?![A-Za-z0-9_]))",  # numbers, with a unit
        r"(?<=[-_/=])\d+(?=$|[^A-Za-z0-9])",
    )
)


def template(text: str) -> str:
    """The line with times, ids, addresses, quoted values and numbers masked."""
    masked = text.strip()
    for mask in _MASKS:
        masked = mask.sub(WILDCARD, masked)
    masked = " ".join(masked.split())
    return masked if len(masked) <= MAX_TEMPLATE_CHARS else masked[: MAX_TEMPLATE_CHARS - 1] + "…"


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
    """Kinds of lines of ``after`` that do not occur in ``before``, most frequent first, ties by text."""
    known = {template(line.text) for line in before}
    counts: dict[str, tuple[int, int, str]] = {}
    for line in after:
        text = template(line.text)
        if text in known or not literal_part(text):
            continue
        count, first, example = counts.get(text, (0, line.at, line.text))
        counts[text] = (count + 1, min(first, line.at), example)
    ordered = sorted(counts.items(), key=lambda item: (-item[1][0], item[0]))
    return tuple(NewTemplate(text, count, first, example) for text, (count, first, example) in ordered[:limit])
