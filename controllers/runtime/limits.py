"""Fit hostile or long text and lists to the maxima of the API types, so that no write is refused for its length."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TypeVar

from annotated_types import MaxLen
from pydantic import BaseModel

from crds.v1alpha1.clip import clip

T = TypeVar("T")


def fit(kind: type[BaseModel], field: str, text: str) -> str:
    """``text`` on one line, without control characters, cut to the field's maximum with an ellipsis."""
    return clip(kind, field, "".join(char if char.isprintable() else " " for char in text))


def first(kind: type[BaseModel], field: str, items: Sequence[T]) -> list[T]:
    """The first items that the list field can hold."""
    return list(items[: _capacity(kind, field)])


def ends(kind: type[BaseModel], field: str, items: Sequence[T], head: int) -> list[T]:
    """The first ``head`` items and as many of the last as the list field can hold."""
    limit = _capacity(kind, field)
    return list(items) if len(items) <= limit else [*items[:head], *items[len(items) - limit + head :]]


@cache
def _capacity(kind: type[BaseModel], field: str) -> int:
    for item in kind.model_fields[field].metadata:
        if isinstance(item, MaxLen):
            return item.max_length
    raise LookupError(f"{kind.__name__}.{field} has no maximum length")
