"""Bounds on request bodies, whatever their headers say: size as sent, size unpacked, and time."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from analysis.api.problems import problem_response
from analysis.contract import Problem


class _Refused(Exception):
    """The body is not read further, and this is the answer."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(title)
        self.problem = Problem(title=title, status=status, detail=detail)


class BodyLimit:
    """ASGI middleware: 413 once a body has passed ``max_bytes``, 408 when it is not there after ``seconds``."""

    def __init__(self, app: ASGIApp, max_bytes: int, seconds: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seen = 0
        whole = False
        deadline = asyncio.get_running_loop().time() + self._seconds

        async def counted() -> Message:
            nonlocal seen, whole
            if whole:  # what is waited for now is the caller's leaving
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise _Refused(408, "The request took too long", f"limit {self._seconds:g} s") from None
            seen += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if seen > self._max_bytes:
                raise _Refused(413, "The request is too large", f"limit {self._max_bytes} bytes")
            return message

        await _pass_on(self._app, scope, counted, send)


class Unpack:
    """ASGI middleware for bodies with ``Content-Encoding: gzip``: unpacked piece by piece, 413 past the limit.

    Only on the given ``paths``; others see what was sent. Nothing is unpacked before the application asks for the
    body, which it does for callers that it knows.
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
        kept = [pair for pair in scope["headers"] if pair[0] not in (b"content-encoding", b"content-length")]
        pieces = self._unpacked(receive)

        async def unpacked() -> Message:
            return await anext(pieces, None) or await receive()

        await _pass_on(self._app, {**scope, "headers": kept}, unpacked, send)

    async def _unpacked(self, receive: Receive) -> AsyncIterator[Message]:
        unpacker = zlib.decompressobj(wbits=31)
        size = 0
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                yield message
                return
            more = message.get("more_body", False)
            try:
                piece = unpacker.decompress(message.get("body", b""), self._max_bytes - size + 1)
            except zlib.error:
                raise _Refused(400, "The body is not gzip", "Content-Encoding says gzip") from None
            size += len(piece)
            if size > self._max_bytes:
                raise _Refused(413, "The request is too large", f"limit {self._max_bytes} bytes unpacked")
            if not more and not unpacker.eof:
                raise _Refused(400, "The body is not gzip", "it is cut off")
            yield {"type": "http.request", "body": piece, "more_body": more}


async def _pass_on(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Call the application; a refusal of ``receive`` is the answer, whatever the application makes of that exception.

    Frameworks turn an exception while reading into an answer of their own.
    """
    refused: Problem | None = None
    answered = False

    async def watched() -> Message:
        nonlocal refused
        try:
            return await receive()
        except _Refused as error:
            refused = error.problem
            raise

    async def noted(message: Message) -> None:
        nonlocal answered
        if refused is None:
            answered = True
            await send(message)

    with suppress(_Refused):
        await app(scope, watched, noted)
    if refused is not None and not answered:
        await problem_response(refused)(scope, receive, send)
