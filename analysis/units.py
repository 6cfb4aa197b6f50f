"""Quantities with units, as people write them in YAML: ``30s``, ``15m``, ``8Mi``."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def seconds(value: object) -> object:
    """``90s`` → 90.0. A bare number is refused: its unit would be a guess."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", value) if isinstance(value, str) else None
    if isinstance(value, float):
        return value
    if not found:
        raise ValueError("write a duration with its unit, for example 30s, 5m or 1h")
    return float(found[1]) * _SECONDS[found[2]]


def size(value: object) -> object:
    """``8Mi`` → 8388608.0."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi)?", value) if isinstance(value, str) else None
    if isinstance(value, float):
        return value
    if not found:
        raise ValueError("write a size with its unit, for example 8Mi or 1Gi")
    return float(found[1]) * _BYTES[found[2] or ""]


Duration = Annotated[float, BeforeValidator(seconds)]
"""Seconds."""
Size = Annotated[float, BeforeValidator(size)]
"""Bytes."""
