"""Routes of the page. Server-rendered, autoescaped, no scripts; every object is read with the person's own token.

Decisions are in :mod:`analysis.web.decisions`.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import jinja2
from fastapi import APIRouter, FastAPI, Form, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse

from analysis.config import Web
from analysis.kube import ApiServer, ApiServerError
from analysis.telemetry.prometheus import Prometheus
from analysis.web.decisions import decision_routes
from analysis.web.facets import listing
from analysis.web.plots import Plotter
from analysis.web.reader import Reader, valid_name
from analysis.web.sessions import LOGIN_COOKIE, SESSION_COOKIE, Session, Sessions, same
from analysis.web.view import FILTERS, is_open

HERE = Path(__file__).parent
MAX_TOKEN_CHARS = 8192
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Pages:
    """Renders pages and keeps the sessions."""

    def __init__(self, settings: Web, api: ApiServer, plotter: Plotter | None = None) -> None:
        self.settings = settings
        self.reader = Reader(api)
        self.plotter = plotter
        self.sessions = Sessions(settings.session_minutes, settings.max_sessions)
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(FILTERS)

    @property
    def headers(self) -> dict[str, str]:
        """Of every answer."""
        return dict(HEADERS)

    def render(self, template: str, session: Session | None, status: int = 200, **values: Any) -> HTMLResponse:
        """An HTML answer with the security headers."""
        page = self._templates.get_template(template).render(
            session=session, cluster=self.settings.cluster_name, now=datetime.now(tz=UTC), **values
        )
        return HTMLResponse(page, status, headers=HEADERS)

    def problem(self, session: Session | None, error: ApiServerError) -> Response:
        """What went wrong, in the API server's own words. An expired token leads to the sign-in."""
        if error.status == 401:
            return to_login()
        titles = {403: "You may not see this", 404: "There is no such incident"}
        status = error.status if error.status in titles else 502
        title = titles.get(status, "The API server did not answer as expected")
        return self.render("problem.html", session, status, title=title, detail=str(error))

    def sign_in_first(self) -> Response:
        """To the sign-in."""
        return to_login()

    def session(self, request: Request) -> Session | None:
        """Of whoever asks."""
        return self.sessions.find(request.cookies.get(SESSION_COOKIE))

    def sign_in_form(self, status: int = 200, message: str = "") -> HTMLResponse:
        """The form, tied to this browser by a cookie of its own (no session exists yet that could carry the secret)."""
        nonce = secrets.token_urlsafe(24)
        answer = self.render("login.html", None, status, nonce=nonce, message=message)
        _set_cookie(answer, LOGIN_COOKIE, nonce, 900)
        return answer


def install(app: FastAPI, settings: Web, api: ApiServer, prometheus: Prometheus | None = None) -> Pages:
    """Add the page to the application. Without ``prometheus`` there are no plots."""
    pages = Pages(settings, api, Plotter(prometheus) if prometheus is not None else None)
    app.include_router(_sign_in_routes(pages))
    app.include_router(_incident_routes(pages))
    app.include_router(decision_routes(pages))
    return pages


def _sign_in_routes(pages: Pages) -> APIRouter:
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
        answer = RedirectResponse("/", 303, headers=HEADERS)
        _set_cookie(answer, SESSION_COOKIE, identifier, pages.settings.session_minutes * 60)
        _drop_cookie(answer, LOGIN_COOKIE)
        return answer

    @router.post("/logout")
    async def logout(request: Request, csrf: Annotated[str, Form()] = "") -> Response:
        identifier = request.cookies.get(SESSION_COOKIE)
        session = pages.sessions.find(identifier)
        if session and not same(session.csrf, csrf):
            return pages.render("problem.html", session, 403, title="Not signed out", detail="The form was not ours.")
        pages.sessions.close(identifier)
        return to_login()

    @router.get("/static/style.css")
    async def style() -> Response:
        headers = {**HEADERS, "Cache-Control": "max-age=3600"}
        return FileResponse(HERE / "static" / "style.css", media_type="text/css", headers=headers)

    return router


def _incident_routes(pages: Pages) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def incidents(
        request: Request, namespace: str = "", state: str = "", severity: str = "", q: str = ""
    ) -> Response:
        session = pages.session(request)
        if session is None:
            return to_login()
        if namespace and not valid_name(namespace):
            return pages.problem(session, ApiServerError("This is not a namespace's name.", 404))
        try:
            found = await pages.reader.incidents(session.token, namespace)
        except ApiServerError as error:
            if error.status == 403:
                return pages.render(
                    "incidents.html", session, 403, listing=listing((), namespace), denied=str(error), refresh=0
                )
            return pages.problem(session, error)
        shown = listing(found, namespace, state, severity, q)
        return pages.render("incidents.html", session, listing=shown, denied="", refresh=10)

    @router.get("/incidents/{namespace}/{name}")
    async def incident(request: Request, namespace: str, name: str, *, pause: bool = False) -> Response:
        session = pages.session(request)
        if session is None:
            return to_login()
        if not (valid_name(namespace) and valid_name(name)):
            return pages.problem(session, ApiServerError("This is not an incident's name.", 404))
        try:
            chain = await pages.reader.chain(session.token, namespace, name)
        except ApiServerError as error:
            return pages.problem(session, error)
        moving = is_open(chain.incident)
        refresh = 5 if moving and not pause else 0
        plot = await pages.plotter.plot(chain, datetime.now(tz=UTC)) if pages.plotter else None
        return pages.render(
            "incident.html", session, chain=chain, incident=chain.incident, refresh=refresh, moving=moving, plot=plot
        )

    return router


def to_login() -> Response:
    """To the sign-in, without the session."""
    answer = RedirectResponse("/login", 303, headers=HEADERS)
    _drop_cookie(answer, SESSION_COOKIE)
    return answer


def _set_cookie(answer: Response, name: str, value: str, seconds: int) -> None:
    answer.set_cookie(name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="strict")


def _drop_cookie(answer: Response, name: str) -> None:
    answer.delete_cookie(name, path="/", secure=True, httponly=True, samesite="strict")
