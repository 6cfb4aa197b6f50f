"""Between one executor and the API server; does one thing wrong at one write. The executor knows nothing of it."""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

READ_TIMEOUT = 400.0
"""Longer than a watch."""
HOP = {"connection", "transfer-encoding", "keep-alive", "host"}


class Fault(StrEnum):
    """What goes wrong. ``kill`` is SIGKILL; what is lost is lost on the wire, with the executor alive."""

    KILL_BEFORE = "killed before the write"
    KILL_WRITTEN = "killed after the write"
    KILL_REPLIED = "killed after the reply"
    LOSE_REQUEST = "request lost"
    LOSE_REPLY = "reply lost"
    TWICE = "request delivered twice"


@dataclass(frozen=True)
class Write:
    """One request that changes something, or asks whether it could."""

    number: int
    method: str
    path: str
    dry: bool

    @property
    def real(self) -> bool:
        """The write to a workload, not a record of it."""
        return not self.dry and "/iirp.io/" not in self.path and "/events" not in self.path


class Proxy:
    """``at`` is the number of the write at which ``fault`` happens, once. ``gate`` may hold a write back."""

    def __init__(self, server: str, ca: Path, certificate: tuple[Path, Path]) -> None:
        parts = urlsplit(server)
        self._upstream = (parts.hostname or "", parts.port or 443, ssl.create_default_context(cafile=str(ca)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*map(str, certificate))
        self.fault: Fault | None = None
        self.at = 0
        self.kill: Callable[[], None] = lambda: None
        self.gate: Callable[[Write], None] = lambda _write: None
        self.writes: list[Write] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self), context)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        """For the executor's kubeconfig."""
        return f"https://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Take no new connections."""
        self._server.shutdown()
        self._server.server_close()

    def noted(self, method: str, path: str) -> Write | None:
        """Count a write; None for a read."""
        if method == "GET":
            return None
        split = urlsplit(path)
        with self._lock:
            write = Write(len(self.writes) + 1, method, split.path, "dryRun" in parse_qs(split.query))
            self.writes.append(write)
        return write

    def forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> http.client.HTTPResponse:
        """The request, upstream."""
        host, port, context = self._upstream
        connection = http.client.HTTPSConnection(host, port, timeout=READ_TIMEOUT, context=context)
        connection.request(method, path, body or None, headers)
        return connection.getresponse()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: Any, context: ssl.SSLContext) -> None:
        super().__init__(address, handler)
        self._context = context

    def finish_request(self, request: Any, client_address: Any) -> None:
        with self._context.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients are killed here for a living."""


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    return type("Handler", (_Handler,), {"proxy": proxy})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def _pass(self) -> None:
        self.close_connection = True
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        write = self.proxy.noted(self.command, self.path)
        if write is not None:
            self.proxy.gate(write)
        hit = write is not None and write.number == self.proxy.at
        self._disturbed(self.proxy.fault if hit else None, body)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _pass  # noqa: N815  the names that http.server looks for

    def _disturbed(self, fault: Fault | None, body: bytes) -> None:
        """What returns without delivering leaves the client with a connection that was closed on it."""
        if fault is Fault.KILL_BEFORE:
            self.proxy.kill()
        if fault in (Fault.KILL_BEFORE, Fault.LOSE_REQUEST):
            return
        reply = self._forward(body)
        if fault is Fault.TWICE:
            reply.read()
            reply = self._forward(body)
        if fault is Fault.KILL_WRITTEN:
            self.proxy.kill()
        if fault in (Fault.KILL_WRITTEN, Fault.LOSE_REPLY):
            return
        self._deliver(reply)
        if fault is Fault.KILL_REPLIED:
            self.proxy.kill()

    def _forward(self, body: bytes) -> http.client.HTTPResponse:
        headers = {key: value for key, value in self.headers.items() if key.lower() not in HOP}
        return self.proxy.forward(self.command, self.path, headers, body)

    def _deliver(self, reply: http.client.HTTPResponse) -> None:
        self.send_response_only(reply.status, reply.reason)
        for key, value in reply.getheaders():
            if key.lower() not in HOP:
                self.send_header(key, value)
        self.send_header("Connection", "close")
        self.end_headers()
        while piece := reply.read1(65536):  # a watch comes in pieces and ends when it ends
            self.wfile.write(piece)
            self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Not of interest."""
