"""Live pages: one server-sent event per change of what a page shows, as the person who looks.

The event carries nothing but its name; the page then asks for itself again, so there is one way to render. Watches are
the person's own (their token, their rights). While the API server does not answer, the page is told that it may be old.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.sse import format_sse_event

from analysis.kube import ApiServer, ApiServerError
from analysis.web.reader import valid_name
from crds import API_VERSION
from crds.v1alpha1.labels import INCIDENT_LABEL

if TYPE_CHECKING:
    from analysis.web.pages import Pages

__all__ = ["Streams", "chain_paths", "changes", "live_routes"]

HEARTBEAT_SECONDS = 15.0
COALESCE_SECONDS = 1.0
"""The page must not slow events down itself: one that htmx holds back is lost when a refresh replaces the element."""
RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0)
MAX_STREAMS = 256
MAX_STREAMS_PER_PERSON = 16
SSE_HEADERS = {"X-Accel-Buffering": "no"}
"""nginx must not hold events back."""


class Streams:
    """How many are open, in all and per person; both have a bound."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def admit(self, username: str) -> bool:
        """Count one more, if it fits."""
        if self._open.total() >= MAX_STREAMS or self._open[username] >= MAX_STREAMS_PER_PERSON:
            return False
        self._open[username] += 1
        return True

    def leave(self, username: str) -> None:
        """One less."""
        self._open[username] -= 1
        if self._open[username] <= 0:
            del self._open[username]


def chain_paths(namespace: str, name: str) -> tuple[str, ...]:
    """Collections whose changes an incident's page shows."""
    base = f"/apis/{API_VERSION}/namespaces/{quote(namespace, safe='')}"
    label = quote(f"{INCIDENT_LABEL}={name}", safe="")
    field = quote(f"metadata.name={name}", safe="")
    children = (f"{base}/{plural}?labelSelector={label}" for plural in ("rcareports", "actionplans", "approvals"))
    return (f"{base}/incidents?fieldSelector={field}", *children)


def list_paths(namespace: str) -> tuple[str, ...]:
    """The collection that the list shows."""
    where = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return (f"/apis/{API_VERSION}{where}/incidents?",)


async def changes(api: ApiServer, paths: Sequence[str], token: str, alive: Callable[[], bool]) -> AsyncIterator[str]:
    """Names of events: ``changed``, ``stale``, ``fresh``, ``signin``; an empty one keeps the line open.

    The first is ``changed``: what happened between the page and its stream is not missed. Ends with the session.
    """
    board = _Board()
    watchers = [asyncio.create_task(_watch(api, path, token, board)) for path in paths]
    try:
        board.changed.set()
        while alive():
            with suppress(TimeoutError):
                await asyncio.wait_for(board.changed.wait(), HEARTBEAT_SECONDS)
                await asyncio.sleep(COALESCE_SECONDS)
            if board.signed_out:
                break
            words = board.take()
            for word in words:
                yield word
            if not words:
                yield ""
        yield "signin"
    finally:
        for task in watchers:
            task.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)


class _Board:
    """What the watchers of one stream found since it was last looked at."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.signed_out = False
        self._down: set[str] = set()
        self._told = False

    def report(self, path: str, *, down: bool) -> None:
        """A watch has broken, or works."""
        (self._down.add if down else self._down.discard)(path)
        if bool(self._down) is not self._told:
            self.changed.set()

    def take(self) -> list[str]:
        """Events to send now."""
        moved = self.changed.is_set()
        self.changed.clear()
        words = []
        if bool(self._down) is not self._told:
            self._told = bool(self._down)
            words.append("stale" if self._told else "fresh")
        if moved and not self._told:
            words.append("changed")
        return words


async def _watch(api: ApiServer, path: str, token: str, board: _Board) -> None:
    failures = 0
    while True:
        try:
            async for _ in api.watch(path, token=token):
                failures = 0
                board.report(path, down=False)
                board.changed.set()
            board.report(path, down=False)
        except ApiServerError as error:
            if error.status == 401:
                board.signed_out = True
                board.changed.set()
                return
            if error.status in {403, 404}:
                return  # not theirs to see: the page leaves it out as well
            board.report(path, down=True)
        await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
        failures += 1
        board.changed.set()  # a watch that ended may have missed something


def live_routes(pages: Pages, api: ApiServer) -> APIRouter:
    """The two streams: of the list, and of one incident."""
    router = APIRouter(include_in_schema=False)
    streams = Streams()

    def stream(request: Request, paths: Sequence[str]) -> Response:
        session = pages.session(request)
        if session is None:
            return PlainTextResponse("sign in first", 401, headers=pages.headers)
        if not streams.admit(session.username):
            message = "too many live pages are open; close one"
            return PlainTextResponse(message, 429, headers={**pages.headers, "Retry-After": "30"})

        async def events() -> AsyncIterator[bytes]:
            try:
                async for word in changes(api, paths, session.token, lambda: pages.session(request) is session):
                    yield format_sse_event(event=word, data_str="-") if word else b": still here\n\n"
            finally:
                streams.leave(session.username)

        headers = {**pages.headers, **SSE_HEADERS}
        return StreamingResponse(events(), media_type="text/event-stream", headers=headers)

    @router.get("/incidents/live")
    async def of_the_list(request: Request, namespace: str = "") -> Response:
        if namespace and not valid_name(namespace):
            return PlainTextResponse("this is not a namespace's name", 404, headers=pages.headers)
        return stream(request, list_paths(namespace))

    @router.get("/incidents/{namespace}/{name}/live")
    async def of_an_incident(request: Request, namespace: str, name: str) -> Response:
        if not (valid_name(namespace) and valid_name(name)):
            return PlainTextResponse("this is not an incident's name", 404, headers=pages.headers)
        return stream(request, chain_paths(namespace, name))

    return router
