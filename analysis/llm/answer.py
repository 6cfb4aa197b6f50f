"""What a model may say, and what of it survives the check against the evidence."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from crds.v1alpha1.base import Word

Id = Annotated[str, StringConstraints(max_length=64)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Wording(_Part):
    """A clearer explanation of a cause that stands in the report."""

    cause_id: Id
    explanation: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    evidence_ids: Annotated[list[Id], Field(max_length=6)]


class Hypothesis(_Part):
    """A cause that the report does not have."""

    kind: Word
    summary: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    explanation: Annotated[str, StringConstraints(max_length=1000)]
    evidence_ids: Annotated[list[Id], Field(max_length=6)]
    would_refute: Annotated[str, StringConstraints(max_length=200)]


class Answer(_Part):
    """The whole answer; anything else is refused."""

    wordings: Annotated[list[Wording], Field(max_length=5)]
    hypotheses: Annotated[list[Hypothesis], Field(max_length=3)]
