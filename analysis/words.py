"""How numbers and times are written for people, the same everywhere."""

from __future__ import annotations

import math
from datetime import UTC, datetime

MIB = 1024 * 1024


def moment(unix: float) -> datetime:
    """UTC datetime of Unix seconds, to the millisecond."""
    return datetime.fromtimestamp(round(unix, 3), tz=UTC)


def clock(at: datetime) -> str:
    """``14:31:05`` UTC."""
    return at.astimezone(UTC).strftime("%H:%M:%S")


def mib(value: float) -> str:
    """``256 MiB``, ``3.1 MiB``: three significant digits below 100."""
    amount = value / MIB
    return f"{amount:.0f} MiB" if abs(amount) >= 99.5 else f"{amount:.3g} MiB"


def mib_per_minute(bytes_per_second: float) -> str:
    """``48.2 MiB/min``."""
    amount = bytes_per_second * 60 / MIB
    return f"{round(amount, 1) + 0.0:.1f} MiB/min"


def measure(value: float) -> str:
    """A decimal string as the API has it (``Measure``); not finite becomes ``NaN``."""
    return f"{value:.6g}" if math.isfinite(value) else "NaN"


def percent(share: float) -> str:
    """``+38 %``, ``−2 %``."""
    number = round(share * 100)
    return f"{'+' if number > 0 else '−' if number < 0 else '±'}{abs(number)} %"


def span(seconds: float) -> str:
    """``45 s``, ``4 min``, ``2 h``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def line(text: str, length: int = 300) -> str:
    """One line of at most ``length`` characters, control characters replaced: fit for ``Line`` fields."""
    clean = text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)
    clean = " ".join(clean.split())
    return clean if len(clean) <= length else clean[: length - 1] + "…"


CHARS_PER_TOKEN = 3
"""Fewer than any common tokenizer has for English or code: an estimate before a call errs on the dear side."""


def estimate_tokens(text: str) -> int:
    """Upper estimate of a text's tokens."""
    return len(text.encode("utf-8", "replace")) // CHARS_PER_TOKEN + 16
