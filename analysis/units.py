"""Quantities with units, as people write them in YAML: ``30s``, ``15m``, ``8Mi``."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 1 << 10,
    "Mi": 1 << 20,
    "Gi": 1 << 30,
    "Ti": 1 << 40,
}
SIZE = r"\d+(?:\.\d+)?(?:[KMGT]i|[kMGT])?"


def seconds(value: object) -> object:
    """``90s`` → 90.0. A bare number is refused: its unit would be a guess."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", value) if isinstance(value, str) else None
    if isinstance(value, float):
        return value
    if not found:
        raise ValueError("write a duration with its unit, for example 30s, 5m or 1h")
    return float(found[1]) * _SECONDS[found[2]]


def size(value: object) -> float:
    """``8Mi`` → 8388608.0. Decimal units are Kubernetes' own: ``1k`` is a thousand."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]i|[kMGT])?", value) if isinstance(value, str) else None
    if isinstance(value, float):
        return value
    if not found:
        raise ValueError("write a size with its unit, for example 8Mi or 1Gi")
    return float(found[1]) * _BYTES[found[2] or ""]


Duration = Annotated[float, BeforeValidator(seconds)]
"""Seconds."""
Size = Annotated[float, BeforeValidator(size)]
"""Bytes."""
