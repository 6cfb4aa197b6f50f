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
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

import requests

from notifications.server import Handler, listening
from notifications.settings import Settings, Slack

__all__ = ["ACTIONS", "Answer", "Refused", "answer", "check", "serving"]

ACTIONS = ("approve", "reject")
PATH = "/slack/actions"
MAX_BODY_BYTES = 64 * 1024
MAX_AGE_SECONDS = 300
REPLY_PREFIX = "https://hooks.slack.com/"
"""Where an answer may go, whatever the request says."""
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

    class Buttons(_Handler):
        def answer_to(self, body: bytes) -> Answer | None:
            _check_any(secrets, dict(self.headers), body, clock())
            return answer(body, settings.page_url, reply_prefix)

    with listening(settings.listen.host, settings.listen.port, Buttons) as port:
        yield f"http://{settings.listen.host}:{port}{PATH}"


class _Handler(Handler):
    """Takes one request; large ones are cut off."""

    def answer_to(self, body: bytes) -> Answer | None:
        """Raises Refused."""
        raise NotImplementedError

    def do_POST(self) -> None:  # noqa: N802  the name is the standard library's
        """Acknowledge at once, as Slack wants within three seconds, and answer then."""
        length = self.headers.get("Content-Length", "")
        if self.path != PATH or not _NUMBER.fullmatch(length) or int(length) > MAX_BODY_BYTES:
            self.end(404 if self.path != PATH else 413)
            return
        try:
            found = self.answer_to(self.rfile.read(int(length)))
        except Refused as why:
            logger.warning("refused a request to %s: %s", PATH, why)
            self.end(401)
            return
        self.end(200)
        if found is not None:
            _reply(found)


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
