"""Receivers over real sockets: an HTTP server that remembers and answers as told, and a small SMTP server."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from crds.v1alpha1.incident import Incident
from tests.fakes import story


@dataclass
class Receiver:
    """What came in; ``statuses`` are given one after the other, then 200."""

    url: str = ""
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)


@contextmanager
def http(host: str = "127.0.0.1") -> Iterator[Receiver]:
    """A running HTTP receiver."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests.append((dict(self.headers), body))
            self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer((host, 0), Handler)
    receiver.url = f"http://{host}:{server.server_address[1]}/hook"
    with _running(server):
        yield receiver


@contextmanager
def smtp(refuse: int = 0) -> Iterator[tuple[int, list[str]]]:
    """A running SMTP server: its port, and the messages that it took. ``refuse``: answer this code to recipients."""
    taken: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 test")
            for raw in self.rfile:
                word = raw.decode().strip().upper()
                if word.startswith("DATA"):
                    self._say("354 go on")
                    lines = iter(self.rfile.readline, b".\r\n")
                    taken.append(b"".join(lines).decode())
                    self._say("250 taken")
                elif word.startswith("QUIT"):
                    self._say("221 bye")
                    return
                else:
                    self._say(f"{refuse} no" if refuse and word.startswith("MAIL") else "250 ok")

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with _running(server):
        yield int(server.server_address[1]), taken


@contextmanager
def _running(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def incident(state: str = "AwaitingApproval", **status: Any) -> Incident:
    """The leak of the payments service in some state."""
    body = story.incident()
    body["metadata"]["creationTimestamp"] = "2026-01-31T14:06:52Z"
    body["status"] |= {"state": state, "approvalRef": {"name": f"{story.NAME}-1", "uid": "a"}, **status}
    return Incident.from_wire(body)
