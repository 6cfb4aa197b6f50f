"""A small HTTP server that strangers may reach: bounded threads, and a thread of its own to run in."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Handler", "listening"]

MAX_CONNECTIONS = 32

logger = logging.getLogger(__name__)


class Handler(BaseHTTPRequestHandler):
    """Cuts slow clients off, tells nothing of itself, and logs no requests: anybody can send them."""

    timeout = 10
    server_version, sys_version = "iirp", ""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""

    def end(self, status: int, body: bytes = b"", content_type: str = "text/plain; charset=utf-8") -> None:
        """The whole answer; the connection ends with it."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


@contextmanager
def listening(host: str, port: int, handler: type[Handler]) -> Iterator[int]:
    """Serve while the block runs; the port, also where 0 was asked for. Raises OSError: it cannot be listened on."""
    server = _Server((host, port), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name=f"http-{port}", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    """One thread per connection, at most ``MAX_CONNECTIONS``; more wait in the listen queue."""

    daemon_threads = False
    """What was acknowledged is answered before the end; all of it has a timeout."""

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._room = threading.BoundedSemaphore(MAX_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Wait for room before a thread is started."""
        self._room.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Make room afterwards."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """A client that hangs up is not worth a traceback."""
        logger.debug("connection from %s ended early", client_address, exc_info=True)  # noqa: LOG014
