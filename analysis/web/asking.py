"""The ask box: a question in words, answered by :mod:`analysis.questions` from what the person may see."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from analysis.kube import ApiServerError
from analysis.questions import EXAMPLES, answer, parse
from analysis.web.reader import valid_name

if TYPE_CHECKING:
    from analysis.web.pages import Pages

__all__ = ["asking_routes"]

MAX_QUESTION_CHARS = 300


def asking_routes(pages: Pages) -> APIRouter:
    """`GET /ask?q=…`: shareable, and it changes nothing."""
    router = APIRouter(include_in_schema=False)

    @router.get("/ask")
    async def ask(request: Request, q: str = "", namespace: str = "") -> Response:
        session = pages.session(request)
        if session is None:
            return pages.sign_in_first()
        if namespace and not valid_name(namespace):
            return pages.problem(session, ApiServerError("This is not a namespace's name.", 404))
        question = q.strip()[:MAX_QUESTION_CHARS]
        found = None
        if question:
            try:
                incidents, reports = await pages.reader.known(session.token, namespace)
            except ApiServerError as error:
                return pages.problem(session, error)
            understood = parse(question, datetime.now(tz=UTC), incidents)
            found = answer(understood, incidents, reports) if understood else None
        return pages.render(
            "ask.html", session, q=question, namespace=namespace, answer=found, examples=EXAMPLES, live=""
        )

    return router
