"""The backtest of pasted policies, in a process of its own: their conditions are foreign expressions.

``python -m analysis.web.judging`` reads a :class:`Question` as JSON and answers with a :class:`Verdict`. The page gives
it little time and memory; an expression that wants more ends its own process and nothing else.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from datetime import datetime
from typing import Any, TypeVar

import yaml
from pydantic import AwareDatetime, BaseModel, ValidationError

from controllers.policy.backtest import backtest, summary
from controllers.policy.validity import PolicyEntry, read_policy
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.base import Resource
from crds.v1alpha1.incident import Incident

__all__ = ["JudgingError", "Question", "Row", "Verdict", "judge"]

TIMEOUT_SECONDS = 20.0
CPU_SECONDS = 15
MEMORY_BYTES = 2 << 30

R = TypeVar("R", bound=Resource)


class JudgingError(Exception):
    """There is no answer; says why, for people."""


class Question(BaseModel):
    """Policies as YAML, and the objects of the past as the API server serves them."""

    policies: str
    plans: list[dict[str, Any]]
    incidents: list[dict[str, Any]]
    namespaces: dict[str, dict[str, str]]
    """Labels by name."""
    since: AwareDatetime


class Row(BaseModel):
    """One plan, then and now."""

    plan: str
    at: datetime
    action: str
    was: str
    now: str
    change: str
    why: str
    ended: str


class Verdict(BaseModel):
    """``problem`` says why the policies cannot be judged; else the rows, oldest first, and their sum in words."""

    problem: str = ""
    summary: str = ""
    rows: list[Row] = []


async def judge(question: Question, timeout: float = TIMEOUT_SECONDS) -> Verdict:
    """Ask a process of its own.

    Raises:
        JudgingError: it did not end in time, or ended without an answer.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "analysis.web.judging",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        answer, _ = await asyncio.wait_for(process.communicate(question.model_dump_json().encode()), timeout)
    except TimeoutError as error:
        raise JudgingError("The policies take too long to judge; is a condition very expensive?") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        return Verdict.model_validate_json(answer)
    except ValidationError as error:
        raise JudgingError("The policies could not be judged: it took too much time or memory.") from error


def answer(question: Question) -> Verdict:
    """The backtest itself. Pure."""
    try:
        entries = _entries(question.policies)
    except ValueError as error:
        return Verdict(problem=str(error))
    incidents = {one.metadata.uid: one for one in _typed(Incident, question.incidents)}
    found = backtest(_typed(ActionPlan, question.plans), incidents, question.namespaces, entries, question.since)
    rows = [
        Row(
            plan=one.plan, at=one.at, action=one.action, was=one.was.value, change=one.change, why=one.why,
            ended=one.ended, now=one.now.value if one.now is not None else "not judged",
        )
        for one in found
    ]  # fmt: skip
    return Verdict(summary=summary(found), rows=rows)


def _entries(text: str) -> tuple[PolicyEntry, ...]:
    try:
        documents = list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        raise ValueError(f"This is not YAML: {error}") from error
    found = []
    for document in documents:
        items = document.get("items") if isinstance(document, dict) and "items" in document else [document]
        found += [one for one in items or () if isinstance(one, dict) and one.get("kind") == "ActionPolicy"]
    if not found:
        raise ValueError("There is no ActionPolicy in it.")
    entries = tuple(read_policy(one, as_written=True) for one in found)
    problems = [f"{entry.name}: {problem}" for entry in entries for problem in entry.problems]
    if problems:
        raise ValueError("; ".join(problems)[:1000])
    return entries


def _typed(kind: type[R], found: list[dict[str, Any]]) -> list[R]:
    result = []
    for item in found:
        try:
            result.append(kind.from_wire(item))
        except ValidationError:
            continue  # of another version; it does not hide the others
    return result


def main() -> None:
    """Read, answer, end."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    question = Question.model_validate_json(sys.stdin.buffer.read())
    sys.stdout.write(answer(question).model_dump_json())


if __name__ == "__main__":
    main()
