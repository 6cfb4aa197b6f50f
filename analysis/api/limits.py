"""A bound on request bodies, whatever their headers say, packed and unpacked."""

from __future__ import annotations

import zlib
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


class Unpack:
    """ASGI middleware for bodies with ``Content-Encoding: gzip``: unpacked piece by piece, 413 past the limit.

    Only on the given ``paths``; others see what was sent.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, paths: frozenset[str]) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body as the handlers expect it."""
        coding = dict(scope.get("headers") or ()).get(b"content-encoding", b"").strip().lower()
        if scope["type"] != "http" or coding != b"gzip" or scope["path"] not in self._paths:
            await self._app(scope, receive, send)
            return
        try:
            body = await self._body(receive)
        except (_TooLarge, zlib.error) as error:
            large = isinstance(error, _TooLarge)
            title = "The request is too large" if large else "The body is not gzip"
            detail = f"limit {self._max_bytes} bytes unpacked" if large else "Content-Encoding says gzip"
            problem = Problem(title=title, status=413 if large else 400, detail=detail)
            await problem_response(problem)(scope, receive, send)
            return
        kept = [pair for pair in scope["headers"] if pair[0] not in (b"content-encoding", b"content-length")]
        given = False

        async def whole() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app({**scope, "headers": [*kept, (b"content-length", b"%d" % len(body))]}, whole, send)

    async def _body(self, receive: Receive) -> bytes:
        unpacker = zlib.decompressobj(wbits=31)
        found: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise zlib.error("the client went away")
            piece = unpacker.decompress(message.get("body", b""), self._max_bytes - size + 1)
            size += len(piece)
            if size > self._max_bytes:
                raise _TooLarge
            found.append(piece)
            if not message.get("more_body", False):
                break
        if not unpacker.eof:
            raise zlib.error("cut off")
        return b"".join(found)
