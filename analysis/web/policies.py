"""Policies, and what other policies would have said: read as the person, judged by policy's own pure code."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form, Response
from pydantic import ValidationError

from analysis.kube import ApiServerError
from analysis.web.guard import Person, own_form, person_router
from analysis.web.judging import JudgingError, Question, Verdict, judge
from analysis.web.reader import valid_name
from analysis.web.sessions import Session
from crds.v1alpha1.actionpolicy import ActionPolicy

if TYPE_CHECKING:
    from analysis.web.pages import Pages

__all__ = ["policy_routes"]

MAX_POLICY_CHARS = 64 * 1024
SPANS = MappingProxyType({"24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)})
MAX_JUDGES = 2
"""Backtests at a time, of all people together."""


def policy_routes(pages: Pages) -> APIRouter:
    """`/policies`, and the backtest as its form."""
    router = person_router()
    judges = asyncio.Semaphore(MAX_JUDGES)

    @router.get("/policies")
    async def policies(session: Person) -> Response:
        return await _policies(pages, session)

    @router.post("/policies")
    async def backtest(
        session: Person,
        csrf: Annotated[str, Form()] = "",
        text: Annotated[str, Form()] = "",
        since: Annotated[str, Form()] = "7d",
        namespace: Annotated[str, Form()] = "",
    ) -> Response:
        own_form(session, csrf, "Nothing was judged")
        given = {"text": text, "since": since, "namespace": namespace}
        if not _judgeable(text, since, namespace):
            return await _policies(pages, session, given, 400, problem="Paste at most 64 kB, and name one namespace.")
        try:
            async with judges:
                verdict = await judge(await _question(pages, session, text, SPANS[since], namespace))
        except JudgingError as error:
            return await _policies(pages, session, given, 400, problem=str(error))
        return await _policies(pages, session, given, verdict=verdict)

    return router


def _judgeable(text: str, since: str, namespace: str) -> bool:
    return len(text) <= MAX_POLICY_CHARS and since in SPANS and (not namespace or valid_name(namespace))


async def _question(pages: Pages, session: Session, text: str, span: timedelta, namespace: str) -> Question:
    plans, incidents, namespaces = await asyncio.gather(
        pages.reader.everything(session.token, "actionplans", namespace),
        pages.reader.everything(session.token, "incidents", namespace),
        pages.reader.namespace_labels(session.token),
    )
    since = datetime.now(tz=UTC) - span
    return Question(policies=text, plans=plans, incidents=incidents, namespaces=namespaces, since=since)


async def _policies(
    pages: Pages,
    session: Session,
    given: dict[str, str] | None = None,
    status: int = 200,
    *,
    problem: str = "",
    verdict: Verdict | None = None,
) -> Response:
    denied = ""
    found: list[ActionPolicy] = []
    try:
        found = _typed_policies(await pages.reader.everything(session.token, "actionpolicies"))
    except ApiServerError as error:
        if error.status != 403:
            raise
        denied = str(error)
    given = given or {"text": "", "since": "7d", "namespace": ""}
    return pages.render(
        "policies.html", session, status,
        policies=found, denied=denied, given=given, spans=tuple(SPANS), verdict=verdict,
        problem=problem or (verdict.problem if verdict else ""),
    )  # fmt: skip


def _typed_policies(found: list[dict[str, Any]]) -> list[ActionPolicy]:
    result = []
    for item in found:
        try:
            result.append(ActionPolicy.from_wire(item))
        except ValidationError:
            continue  # of another version; it does not hide the others
    return result
