"""Calls to other services: one connection per call, so that load spreads over pods and a restart is noticed."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any
from urllib.parse import urlsplit

from demo.shop.metrics import Metrics
from demo.shop.services import Request

__all__ = ["UpstreamError", "Upstreams", "fetch"]

_MAX_ANSWER = 1 << 20


class UpstreamError(RuntimeError):
    """The upstream did not answer with success; `code` is 0 when it did not answer at all."""

    def __init__(self, upstream: str, code: int, message: str) -> None:
        super().__init__(f"{upstream}: {message}")
        self.code = code


class Upstreams:
    """Implements `services.Caller` over HTTP."""

    def __init__(self, urls: dict[str, str], timeout: float, metrics: Metrics) -> None:
        self._urls = urls
        self._timeout = timeout
        self._metrics = metrics

    def __call__(self, upstream: str, method: str, path: str, request: Request, body: Any = None) -> Any:
        """The JSON answer; raises UpstreamError. Every call is counted and timed, failed ones too."""
        begun = time.perf_counter()
        code = 0
        try:
            code, answer = fetch(self._urls[upstream] + path, method, body, request.request_id, self._timeout)
        except (OSError, http.client.HTTPException) as error:
            raise UpstreamError(upstream, 0, f"{type(error).__name__}: {error}") from error
        finally:
            self._metrics.upstream_requests.labels(upstream, str(code) if code else "none").inc()
            self._metrics.upstream_duration.labels(upstream).observe(time.perf_counter() - begun)
        if not 200 <= code < 300:
            raise UpstreamError(upstream, code, f"answered {code}")
        return json.loads(answer)


def fetch(url: str, method: str, body: Any, request_id: str, timeout: float) -> tuple[int, bytes]:
    """Status code and body. Raises OSError or HTTPException."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout)
    try:
        payload = None if body is None else json.dumps(body)
        headers = {"X-Request-Id": request_id, "Connection": "close"}
        connection.request(method, parts.path or "/", payload, headers)
        response = connection.getresponse()
        return response.status, response.read(_MAX_ANSWER)
    finally:
        connection.close()
