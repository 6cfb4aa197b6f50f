"""The ask box: a question in words, answered by :mod:`analysis.questions` from what the person may see."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fastapi import APIRouter, Response

from analysis.questions import EXAMPLES, answer, parse
from analysis.web.guard import ChosenNamespace, Person, person_router

if TYPE_CHECKING:
    from analysis.web.pages import Pages

__all__ = ["asking_routes"]

MAX_QUESTION_CHARS = 300


def asking_routes(pages: Pages) -> APIRouter:
    """`GET /ask?q=…`: shareable, and it changes nothing."""
    router = person_router()

    @router.get("/ask")
    async def ask(session: Person, namespace: ChosenNamespace, q: str = "") -> Response:
        question = q.strip()[:MAX_QUESTION_CHARS]
        found = None
        if question:
            incidents, reports = await pages.reader.known(session.token, namespace)
            understood = parse(question, datetime.now(tz=UTC), incidents)
            found = answer(understood, incidents, reports) if understood else None
        return pages.render(
            "ask.html", session, q=question, namespace=namespace, answer=found, examples=EXAMPLES, live=""
        )

    return router
