"""One cluster's part of stores that hold several: a matcher in every selector of a query.

It is put in where queries leave for their store, not where they are written, so that no query can forget it. What makes
that possible is that every selector has braces: ours are built so (``query.selector``), and the files of causes and
baselines are held to it when they are read (``bare``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from analysis.telemetry.query import Matcher, equal

_STRING = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)"""
_SELECTOR = re.compile(rf"(?P<string>{_STRING})|\{{\s*(?P<empty>\}})?", re.DOTALL)
_APART = re.compile(r"\{[^{}]*\}|\[[^\[\]]*\]|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)")
_NAME = re.compile(r"(?<![\w.:])[a-zA-Z_:][\w:]*(?![\w:])(?!\s*[({])")
_WORDS = frozenset({
    "and", "or", "unless", "atan2", "bool", "offset", "by", "without", "on", "ignoring", "group_left", "group_right",
    "inf", "nan",
})  # fmt: skip
"""Of PromQL, that are no metrics though nothing opens behind them."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose series or lines are meant. Without a ``label`` the store holds one cluster, and nothing is put in."""

    label: str = ""
    cluster: str | None = None
    """None: all that there are. Empty: those without the label."""

    def of(self, cluster: str) -> Scope:
        """The same for one cluster."""
        return replace(self, cluster=cluster)

    @property
    def matchers(self) -> tuple[Matcher, ...]:
        """What each selector gets."""
        return (equal(self.label, self.cluster),) if self.label and self.cluster is not None else ()

    def within(self, query: str) -> str:
        """A PromQL or LogQL query about this cluster only; the same one again when it already is."""
        for matcher in self.matchers:
            query = _with_each(query, str(matcher))
        return query


def bare(promql: str) -> list[str]:
    """Metrics of a query that stand without braces, which a scope would not reach."""
    rest = re.sub(_STRING, '""', promql, flags=re.DOTALL)
    while (shorter := _APART.sub(lambda found: "{}" if found.group().startswith("{") else " ", rest)) != rest:
        rest = shorter
    return [name for name in _NAME.findall(rest) if name.lower() not in _WORDS]


def _with_each(query: str, matcher: str) -> str:
    def put(found: re.Match[str]) -> str:
        if found["string"] is not None or query.startswith(matcher, found.end()):
            return found.group()
        return f"{{{matcher}}}" if found["empty"] else f"{{{matcher},"

    return _SELECTOR.sub(put, query)
