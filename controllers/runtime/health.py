"""Liveness on :8081/healthz: bad when a reconcile hangs. Alive is not enough, it must make progress."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def serve_health(port: int, problem: Callable[[], str], address: str = "") -> ThreadingHTTPServer:
    """Serve in a daemon thread. ``problem`` returns an empty string while all is well."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            text = problem() if self.path == "/healthz" else "unknown path"
            status = 404 if self.path != "/healthz" else 503 if text else 200
            body = (text or "ok").encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Probes are not worth a line."""

    server = ThreadingHTTPServer((address, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
