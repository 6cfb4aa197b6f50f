"""Signing in with a Kubernetes token, and out. The browser never sees the token again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from analysis.kube import ApiServerError
from analysis.web.sessions import LOGIN_COOKIE, SESSION_COOKIE, same

if TYPE_CHECKING:
    from analysis.web.pages import Pages

__all__ = ["drop_cookie", "set_cookie", "sign_in_routes"]

MAX_TOKEN_CHARS = 8192


def sign_in_routes(pages: Pages) -> APIRouter:
    """The form, its answer, and the way out."""
    router = APIRouter(include_in_schema=False)

    @router.get("/login")
    async def login_form() -> Response:
        return pages.sign_in_form()

    @router.post("/login")
    async def login(
        request: Request, token: Annotated[str, Form()] = "", nonce: Annotated[str, Form()] = ""
    ) -> Response:
        if not same(request.cookies.get(LOGIN_COOKIE), nonce):
            return pages.sign_in_form(403, "This form was too old. Please try again.")
        token = token.strip()
        if not token or len(token) > MAX_TOKEN_CHARS or not token.isascii() or not token.isprintable():
            return pages.sign_in_form(400, "Paste one Kubernetes token.")
        try:
            username = await pages.reader.username(token)
        except ApiServerError as error:
            known = error.status == 401
            words = "The API server does not know this token; it may have expired." if known else str(error)
            return pages.sign_in_form(401 if known else 502, words)
        if not username:
            return pages.sign_in_form(401, "The API server does not say who this is.")
        pages.sessions.close(request.cookies.get(SESSION_COOKIE))
        identifier, _ = pages.sessions.open(username, token)
        answer = RedirectResponse("/", 303, headers=pages.headers)
        set_cookie(answer, SESSION_COOKIE, identifier, pages.settings.session_minutes * 60)
        drop_cookie(answer, LOGIN_COOKIE)
        return answer

    @router.post("/logout")
    async def logout(request: Request, csrf: Annotated[str, Form()] = "") -> Response:
        identifier = request.cookies.get(SESSION_COOKIE)
        session = pages.sessions.find(identifier)
        if session and not same(session.csrf, csrf):
            return pages.render("problem.html", session, 403, title="Not signed out", detail="The form was not ours.")
        pages.sessions.close(identifier)
        return pages.sign_in_first()

    return router


def set_cookie(answer: Response, name: str, value: str, seconds: int) -> None:
    """A cookie for this origin and its own pages only, out of reach of scripts."""
    answer.set_cookie(name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="strict")


def drop_cookie(answer: Response, name: str) -> None:
    """Take it back."""
    answer.delete_cookie(name, path="/", secure=True, httponly=True, samesite="strict")
