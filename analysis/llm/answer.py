"""What a model may say, and what of it survives the check against the evidence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from crds.v1alpha1.base import Word

Id = Annotated[str, StringConstraints(max_length=64)]

ASKED: Final = {
    "wordings": 3, "hypotheses": 2, "evidence_ids": 4, "explanation": 400, "summary": 120, "would_refute": 120,
    "kind": 30,
}  # fmt: skip
"""Items and characters that are asked for, so that a whole answer fits into ``maxOutputTokens``; more is accepted."""


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


def schema(cause_ids: Iterable[str], evidence_ids: Iterable[str]) -> dict[str, Any]:
    """JSON schema of an answer that names nothing but these: who decodes by it cannot make a citation up."""
    found = Answer.model_json_schema()
    wording, hypothesis = found["$defs"]["Wording"]["properties"], found["$defs"]["Hypothesis"]["properties"]
    causes, evidence = sorted(set(cause_ids)), sorted(set(evidence_ids))
    for part in (found["properties"], wording, hypothesis):
        for name in part.keys() & ASKED.keys():
            part[name]["maxItems" if part[name]["type"] == "array" else "maxLength"] = ASKED[name]
    # Grammars made of schemas heed a pattern or a length, not both; without an end a small model goes on and on.
    hypothesis["kind"] = {"type": "string", "pattern": f"^[A-Z][A-Za-z]{{2,{ASKED['kind'] - 1}}}$"}
    # An empty choice is no schema; what nothing can be said about is not asked for.
    for items, known in ((found["properties"]["wordings"], causes), (found["properties"]["hypotheses"], evidence)):
        items["maxItems"] *= bool(known and evidence)
    if causes and evidence:
        wording["cause_id"] = {"type": "string", "enum": causes}
    if evidence:
        for part in (wording, hypothesis):
            part["evidence_ids"] |= {"items": {"type": "string", "enum": evidence}, "minItems": 1}
    return found
