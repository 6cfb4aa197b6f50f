"""Building PromQL and LogQL selectors. Values come from the cluster and are hostile: they are only ever quoted here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_LABEL = re.compile(r"^[a-zA-Z_][a-zA-Z0-9_]*$")
_METRIC = re.compile(r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quote(value: str) -> str:
    """A double-quoted PromQL/LogQL string literal (Go escapes)."""
    if value.isprintable() and '"' not in value and "\\" not in value:  # as names in Kubernetes are
        return f'"{value}"'
    return '"' + "".join(_ESCAPES.get(char, char if char >= " " else f"\\x{ord(char):02x}") for char in value) + '"'


def literal(value: str) -> str:
    """RE2 source that matches exactly ``value``."""
    return re.sub(r"[\\.+*?()|\[\]{}^$]", lambda found: "\\" + found.group(), value)


def one_of(values: Iterable[str]) -> str:
    """RE2 source that matches any of the values, in sorted order so that equal sets give equal queries."""
    return "|".join(literal(value) for value in sorted(set(values)))


@dataclass(frozen=True, slots=True)
class Matcher:
    """One label matcher; ``pattern`` operators take RE2 source built with :func:`literal` or :func:`one_of`."""

    label: str
    operator: str
    value: str

    def __str__(self) -> str:
        if not _LABEL.match(self.label) or self.operator not in {"=", "!=", "=~", "!~"}:
            raise ValueError(f"bad matcher {self.label}{self.operator}")
        return f"{self.label}{self.operator}{quote(self.value)}"


def equal(label: str, value: str) -> Matcher:
    """``label="value"``."""
    return Matcher(label, "=", value)


def differs(label: str, value: str) -> Matcher:
    """``label!="value"``."""
    return Matcher(label, "!=", value)


def among(label: str, values: Iterable[str]) -> Matcher:
    """``label=~"a|b"``; a single value becomes an equality."""
    unique = sorted(set(values))
    return Matcher(label, "=", unique[0]) if len(unique) == 1 else Matcher(label, "=~", one_of(unique))


def matching(label: str, pattern: str) -> Matcher:
    """``label=~"pattern"`` with RE2 source that the caller has built from escaped parts."""
    return Matcher(label, "=~", pattern)


def selector(metric: str, *matchers: Matcher) -> str:
    """``metric{a="b",c=~"d|e"}``; an empty metric gives a LogQL stream selector."""
    if metric and not _METRIC.match(metric):
        raise ValueError(f"bad metric name {metric!r}")
    return f"{metric}{{{','.join(str(matcher) for matcher in matchers)}}}"


def quantile_query(quantile: float, histogram: str, window: str, *scope: Matcher, by: tuple[str, ...] = ()) -> str:
    """PromQL of a histogram's quantile: of the native one where it has samples, else of the classic one's buckets."""
    native = f"sum by ({', '.join(by)}) (rate({selector(histogram, *scope)}[{window}]))"
    classic = f"sum by ({', '.join((*by, 'le'))}) (rate({selector(f'{histogram}_bucket', *scope)}[{window}]))"
    return f"histogram_quantile({quantile:g}, {native}) or histogram_quantile({quantile:g}, {classic})"


def duration(seconds: float) -> str:
    """A PromQL duration in whole seconds: ``300s``."""
    return f"{max(1, round(seconds))}s"


@dataclass(frozen=True, slots=True)
class Select:
    """A metric and its matchers: readable from memory and, as text, by any PromQL service."""

    metric: str
    matchers: tuple[Matcher, ...] = ()
    native: bool = False
    """Its series are native histograms, which are read as counters with a label ``le``."""

    def __str__(self) -> str:
        return selector(self.metric, *self.matchers)


@dataclass(frozen=True, slots=True)
class RateSum:
    """``sum by (…) (rate(counter{…}[60s]))``."""

    select: Select
    window: float
    """Seconds."""
    by: tuple[str, ...]

    def __str__(self) -> str:
        return f"sum by ({', '.join(self.by)}) (rate({self.select}[{duration(self.window)}]))"
