"""Slack's buttons end in a link: signed requests only, from Slack only, answered to Slack only."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from pydantic import ValidationError

from notifications.interactive import PATH, serving
from notifications.message import about
from notifications.settings import Settings
from notifications.words import slack
from tests.unit.notifications.support import Receiver, http, incident
from tests.unit.notifications.test_service import NOW

PAGE = "https://iirp.example.com"
Post = Callable[..., int]
AT = 1_700_000_000
VALUE = "shop/payments-leak-x7k2q/payments-leak-x7k2q-1"


def settings(tmp_path: Path, **changed: Any) -> Settings:
    (tmp_path / "secret").write_text("s3cret\n")
    channel = {"type": "slack", "url_file": tmp_path / "url", "signing_secret_file": tmp_path / "secret"}
    listen = {"host": "127.0.0.1", "port": 0}
    base = {"page_url": PAGE, "channels": {"team": channel}, "routes": [], "listen": listen}
    return Settings.model_validate({**base, **changed})


@pytest.fixture
def slack_() -> Iterator[Receiver]:
    with http() as receiver:
        yield receiver


def pressed(reply: str, action: str = "approve", value: str = VALUE) -> bytes:
    payload = {"type": "block_actions", "response_url": reply, "actions": [{"action_id": action, "value": value}]}
    return urlencode({"payload": json.dumps(payload)}).encode()


def signed(body: bytes, secret: str = "s3cret", at: int = AT) -> dict[str, str]:
    digest = hmac.new(secret.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": str(at), "X-Slack-Signature": f"v0={digest}"}


@pytest.fixture
def post(tmp_path: Path, slack_: Receiver) -> Post:
    """Sends one request; when it returns, the server has ended, and with it all that it had to answer."""

    def send(body: bytes, headers: dict[str, str], path: str = PATH) -> int:
        with serving(settings(tmp_path), clock=lambda: AT, reply_prefix=slack_.url) as address:
            return requests.post(address.replace(PATH, path), data=body, headers=headers, timeout=5).status_code

    return send


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_a_button_is_answered_with_a_link_to_whoever_pressed(post: Post, slack_: Receiver, verb: str) -> None:
    message = slack(about(incident(), PAGE, NOW)[-1], buttons=True)
    buttons = {one["action_id"]: one for one in message["blocks"][-1]["elements"]}
    body = pressed(slack_.url, verb, buttons[verb]["value"])
    assert post(body, signed(body)) == 200
    assert len(slack_.requests) == 1
    told = json.loads(slack_.requests[0][1])
    assert (told["response_type"], told["replace_original"]) == ("ephemeral", False)
    assert f"{PAGE}/incidents/shop/payments-leak-x7k2q/decide/payments-leak-x7k2q-1|" in told["text"]
    assert f"kubectl iirp {verb} payments-leak-x7k2q-1 -n shop" in told["text"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 401),
        ({"secret": "another"}, 401),
        ({"at": AT - 301}, 401),
        ({"at": AT + 301}, 401),
        ({"body": b"payload=other"}, 401),
    ],
)
def test_what_slack_did_not_sign_lately_is_refused(
    post: Post, slack_: Receiver, change: dict[str, Any], status: int
) -> None:
    body = pressed(slack_.url)
    headers = signed(change.pop("body", body), **change) if change else {}
    assert post(body, headers) == status
    assert slack_.requests == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"payload=%7B",
        pressed("http://169.254.169.254/latest", "approve"),
        pressed("", "approve"),
        pressed("REPLY", "delete"),
        pressed("REPLY", "approve", "shop/../x"),
        pressed("REPLY", "approve", "shop/a/b|<https://evil.example>"),
        pressed("REPLY", "approve", "shop"),
        urlencode({"payload": json.dumps({"type": "view_closed"})}).encode(),
    ],
)
def test_whatever_else_slack_signs_is_taken_and_answered_nowhere(post: Post, slack_: Receiver, body: bytes) -> None:
    body = body.replace(b"REPLY", slack_.url.encode())
    assert post(body, signed(body)) == 200
    assert slack_.requests == []


@pytest.mark.parametrize("stamp", ["9" * 5000, "-1", "1_7"])
def test_a_time_that_is_none_is_refused(post: Post, stamp: str) -> None:
    body = pressed("http://nowhere")
    assert post(body, signed(body) | {"X-Slack-Request-Timestamp": stamp}) == 401


def test_other_paths_and_large_bodies_are_refused(post: Post) -> None:
    assert post(b"x", {}, "/") == 404
    assert post(b"x" * 70_000, {}) == 413


def test_no_buttons_without_a_place_for_them_to_lead_to(tmp_path: Path) -> None:
    for missing in ({"listen": None}, {"page_url": ""}):
        with pytest.raises(ValidationError, match="signing_secret_file needs listen"):
            settings(tmp_path, **missing)
    elements = slack(about(incident(), PAGE, NOW)[-1])["blocks"][-1]["elements"]
    assert [one["action_id"] for one in elements] == ["open"]
