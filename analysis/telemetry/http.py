"""What both readers share: one JSON request with a timeout, a bound on the answer, and typed errors."""

from __future__ import annotations

from typing import Any

import httpx

from analysis.telemetry.errors import QueryRefused, SourceUnreachable

MAX_REPLY_BYTES = 256 * 1024 * 1024


class JsonSource:
    """A service that answers ``{"status": "success", "data": …}``: Prometheus' and Loki's common envelope."""

    def __init__(self, name: str, url: str, timeout_seconds: float, client: httpx.AsyncClient) -> None:
        self.name = name
        self.address = url.rstrip("/")
        self._timeout = timeout_seconds
        self._client = client

    async def ask(self, path: str, params: dict[str, str]) -> Any:
        """POST a query as a form (queries may be longer than a URL) and return ``data``.

        Raises:
            SourceUnreachable: no answer in time, or a 5xx.
            QueryRefused: a 4xx with the service's own words.
        """
        try:
            reply = await self._client.post(self.address + path, data=params, timeout=self._timeout)
        except httpx.TimeoutException as error:
            raise SourceUnreachable(self.name, self.address, f"no answer within {self._timeout:g} s") from error
        except httpx.HTTPError as error:
            raise SourceUnreachable(self.name, self.address, str(error) or type(error).__name__) from error
        if reply.status_code >= 400:
            self._refuse(reply)
        if len(reply.content) > MAX_REPLY_BYTES:
            raise QueryRefused(self.name, self.address, f"answer larger than {MAX_REPLY_BYTES} bytes")
        try:
            body = reply.json()
        except ValueError as error:
            raise SourceUnreachable(
                self.name, self.address, "the answer is not JSON: is this the right URL?"
            ) from error
        if not isinstance(body, dict) or body.get("status") != "success":
            raise QueryRefused(self.name, self.address, "the answer is not a query result: is this the right URL?")
        return body.get("data")

    def _refuse(self, reply: httpx.Response) -> None:
        words = " ".join(reply.text.split())[:300]
        if reply.status_code in {400, 422, 413}:
            raise QueryRefused(self.name, self.address, f"HTTP {reply.status_code}: {words}")
        raise SourceUnreachable(self.name, self.address, f"HTTP {reply.status_code}: {words}")
