"""Signing in with a Kubernetes token, and out. The browser never sees the token again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from analysis.kube import ApiServerError
from analysis.web.guard import wanted_address
from analysis.web.sessions import LOGIN_COOKIE, SESSION_COOKIE, same

if TYPE_CHECKING:
    from analysis.web.pages import Pages

__all__ = ["drop_cookie", "set_cookie", "sign_in_routes"]

MAX_TOKEN_CHARS = 8192


def sign_in_routes(pages: Pages) -> APIRouter:
    """The form, its answer, and the way out."""
    router = APIRouter(include_in_schema=False)

    @router.get("/login")
    async def login_form(wanted: Annotated[str, Query(alias="next")] = "/") -> Response:
        return pages.sign_in_form(wanted_address(wanted))

    @router.post("/login")
    async def login(
        request: Request,
        token: Annotated[str, Form()] = "",
        nonce: Annotated[str, Form()] = "",
        wanted: Annotated[str, Form(alias="next")] = "/",
    ) -> Response:
        wanted = wanted_address(wanted)
        if not same(request.cookies.get(LOGIN_COOKIE), nonce):
            return pages.sign_in_form(wanted, 403, "This form was too old. Please try again.")
        return await _sign_in(pages, request, token.strip(), wanted)

    @router.post("/logout")
    async def logout(request: Request, csrf: Annotated[str, Form()] = "") -> Response:
        return _sign_out(pages, request, csrf)

    return router


async def _sign_in(pages: Pages, request: Request, token: str, wanted: str) -> Response:
    """A session in place of the token, or the form again with what is wrong with it."""
    if not token or len(token) > MAX_TOKEN_CHARS or not token.isascii() or not token.isprintable():
        return pages.sign_in_form(wanted, 400, "Paste one Kubernetes token.")
    try:
        username = await pages.reader.username(token)
    except ApiServerError as error:
        known = error.status == 401
        words = "The API server does not know this token; it may have expired." if known else str(error)
        return pages.sign_in_form(wanted, 401 if known else 502, words)
    if not username:
        return pages.sign_in_form(wanted, 401, "The API server does not say who this is.")
    pages.sessions.close(request.cookies.get(SESSION_COOKIE))
    identifier, _ = pages.sessions.open(username, token)
    answer = RedirectResponse(wanted, 303, headers=pages.headers)
    set_cookie(answer, SESSION_COOKIE, identifier, pages.settings.session_minutes * 60)
    drop_cookie(answer, LOGIN_COOKIE)
    return answer


def _sign_out(pages: Pages, request: Request, csrf: str) -> Response:
    identifier = request.cookies.get(SESSION_COOKIE)
    session = pages.sessions.find(identifier)
    if session and not same(session.csrf, csrf):
        return pages.tell(request, 403, "Not signed out", "The form was not ours.")
    pages.sessions.close(identifier)
    answer = RedirectResponse("/login", 303, headers=pages.headers)
    drop_cookie(answer, SESSION_COOKIE)
    return answer


def set_cookie(answer: Response, name: str, value: str, seconds: int) -> None:
    """A cookie for this origin, out of reach of scripts.

    `Lax`: it comes along when somebody follows a link from a chat, which only reads; not with another site's form.
    """
    answer.set_cookie(name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax")


def drop_cookie(answer: Response, name: str) -> None:
    """Take it back."""
    answer.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")
