"""The HTTP servers of one process: business traffic on one port, metrics and fault switches on another."""

from __future__ import annotations

import json
import logging
import re
import socket
import socketserver
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, cast

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from demo.shop.client import UpstreamError
from demo.shop.faults import FaultError, Faults
from demo.shop.load import Load
from demo.shop.metrics import Metrics
from demo.shop.services import Caller, Refused, Request, Response, find_route

__all__ = ["AdminHandler", "BusinessHandler", "Server", "State"]

access = logging.getLogger("shop.access")
logger = logging.getLogger("shop.service")

_MAX_BODY = 64 << 10
_MAX_CHUNK_LINE = 1024
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class State:
    """What the handlers of one process share."""

    def __init__(self, service: str, metrics: Metrics, faults: Faults, call: Caller) -> None:
        self.service = service
        self.metrics = metrics
        self.faults = faults
        self.call = call
        self.draining = threading.Event()
        self.load: Load | None = None
        """Only where the process is the load generator."""


class Server(ThreadingHTTPServer):
    """A threading server that carries the state and takes a burst of connections."""

    daemon_threads = True
    request_queue_size = 128
    address_family = socket.AF_INET

    def __init__(self, port: int, handler: type[BaseHTTPRequestHandler], state: State) -> None:
        self.state = state
        super().__init__(("0.0.0.0", port), handler)  # noqa: S104 a pod's own network

    def server_bind(self) -> None:
        """Without HTTPServer's reverse look-up of the own address, which can hang where there is no DNS."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "shop", self.server_address[1]


class _Handler(BaseHTTPRequestHandler):
    timeout = 10  # seconds a client may take to send its request
    server_version = "shop"
    sys_version = ""

    @property
    def state(self) -> State:
        """The process's state."""
        return cast(Server, self.server).state

    def log_message(self, *_: Any) -> None:
        """Access lines are written by `BusinessHandler` in its own format."""

    def read_body(self) -> bytes:
        """The request body, of known length or in chunks (the API server's proxy sends those).

        Refused when it is too large or its length is no number.
        """
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._chunks()
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > _MAX_BODY:
            raise Refused(413, f"the body must be at most {_MAX_BODY} bytes, with a Content-Length")
        return self.rfile.read(int(length))

    def _chunks(self) -> bytes:
        body = b""
        while True:
            digits = self.rfile.readline(_MAX_CHUNK_LINE).partition(b";")[0].strip()
            if not re.fullmatch(rb"[0-9a-fA-F]{1,8}", digits):
                raise Refused(400, "a chunk of the body has no length")
            size = int(digits, 16)
            if len(body) + size > _MAX_BODY:
                raise Refused(413, f"the body must be at most {_MAX_BODY} bytes")
            if size == 0:
                while self.rfile.readline(_MAX_CHUNK_LINE).strip():  # trailers, up to the empty line
                    continue
                return body
            body += self.rfile.read(size)
            self.rfile.readline(_MAX_CHUNK_LINE)

    def reply(self, code: int, body: bytes, content_type: str = "application/json") -> None:
        """Sends the whole answer; a client that has gone away is no error of ours."""
        try:
            self.send_response(code)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


class BusinessHandler(_Handler):
    """The service's routes, with probes, metrics and one access line per request."""

    def do_GET(self) -> None:
        """A business or probe request."""
        self._serve("GET")

    def do_POST(self) -> None:
        """A business request."""
        self._serve("POST")

    def _serve(self, method: str) -> None:
        path = self.path.partition("?")[0]
        if path in ("/healthz", "/readyz"):
            ready = path == "/healthz" or not self.state.draining.is_set()
            self.reply(200 if ready else 503, b'"ok"' if ready else b'"draining"')
            return
        begun = time.perf_counter()
        given = self.headers.get("X-Request-Id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex[:16]
        template, response = self._answer(method, path, request_id)
        seconds = time.perf_counter() - begun
        self.state.metrics.requests.labels(method, template, str(response.code)).inc()
        self.state.metrics.duration.labels(method, template).observe(seconds)
        access.info("%s %s %d %.1fms request_id=%s", method, template, response.code, seconds * 1000, request_id)
        # Last: whoever has the answer finds the request counted and logged.
        self.reply(response.code, json.dumps(response.body).encode())

    def _answer(self, method: str, path: str, request_id: str) -> tuple[str, Response]:
        found = find_route(self.state.service, method, path)
        if found is None:
            return "none", Response(404, {"error": "no such route"})
        route, variables = found
        try:
            request = Request(method, self.read_body(), request_id, variables)
            self.state.faults.on_request()
            return route.template, route.handle(request, self.state.call)
        except Refused as refused:
            return route.template, Response(refused.code, {"error": str(refused)})
        except UpstreamError as error:
            logger.error("upstream call failed: %s request_id=%s", error, request_id)  # noqa: TRY400 the upstream has the trace
            return route.template, Response(error.code if error.code in (404, 422) else 502, {"error": str(error)})
        except Exception:
            logger.exception("unhandled error in %s %s request_id=%s", method, route.template, request_id)
            return route.template, Response(500, {"error": "internal error"})


class AdminHandler(_Handler):
    """GET /metrics, GET /fault, POST /fault/NAME with JSON parameters, DELETE /fault/NAME; GET, POST /load {"rate"}."""

    FAULT: ClassVar[re.Pattern[str]] = re.compile(r"/fault/([a-z-]{1,32})")

    def do_GET(self) -> None:
        """Metrics, or the faults that are on."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            text = generate_latest(self.state.metrics.registry) + self.state.faults.exposition()
            self.reply(200, text, CONTENT_TYPE_LATEST)
        elif path == "/fault":
            self._json(200, self.state.faults.active())
        elif path == "/load" and self.state.load is not None:
            self._json(200, {"rate": self.state.load.rate})
        else:
            self._json(404, {"error": "no such route"})

    def do_POST(self) -> None:
        """Switches a fault on, or changes the load."""
        if self.path.partition("?")[0] == "/load" and self.state.load is not None:
            self._change_load(self.state.load)
        else:
            self._switch(on=True)

    def do_DELETE(self) -> None:
        """Switches a fault off."""
        self._switch(on=False)

    def _change_load(self, load: Load) -> None:
        try:
            load.change(float(json.loads(self.read_body() or b"{}")["rate"]))
        except Refused as refused:
            self._json(refused.code, {"error": str(refused)})
        except (ValueError, TypeError, KeyError) as error:
            self._json(422, {"error": f'the body must be {{"rate": requests per second}}: {error}'})
        else:
            self._json(200, {"rate": load.rate})

    def _switch(self, on: bool) -> None:
        match = self.FAULT.fullmatch(self.path.partition("?")[0])
        if match is None:
            self._json(404, {"error": "no such route"})
            return
        try:
            if on:
                self.state.faults.start(match[1], json.loads(self.read_body() or b"{}"))
            else:
                self.state.faults.stop(match[1])
        except FaultError as error:
            self._json(422, {"error": str(error)})
        except Refused as refused:
            self._json(refused.code, {"error": str(refused)})
        except ValueError:
            self._json(400, {"error": "the body is not JSON"})
        else:
            self._json(200, self.state.faults.active())

    def _json(self, code: int, body: Any) -> None:
        self.reply(code, json.dumps(body).encode() + b"\n")
