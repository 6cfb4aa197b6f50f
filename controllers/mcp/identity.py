"""Who calls: the API server's word on the bearer token (TokenReview), bound to this endpoint's audience.

The token is not kept, not logged, and never passed on: it is worth nothing to the API server itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from anyio import to_thread
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken
from mcp.server.mcpserver.exceptions import ToolError

from controllers.kube.api import Kube
from controllers.kube.resources import TOKEN_REVIEWS

MAX_TOKEN = 8192
MAX_REVIEWS = 8
"""Token reviews at once: callers without a valid token must not keep the API server busy."""
MANAGER = "iirp-mcp"


@dataclass(frozen=True)
class Caller:
    """As the API server authenticated them."""

    username: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class TokenReviewer:
    """Implements the SDK's ``TokenVerifier``."""

    def __init__(self, kube: Kube, audience: str) -> None:
        self._kube = kube
        self._audience = audience
        self._slots = asyncio.Semaphore(MAX_REVIEWS)

    async def verify_token(self, token: str) -> AccessToken | None:
        """The caller behind a token; None when the API server does not vouch for it.

        Raises:
            KubeError: the API server could not be asked.
        """
        if not token or len(token) > MAX_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
            return None
        async with self._slots:
            return await to_thread.run_sync(self._review, token)

    def _review(self, token: str) -> AccessToken | None:
        body = {"metadata": {}, "spec": {"token": token, "audiences": [self._audience]}}
        status = self._kube.create_raw(TOKEN_REVIEWS, "", body, manager=MANAGER).get("status") or {}
        user = status.get("user") or {}
        vouched = status.get("authenticated") is True and self._audience in (status.get("audiences") or ())
        if not vouched or not user.get("username"):
            return None
        return AccessToken(token="", client_id=user["username"], scopes=[], subject=user["username"], claims=user)


def caller() -> Caller:
    """Who makes the present call.

    Raises:
        ToolError: nobody that is known, which the endpoint refuses before any tool.
    """
    found = get_access_token()
    if found is None or not found.subject:
        raise ToolError("not authenticated")
    user: Mapping[str, Any] = found.claims or {}
    extra = {str(key): tuple(map(str, values)) for key, values in (user.get("extra") or {}).items()}
    return Caller(found.subject, str(user.get("uid") or ""), tuple(map(str, user.get("groups") or ())), extra)
