"""Routes of the page. Server-rendered and autoescaped; every object is read with the person's own token.

Decisions are in :mod:`analysis.web.decisions` and :mod:`analysis.web.modifying`, live updates in
:mod:`analysis.web.live`. Scripts come from this origin only and are never needed: without them the page reloads itself.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import jinja2
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse

from analysis.config import Web
from analysis.kube import ApiServer, ApiServerError
from analysis.telemetry.prometheus import Prometheus
from analysis.web.asking import asking_routes
from analysis.web.auditing import audit_routes
from analysis.web.autonomy import autonomy_routes
from analysis.web.changes import Previewer
from analysis.web.decisions import decision_routes
from analysis.web.evidence import evidence_routes
from analysis.web.facets import Choice, listing
from analysis.web.guard import Person, person_router, sign_in_address
from analysis.web.live import live_routes
from analysis.web.modifying import modify_routes
from analysis.web.plots import Plotter
from analysis.web.policies import policy_routes
from analysis.web.postmortem import postmortem
from analysis.web.reader import Chain, Reader, valid_name
from analysis.web.sessions import LOGIN_COOKIE, SESSION_COOKIE, Session, Sessions
from analysis.web.signin import drop_cookie, set_cookie, sign_in_routes
from analysis.web.view import FILTERS, is_open

HERE = Path(__file__).parent
STATIC = {
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
    "app.js": "text/javascript",
    "vendor/htmx.min.js": "text/javascript",
    "vendor/hx-sse.min.js": "text/javascript",
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
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
        self.previewer = Previewer(api)
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

    def problem(self, request: Request, error: ApiServerError) -> Response:
        """What went wrong, in the API server's own words. An expired token leads to the sign-in."""
        if error.status == 401:
            return self.sign_in_first(request)
        titles = {403: "You may not see this", 404: "There is no such object"}
        status = error.status if error.status in titles else 502
        return self.tell(request, status, titles.get(status, "The API server did not answer as expected"), str(error))

    def tell(self, request: Request, status: int, title: str, detail: str) -> Response:
        """A page of words instead of what was asked for."""
        return self.render("problem.html", self.session(request), status, title=title, detail=detail)

    def sign_in_first(self, request: Request) -> Response:
        """To the sign-in, without the session, and afterwards to what was asked for."""
        answer = RedirectResponse(sign_in_address(request), 303, headers=HEADERS)
        if SESSION_COOKIE in request.cookies:
            drop_cookie(answer, SESSION_COOKIE)
        return answer

    def session(self, request: Request) -> Session | None:
        """Of whoever asks."""
        return self.sessions.find(request.cookies.get(SESSION_COOKIE))

    async def chain(self, session: Session, namespace: str, name: str) -> Chain:
        """One incident and what belongs to it, as the person sees it. Raises ApiServerError, also for a bad name."""
        if not (valid_name(namespace) and valid_name(name)):
            raise ApiServerError("This is not an incident's name.", 404)
        return await self.reader.chain(session.token, namespace, name)

    def sign_in_form(self, wanted: str, status: int = 200, message: str = "") -> HTMLResponse:
        """The form, tied to this browser by a cookie of its own (no session exists yet that could carry the secret).

        Args:
            wanted: address to go to afterwards.
        """
        nonce = secrets.token_urlsafe(24)
        answer = self.render("login.html", None, status, nonce=nonce, message=message, wanted=wanted)
        set_cookie(answer, LOGIN_COOKIE, nonce, 900)
        return answer


def install(app: FastAPI, settings: Web, api: ApiServer, prometheus: Prometheus | None = None) -> Pages:
    """Add the page to the application. Without ``prometheus`` there are no plots."""
    pages = Pages(settings, api, Plotter(prometheus) if prometheus is not None else None)
    app.state.pages = pages
    app.include_router(sign_in_routes(pages))
    app.include_router(_static_routes())
    app.include_router(live_routes(pages, api))
    app.include_router(_incident_routes(pages))
    app.include_router(evidence_routes(pages))
    app.include_router(asking_routes(pages))
    app.include_router(decision_routes(pages))
    app.include_router(modify_routes(pages))
    app.include_router(policy_routes(pages))
    app.include_router(autonomy_routes(pages))
    app.include_router(audit_routes(pages))
    return pages


def _incident_routes(pages: Pages) -> APIRouter:
    router = person_router()

    @router.get("/")
    async def incidents(session: Person, choice: Annotated[Choice, Depends()]) -> Response:
        if choice.namespace and not valid_name(choice.namespace):
            raise ApiServerError("This is not a namespace's name.", 404)
        live = f"/incidents/live?namespace={choice.namespace}"
        try:
            found = await pages.reader.incidents(session.token, choice.namespace)
        except ApiServerError as error:
            if error.status != 403:
                raise
            shown = listing((), choice)
            return pages.render("incidents.html", session, 403, listing=shown, denied=str(error), live="")
        return pages.render("incidents.html", session, listing=listing(found, choice), denied="", live=live)

    @router.get("/incidents/{namespace}/{name}")
    async def incident(session: Person, namespace: str, name: str) -> Response:
        chain = await pages.chain(session, namespace, name)
        plot = await pages.plotter.plot(chain, datetime.now(tz=UTC)) if pages.plotter else None
        live = f"/incidents/{namespace}/{name}/live" if is_open(chain.incident) else ""
        return pages.render("incident.html", session, chain=chain, incident=chain.incident, live=live, plot=plot)

    @router.get("/incidents/{namespace}/{name}/postmortem.md")
    async def document(session: Person, namespace: str, name: str) -> Response:
        chain = await pages.chain(session, namespace, name)
        headers = {**HEADERS, "Content-Disposition": f'attachment; filename="postmortem-{name}.md"'}
        return PlainTextResponse(postmortem(chain, datetime.now(tz=UTC)), media_type="text/markdown", headers=headers)

    return router


def _static_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/static/{name:path}")
    async def static(name: str) -> Response:
        if name not in STATIC:
            return PlainTextResponse("there is no such file", 404, headers=HEADERS)
        headers = {**HEADERS, "Cache-Control": "max-age=300"}
        return FileResponse(HERE / "static" / name, media_type=STATIC[name], headers=headers)

    return router
