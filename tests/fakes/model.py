"""A language model's server on loopback: it speaks the protocol, and says what the test wants it to say."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Reply = Callable[[], tuple[int, str]]
"""HTTP status and content of the next answer."""


class ModelServer:
    """Answers chat completions with what the test sets; keeps the requests, and all bytes that came."""

    def __init__(self) -> None:
        self.reply: Reply = lambda: (200, "{}")
        self.requests: list[dict] = []
        self.received: list[bytes] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                outer.received.append(self.requestline.encode() + self.headers.as_bytes() + raw)
                outer.requests.append(json.loads(raw))
                status, content = outer.reply()
                message = {"role": "assistant", "content": content}
                data = json.dumps(
                    {
                        "id": "1", "object": "chat.completion", "created": 1, "model": "m",
                        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                    }
                ).encode()  # fmt: skip
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """A client that gave up is what one of the tests is about."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"


@contextmanager
def model_server() -> Iterator[ModelServer]:
    """One that runs."""
    found = ModelServer()
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield found
    finally:
        found.server.shutdown()
        found.server.server_close()
        thread.join()
