"""A bound on request bodies, whatever their headers say."""

from __future__ import annotations

from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from analysis.api.problems import problem_response
from analysis.contract import Problem


class _TooLarge(Exception):
    pass


class BodyLimit:
    """ASGI middleware that answers 413 once a body has passed the limit."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seen = 0
        answered = False

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._max_bytes:
                raise _TooLarge
            return message

        async def noted(message: Message) -> None:
            # frameworks turn an exception while reading into an answer of their own: it is replaced by ours
            nonlocal answered
            if seen <= self._max_bytes:
                answered = True
                await send(message)

        with suppress(_TooLarge):
            await self._app(scope, counted, noted)
        if seen > self._max_bytes and not answered:
            problem = Problem(title="The request is too large", status=413, detail=f"limit {self._max_bytes} bytes")
            await problem_response(problem)(scope, receive, send)
