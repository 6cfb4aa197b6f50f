"""What every message has in common, and how an error is told."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Message(BaseModel):
    """Base: immutable, unknown fields refused so that a version skew is seen at once."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Problem(Message):
    """RFC 9457 problem details: what every error answer of the analysis server looks like."""

    title: str
    status: int
    detail: str = ""
    extra: dict[str, Any] = Field(default_factory=dict)
