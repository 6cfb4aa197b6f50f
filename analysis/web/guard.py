"""What every page of a signed-in person shares: who asks, whether a form is ours, and where errors lead."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute

from analysis.kube import ApiServerError
from analysis.web.reader import valid_name
from analysis.web.sessions import SESSION_COOKIE, Session, same

if TYPE_CHECKING:
    from analysis.web.pages import Pages

__all__ = ["ChosenNamespace", "Person", "own_form", "person_router", "sign_in_address", "wanted_address"]

_ADDRESS = re.compile(r"/(?!/)[A-Za-z0-9/_.~:?&=%+,@-]{0,1024}")
"""A path of this server: what else begins with a slash, `//host` and `/\\host`, leads away."""


class _SignInNeededError(Exception):
    """Nobody is signed in, or not any more."""


class _ForeignFormError(Exception):
    """A form that this server did not make for this session; the message says what therefore did not happen."""


class _PersonRoute(APIRoute):
    """Turns what goes wrong into a page: the sign-in, and back here afterwards; the API server's own words."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            pages: Pages = request.app.state.pages
            try:
                return await handle(request)
            except _SignInNeededError:
                return pages.sign_in_first(request)
            except _ForeignFormError as error:
                return pages.tell(request, 403, str(error), "The form was not ours.")
            except ApiServerError as error:
                return pages.problem(request, error)

        return guarded


def person_router() -> APIRouter:
    """For pages that need somebody signed in; their handlers let :class:`ApiServerError` pass."""
    return APIRouter(include_in_schema=False, route_class=_PersonRoute)


def _person(request: Request) -> Session:
    pages: Pages = request.app.state.pages
    session = pages.sessions.find(request.cookies.get(SESSION_COOKIE))
    if session is None:
        raise _SignInNeededError
    return session


def _chosen_namespace(namespace: str = "") -> str:
    if namespace and not valid_name(namespace):
        raise ApiServerError("This is not a namespace's name.", 404)
    return namespace


Person = Annotated[Session, Depends(_person)]
"""Whoever is signed in."""
ChosenNamespace = Annotated[str, Depends(_chosen_namespace)]
"""The query parameter `namespace`; empty for all."""


def own_form(session: Session, csrf: str | None, otherwise: str) -> None:
    """Let only forms of this session through; ``otherwise`` is the title of the refusal."""
    if not same(session.csrf, csrf):
        raise _ForeignFormError(otherwise)


def sign_in_address(request: Request) -> str:
    """The sign-in that leads back to what was asked for."""
    query = f"?{request.url.query}" if request.url.query else ""
    wanted = wanted_address(request.url.path + query)
    return "/login" if wanted == "/" else f"/login?next={quote(wanted, safe='/')}"


def wanted_address(text: str) -> str:
    """Where to go after the sign-in: a page of this server, else the list."""
    return text if _ADDRESS.fullmatch(text) else "/"
