"""The shape that a model is asked for: what decodes by it cannot cite what is not there."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from analysis.config import AnswerFormat, Model
from analysis.llm.answer import ASKED, Answer, schema

WORDING = {"cause_id": "cause-memoryleak", "explanation": "it grows", "evidence_ids": ["memory-grows"]}
HYPOTHESIS = {
    "kind": "Cache", "summary": "no bound", "explanation": "", "evidence_ids": ["memory-grows"], "would_refute": "",
}  # fmt: skip


def said(*, wordings: tuple = (), hypotheses: tuple = ()) -> dict[str, Any]:
    return {"wordings": list(wordings), "hypotheses": list(hypotheses)}


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        (said(), True),
        (said(wordings=(WORDING,), hypotheses=(HYPOTHESIS,)), True),
        (said(wordings=({**WORDING, "evidence_ids": ["made-up"]},)), False),
        (said(wordings=({**WORDING, "evidence_ids": []},)), False),
        (said(wordings=({**WORDING, "cause_id": "cause-aliens"},)), False),
        (said(hypotheses=({**HYPOTHESIS, "evidence_ids": ["made-up"]},)), False),
        (said(hypotheses=({**HYPOTHESIS, "confidence": 99},)), False),
        (said(wordings=({**WORDING, "explanation": "x" * (ASKED["explanation"] + 1)},)), False),
        (said(wordings=(WORDING,) * (ASKED["wordings"] + 1)), False),
    ],
)
def test_the_schema_allows_what_can_be_checked_and_nothing_else(given: dict[str, Any], *, allowed: bool) -> None:
    shape = schema(["cause-memoryleak"], ["memory-grows", "oom-killed"])
    assert Draft202012Validator(shape).is_valid(given) is allowed
    if allowed:
        Answer.model_validate(given)


@pytest.mark.parametrize(("causes", "evidence"), [((), ()), (("c",), ()), ((), ("e",))])
def test_with_nothing_to_speak_of_the_empty_answer_remains(causes: tuple, evidence: tuple) -> None:
    validator = Draft202012Validator(schema(causes, evidence))
    validator.check_schema(validator.schema)
    assert validator.is_valid(said())
    assert not validator.is_valid(said(wordings=(WORDING,)))


def test_the_form_is_a_setting() -> None:
    given = Model.model_validate(
        {"baseUrl": "http://127.0.0.1:8000/v1", "model": "m", "answerFormat": "jsonObjectSchema"}
    )
    assert given.answer_format is AnswerFormat.JSON_OBJECT_SCHEMA
