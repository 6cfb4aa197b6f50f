"""Decisions and what they rested on, as JSON and back. The types themselves say how: no second description. Pure."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")


def encode(value: Any) -> Any:
    """JSON-ready form of a frozen dataclass or API type, with the wire names inside API types."""
    return _finite(_adapter(type(value)).dump_python(value, mode="json", by_alias=True))  # type: ignore[arg-type]  # a type hashes


def decode(kind: type[T], value: Any) -> T:
    """The value that :func:`encode` was given.

    Raises:
        pydantic.ValidationError: it is of another shape, for example of another version.
    """
    found: T = _adapter(kind).validate_python(value)  # type: ignore[arg-type]  # a type hashes
    return found


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinities; as text they come back as what they were."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value


@lru_cache(maxsize=64)
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
