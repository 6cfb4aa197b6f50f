"""Slack's buttons: a signed request comes in, a link goes back. Nothing is decided here, and nothing could be.

Slack signs with HMAC-SHA256 over ``v0:<timestamp>:<body>`` ("Verifying requests from Slack", v0). The answer is told to
the one who pressed, who then decides on the page or with kubectl as themselves: this process holds no right to decide,
and a person's Slack account is no Kubernetes identity.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import requests

from notifications.settings import Settings, Slack

__all__ = ["ACTIONS", "Answer", "Refused", "answer", "check", "serving"]

ACTIONS = ("approve", "reject")
PATH = "/slack/actions"
MAX_BODY_BYTES = 64 * 1024
MAX_AGE_SECONDS = 300
REPLY_PREFIX = "https://hooks.slack.com/"
"""Where an answer may go, whatever the request says."""
MAX_CONNECTIONS = 32
_NUMBER = re.compile(r"[0-9]{1,12}")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_TIMEOUT = (3.0, 10.0)

logger = logging.getLogger(__name__)
Clock = Callable[[], float]


class Refused(Exception):
    """The request is not Slack's, or is too old."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is told to the one who pressed, and where to."""

    url: str
    text: str


def check(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> None:
    """Whether Slack sent this, lately. Raises Refused."""
    stamp = headers.get("X-Slack-Request-Timestamp", "")
    if not _NUMBER.fullmatch(stamp) or abs(now - int(stamp)) > MAX_AGE_SECONDS:
        raise Refused("the request is too old")
    digest = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(f"v0={digest}".encode(), headers.get("X-Slack-Signature", "").encode()):
        raise Refused("the signature is not Slack's")


def answer(body: bytes, page: str, reply_prefix: str = REPLY_PREFIX) -> Answer | None:
    """The link for a button that was pressed; None for whatever else Slack tells. Pure."""
    try:
        payload = json.loads(parse_qs(body.decode())["payload"][0])
        action = payload["actions"][0]
        verb, names, reply = action["action_id"], str(action["value"]).split("/"), str(payload["response_url"])
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    if verb not in ACTIONS or len(names) != 3 or not all(_NAME.fullmatch(name) for name in names):
        return None
    if not reply.startswith(reply_prefix):
        return None
    namespace, incident, approval = names
    reason = " --reason WHY" if verb == "reject" else ""
    text = (
        f"You {verb} as yourself, with your own credential: "
        f"<{page.rstrip('/')}/incidents/{namespace}/{incident}/decide/{approval}|open the decision>, or\n"
        f"```kubectl iirp {verb} {approval} -n {namespace}{reason}```"
    )
    return Answer(reply, text)


@contextmanager
def serving(settings: Settings, clock: Clock = time.time, reply_prefix: str = REPLY_PREFIX) -> Iterator[str]:
    """Listen while the block runs; its address. Only where the settings say so, else nothing listens.

    Raises:
        OSError: the address cannot be listened on.
    """
    if settings.listen is None:
        yield ""
        return
    files = [one.signing_secret_file for one in settings.channels.values() if isinstance(one, Slack)]
    secrets = tuple(file for file in files if file is not None)

    class Handler(_Handler):
        def answer_to(self, body: bytes) -> Answer | None:
            _check_any(secrets, dict(self.headers), body, clock())
            return answer(body, settings.page_url, reply_prefix)

    server = _Server((settings.listen.host, settings.listen.port), Handler)
    thread = threading.Thread(target=server.serve_forever, name="slack", daemon=True)
    thread.start()
    try:
        yield f"http://{settings.listen.host}:{server.server_address[1]}{PATH}"
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


class _Handler(BaseHTTPRequestHandler):
    """Takes one request; slow ones and large ones are cut off."""

    timeout = 10
    server_version, sys_version = "iirp", ""

    def answer_to(self, body: bytes) -> Answer | None:
        """Raises Refused."""
        raise NotImplementedError

    def do_POST(self) -> None:
        """Acknowledge at once, as Slack wants within three seconds, and answer then."""
        length = self.headers.get("Content-Length", "")
        if self.path != PATH or not _NUMBER.fullmatch(length) or int(length) > MAX_BODY_BYTES:
            self._end(404 if self.path != PATH else 413)
            return
        try:
            found = self.answer_to(self.rfile.read(int(length)))
        except Refused as why:
            logger.warning("refused a request to %s: %s", PATH, why)
            self._end(401)
            return
        self._end(200)
        if found is not None:
            _reply(found)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: anybody can send them."""

    def _end(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.flush()


def _check_any(files: tuple[Path, ...], headers: Mapping[str, str], body: bytes, now: float) -> None:
    """Several Slack apps may lead here; each signs with its own secret, read anew each time. Raises Refused."""
    why = Refused("no Slack channel has a signing secret")
    for file in files:
        try:
            check(file.read_text(encoding="utf-8").strip(), headers, body, now)
        except OSError as error:
            why = Refused(f"{file}: {error.strerror}")
        except Refused as refused:
            why = refused
        else:
            return
    raise why


def _reply(found: Answer) -> None:
    body = {"response_type": "ephemeral", "replace_original": False, "text": found.text}
    try:
        requests.post(found.url, json=body, timeout=_TIMEOUT, allow_redirects=False).raise_for_status()
    except requests.RequestException as error:
        logger.warning("Slack does not take the answer: %s", type(error).__name__)
