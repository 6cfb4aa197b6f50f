"""Who may do what: ``GET /auth`` for the gateway, and the same check again on our own routes.

The gateway forwards the caller's ``Authorization`` header; the routes check it themselves. No header that names an
identity is read anywhere, so forging one is useless, with or without the gateway in front.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.routing import APIRoute

from analysis.api.problems import ProblemError
from analysis.auth.access import Route, find_route, usernames
from analysis.auth.identity import Unauthenticated, Unavailable

router = APIRouter()
logger = logging.getLogger(__name__)


async def authorise(request: Request, route: Route | None, authorization: str | None) -> str:
    """Username of a caller who may use the route; empty where the route itself finds out who asks.

    Raises:
        ProblemError: 401, 403 or 503.
    """
    services = request.app.state.services
    decisions = services.metrics.decisions
    if route is None:
        decisions.labels("forbidden", "unknown").inc()
        raise ProblemError(403, "This path or method is not offered to anyone")
    if not route.accounts:
        return ""
    try:
        username: str = await services.authenticator.identify(authorization)
    except Unauthenticated as error:
        if route.people:  # a token for the API server, which is for none of ours to check
            return ""
        decisions.labels("unauthenticated", route.name).inc()
        raise ProblemError(401, "Not authenticated", str(error)) from error
    except Unavailable as error:
        decisions.labels("unavailable", route.name).inc()
        logger.warning("cannot check a token for %s: %s", route.name, error)
        raise ProblemError(503, "The token cannot be checked now", str(error)) from error
    if username not in usernames(route, services.config.auth.platform_namespace):
        decisions.labels("forbidden", route.name).inc()
        raise ProblemError(403, "Not allowed", f"{username} may not use {route.name}")
    decisions.labels("allowed", route.name).inc()
    return username


class GatedRoute(APIRoute):
    """A route that finds out who calls before it reads a byte of the body: parsing is for callers that may ask.

    ``request.state.username`` is what ``authorise`` found.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler behind the gate."""
        answer = super().get_route_handler()

        async def gated(request: Request) -> Response:
            route = find_route(request.method, request.url.path)
            request.state.username = await authorise(request, route, request.headers.get("authorization"))
            return await answer(request)

        return gated


@router.get("/auth", status_code=204)
async def auth(
    request: Request,
    x_original_uri: Annotated[str, Header()] = "",
    x_original_method: Annotated[str, Header()] = "",
    authorization: Annotated[str | None, Header()] = None,
) -> Response:
    """nginx's ``auth_request``: 204 lets the request through; 401, 403 and 503 do not."""
    await authorise(request, find_route(x_original_method.upper(), x_original_uri), authorization)
    return Response(status_code=204)
