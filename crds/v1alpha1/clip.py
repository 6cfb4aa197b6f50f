"""Shortens text to what a field may hold, as the type says: somebody else's long message must never lose a status."""

from __future__ import annotations

from annotated_types import MaxLen
from pydantic import BaseModel, StringConstraints

ELLIPSIS = "…"


def max_length(model: type[BaseModel], field: str) -> int:
    """Characters that a string field may hold.

    Raises:
        LookupError: the field has no maximum; every string of the API has one.
    """
    for item in model.model_fields[field].metadata:
        if isinstance(item, StringConstraints | MaxLen) and item.max_length is not None:
            return item.max_length
    raise LookupError(f"{model.__name__}.{field} has no maximum length")


def clip(model: type[BaseModel], field: str, text: str) -> str:
    """``text``, cut with an ellipsis where it exceeds the field."""
    limit = max_length(model, field)
    return text if len(text) <= limit else text[: limit - 1] + ELLIPSIS
