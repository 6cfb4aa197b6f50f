"""Incidents as the list shows them: rows of the API server's own Table, a twentieth of the objects' size. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

__all__ = ["Row", "rows"]


@dataclass(frozen=True, slots=True)
class Row:
    """One incident in a list; words are empty where the object does not say."""

    namespace: str
    name: str
    state: str
    severity: str
    type: str
    target: str
    verdict: str
    cause: str
    action: str
    started_at: datetime | None


def rows(table: Mapping[str, Any]) -> tuple[Row, ...]:
    """Rows of a ``meta.k8s.io/v1`` Table, newest first; columns are found by their names."""
    at = {str(column.get("name")): place for place, column in enumerate(table.get("columnDefinitions") or ())}
    found = (_row(item.get("cells") or (), at) for item in table.get("rows") or ())
    return tuple(sorted(found, key=_newest, reverse=True))


def _row(cells: Any, at: Mapping[str, int]) -> Row:
    def cell(name: str) -> str:
        place = at.get(name, -1)
        value = cells[place] if 0 <= place < len(cells) else None
        return "" if value is None else str(value)

    return Row(
        cell("Where"), cell("Name"), cell("State") or "Detected", cell("Sev"), cell("Type"), cell("Target"),
        cell("Verdict"), cell("Cause"), cell("Action"), _moment(cell("Started")),
    )  # fmt: skip


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _newest(row: Row) -> tuple[float, str, str]:
    return (row.started_at.timestamp() if row.started_at else 0.0, row.namespace, row.name)
