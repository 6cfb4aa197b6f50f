"""The endpoints on a real port, before an API server that knows a few people; the client is the SDK's own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import uvicorn
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from controllers.kube.resources import ResourceType
from controllers.mcp.server import build
from controllers.runtime.metrics import Metrics
from controllers.runtime.settings import Settings
from tests.fakes.chain import PLATFORM, Clock
from tests.fakes.kube import FakeKube, FakeRecorder

AUDIENCE = "iirp-mcp"
PEOPLE = {"alice-token": "alice", "eve-token": "eve", "bot-token": "system:serviceaccount:agents:bot"}
"""eve is known and may do nothing."""


class Api(FakeKube):
    """FakeKube with TokenReview and SubjectAccessReview. ``asked`` lists (user, verb, resource, namespace, name)."""

    def __init__(self) -> None:
        super().__init__(Clock())
        self.asked: list[tuple[str, str, str, str, str]] = []
        self.reviewed: list[str] = []
        self.audiences = [AUDIENCE]
        self.forbidden: set[str] = set()
        """Verbs that nobody holds."""

    def create_raw(self, resource: ResourceType, namespace: str, body: Any, **options: Any) -> Any:
        if resource.plural == "tokenreviews":
            self._check("create", resource, "", "")
            return {"status": self._review(body["spec"])}
        if resource.plural == "subjectaccessreviews":
            spec = body["spec"]
            wanted = spec["resourceAttributes"]
            self.asked.append(
                (spec["user"], wanted["verb"], wanted["resource"], wanted.get("namespace", ""), wanted.get("name", ""))
            )
            return {"status": {"allowed": "devs" in spec["groups"] and wanted["verb"] not in self.forbidden}}
        return super().create_raw(resource, namespace, body, **options)

    def _review(self, spec: dict[str, Any]) -> dict[str, Any]:
        self.reviewed.append(spec["token"])
        username = PEOPLE.get(spec["token"])
        if username is None or not set(spec["audiences"]) & set(self.audiences):
            return {"authenticated": False}
        groups = [] if username == "eve" else ["devs"]
        user = {"username": username, "uid": f"u-{username}", "groups": groups, "extra": {"scope": ["a"]}}
        return {"authenticated": True, "audiences": self.audiences, "user": user}


class Endpoint:
    """One endpoint while it runs."""

    def __init__(self, url: str, api: Api, events: FakeRecorder, metrics: Metrics) -> None:
        self.url, self.api, self.events, self.metrics = url, api, events, metrics

    def call(self, tool: str, token: str = "alice-token", **arguments: Any) -> tuple[bool, Any]:
        """(is it an error, the answer or its text)."""
        return asyncio.run(self._call(tool, token, arguments))

    async def _call(self, tool: str, token: str, arguments: dict[str, Any]) -> tuple[bool, Any]:
        async with self.client(token) as client:
            result = await client.call_tool(tool, arguments)
        text = result.content[0].text if result.content else ""  # type: ignore[union-attr]
        return bool(result.is_error), text if result.is_error else result.structured_content

    def tools(self, token: str = "alice-token") -> list[Any]:
        """What the endpoint offers."""

        async def ask() -> list[Any]:
            async with self.client(token) as client:
                return list((await client.list_tools()).tools)

        return asyncio.run(ask())

    @contextlib.asynccontextmanager
    async def client(self, token: str) -> Any:
        """The SDK's client with a bearer token."""
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=10) as http,
            Client(streamable_http_client(self.url, http_client=http)) as client,
        ):
            yield client

    def post(self, headers: dict[str, str], body: bytes = b"{}") -> int:
        """Status of a bare request."""
        with httpx2.Client(timeout=10) as http:
            return http.post(
                self.url, content=body, headers={"Content-Type": "application/json", **headers}
            ).status_code


@contextlib.contextmanager
def endpoint(role: str, api: Api, **settings: Any) -> Iterator[Endpoint]:
    """Serve ``mcp-read`` or ``mcp-execute`` on a free port."""
    metrics, events = Metrics(role), FakeRecorder()
    app = build(role, Settings(namespace=PLATFORM, **settings), api, events, metrics)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
        thread.start()
        deadline = time.monotonic() + 10
        while not server.started and time.monotonic() < deadline:
            thread.join(0.02)
        try:
            yield Endpoint(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", api, events, metrics)
        finally:
            server.should_exit = True
            thread.join(10)
