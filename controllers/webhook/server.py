"""Serves ``POST /decisions`` and ``POST /policies`` over TLS: the standard library's server, with bounds on everything.

Not kopf's admission server: that one runs only inside a whole operator, wants to write the webhook configuration itself
(a right to see and change every object of the cluster), and keeps the certificate that it started with. This answer
needs neither watches nor any right in the cluster, so its pod has no token at all.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from controllers.webhook.certificates import Serving
from controllers.webhook.decide import ApprovalObject, record
from controllers.webhook.policies import judge
from controllers.webhook.review import Review

log = logging.getLogger(__name__)

MAX_BODY = 3 * 1024 * 1024
"""An object and its former self, at the most that etcd holds of each."""
TIMEOUT = 10.0
MAX_CONNECTIONS = 64


def _decisions(body: bytes) -> tuple[str, dict[str, Any]]:
    return record(Review[ApprovalObject].model_validate_json(body).request)


def _policies(body: bytes) -> tuple[str, dict[str, Any]]:
    return judge(Review[dict[str, Any]].model_validate_json(body).request)


ENDPOINTS: Mapping[str, Callable[[bytes], tuple[str, dict[str, Any]]]] = MappingProxyType(
    {"/decisions": _decisions, "/policies": _policies}
)
"""Each reads an AdmissionReview (ValidationError when it is none) and gives a word for the counter and the answer."""


class Webhook(ThreadingHTTPServer):
    """One thread per connection, at most ``MAX_CONNECTIONS``; more wait in the listen queue."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, serving: Serving, tell: Callable[[str], None], address: str = "") -> None:
        super().__init__((address, port), _handler(tell))
        self._serving = serving
        self._room = threading.BoundedSemaphore(MAX_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Wait for room before a thread is started."""
        self._room.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The handshake happens here, in the connection's own thread, so a slow client keeps nobody else waiting."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """TLS with the certificate of the moment, then HTTP."""
        request.settimeout(TIMEOUT)
        with self._serving.context().wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """A client that hangs up or does not speak TLS is not worth a traceback."""
        log.debug("connection from %s ended early", client_address, exc_info=True)  # noqa: LOG014  called from the handler


def _handler(tell: Callable[[str], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = TIMEOUT
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Whatever is not understood is an error; of a decision that is a refusal, since it fails closed."""
            endpoint = ENDPOINTS.get(self.path.partition("?")[0])
            if endpoint is None:
                return self._send(404, {"message": "unknown path"})
            length = self.headers.get("Content-Length", "")
            if not length.isdigit() or int(length) > MAX_BODY:
                self.close_connection = True
                return self._send(413, {"message": f"Content-Length must be at most {MAX_BODY}"})
            try:
                result, response = endpoint(self.rfile.read(int(length)))
            except ValidationError as error:
                tell("malformed")
                return self._send(400, {"message": f"not an AdmissionReview: {error.error_count()} errors"})
            tell(result)
            return self._send(200, response)

        def _send(self, status: int, body: dict[str, Any]) -> None:
            payload = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: object) -> None:
            """Requests are counted, not written down."""

    return Handler
