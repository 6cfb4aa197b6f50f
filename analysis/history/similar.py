"""Which earlier incidents are like this one. Pure: rows in, ranking out.

A sum of plain agreements, each shown to the reader: no embedding, whose nearness nobody could check.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Row = Mapping[str, Any]

MIN_SCORE: Final = 0.35
"""Less is a coincidence: the same type elsewhere, say."""
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{2,}")


@dataclass(frozen=True, slots=True)
class Traits:
    """What incidents are compared by."""

    fingerprint: str
    type: str
    target: tuple[str, str]
    cause_kind: str
    templates: frozenset[str]
    changed: frozenset[str]

    @classmethod
    def of(cls, row: Row) -> Traits:
        """From a row of ``incidents``."""
        return cls(
            fingerprint=row["fingerprint"],
            type=row["type"],
            target=(row["target_kind"], row["target_name"]),
            cause_kind=row["cause_kind"] or "",
            templates=frozenset(row["templates"] or ()),
            changed=frozenset(row["changed"] or ()),
        )


@dataclass(frozen=True, slots=True)
class Match:
    """An earlier incident, how alike it is (0..1), and in what."""

    row: Row
    score: float
    why: str


def words_of(changes: Iterable[str]) -> list[str]:
    """The words of change summaries that say what was touched: ``image``, ``CACHE_SIZE``, ``livenessProbe``."""
    return sorted({word for text in changes for word in _WORD.findall(text)})[:50]


def most_alike(wanted: Traits, rows: Sequence[Row], limit: int) -> list[Match]:
    """The most alike first; of equally alike ones the newest."""
    found = [match for row in rows if (match := _compare(wanted, row)).score >= MIN_SCORE]
    found.sort(key=lambda one: (-one.score, -one.row["started_at"].timestamp(), one.row["uid"]))
    return found[:limit]


def _compare(wanted: Traits, row: Row) -> Match:
    other = Traits.of(row)
    same_templates, same_changes = _overlap(wanted.templates, other.templates), _overlap(wanted.changed, other.changed)
    agreements = (
        (0.35, wanted.fingerprint == other.fingerprint, "the same fault"),
        (0.15, wanted.type == other.type, f"type {other.type}"),
        (0.15, wanted.target == other.target, f"{other.target[0]} {other.target[1]}"),
        (0.15, bool(wanted.cause_kind) and wanted.cause_kind == other.cause_kind, f"cause {other.cause_kind}"),
    )
    score = sum(weight for weight, agrees, _ in agreements if agrees) + 0.15 * same_templates + 0.05 * same_changes
    said = [text for _, agrees, text in agreements if agrees]
    if same_templates:
        said.append(f"{len(wanted.templates & other.templates)} log templates")
    if same_changes:
        said.append("what was changed")
    return Match(row, round(score, 4), ", ".join(said))


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard index."""
    return len(one & other) / len(one | other) if one and other else 0.0
