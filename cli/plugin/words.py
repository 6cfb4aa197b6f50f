"""Text for terminals: tables, ages, and nothing that a terminal would obey."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

__all__ = ["age", "clock", "harmless", "moment", "table", "when"]

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"))


def harmless(text: object) -> str:
    """Objects quote logs and people: control characters, escape sequences and line breaks are shown, not obeyed."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in str(text))


def moment(text: str | None) -> datetime | None:
    """An RFC 3339 time, or None when there is none."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def age(at: datetime | None, now: datetime) -> str:
    """``45s``, ``12m``, ``3h``, ``2d``: as kubectl writes ages; ``in 5m`` for what is to come."""
    if at is None:
        return "-"
    seconds = int((now - at).total_seconds())
    prefix, seconds = ("in ", -seconds) if seconds < 0 else ("", seconds)
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{prefix}{seconds // size}{unit}"
    return f"{prefix}{seconds}s"


def when(at: datetime | None, now: datetime) -> str:
    """``in 5m``, ``5m ago``."""
    text = age(at, now)
    return text if at is None or at > now else f"{text} ago"


def clock(at: datetime | None, *, local: bool) -> str:
    """``14:31:05``, in UTC unless ``local``."""
    if at is None:
        return "--:--:--"
    return at.astimezone(None if local else UTC).strftime("%H:%M:%S")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns as kubectl prints them: three spaces apart, nothing cut."""
    lines = [list(head), *([harmless(cell) if cell not in (None, "") else "-" for cell in row] for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(head))]
    return "\n".join(
        "   ".join(cell.ljust(widths[index]) for index, cell in enumerate(line)).rstrip() for line in lines
    )
