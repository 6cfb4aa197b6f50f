"""Sends one notification by one channel. Every call has a timeout; every failure says whether trying again helps."""

from __future__ import annotations

import hashlib
import hmac
import json
import smtplib
import ssl
import time
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from typing import Any, assert_never

import requests

from notifications.message import Event, Notification
from notifications.settings import Channel, Email, PagerDuty, Slack, Teams, Webhook
from notifications.words import mail, plain, slack, teams

__all__ = ["SendError", "send", "signature"]

_TIMEOUT = (5.0, 15.0)
_PAGERDUTY = {"low": "info", "medium": "warning", "high": "error", "critical": "critical"}
_ACTIONS = {Event.OPENED: "trigger", Event.DECISION: "trigger", Event.ESCALATED: "trigger", Event.ENDED: "resolve"}


class SendError(Exception):
    """It was not taken. ``final``: it never will be, as it is."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


def send(channel: Channel, notification: Notification, clock: Callable[[], float] = time.time) -> None:
    """Deliver, or raise SendError."""
    match channel:
        case Slack():
            content = slack(notification, channel.templates, buttons=channel.signing_secret_file is not None)
            _post(_secret(channel.url_file), json.dumps(content).encode(), {})
        case Teams():
            content = teams(notification, channel.templates)
            _post(_secret(channel.url_file), json.dumps(content).encode(), {})
        case Webhook():
            body = json.dumps({"version": 1, **notification.model_dump(mode="json")}, sort_keys=True).encode()
            _post(str(channel.url), body, signature(_secret(channel.secret_file), body, int(clock())) | {
                "Idempotency-Key": hashlib.sha256(notification.key.encode()).hexdigest(),
            })  # fmt: skip
        case PagerDuty():
            _post(
                str(channel.url), json.dumps(_pagerduty(notification, _secret(channel.routing_key_file))).encode(), {}
            )
        case Email():
            _mail(channel, notification)
        case _:
            assert_never(channel)


def signature(secret: str, body: bytes, at: int) -> dict[str, str]:
    """Headers by which a receiver knows who sent this and when.

    ``X-IIRP-Signature`` is ``v1=`` and the hex of HMAC-SHA256 over ``<timestamp>.<body>``. A receiver should compare in
    constant time and refuse timestamps older than five minutes.
    """
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return {"X-IIRP-Timestamp": str(at), "X-IIRP-Signature": f"v1={digest}"}


def _post(url: str, body: bytes, headers: dict[str, str]) -> None:
    given = {"Content-Type": "application/json", "User-Agent": "iirp", **headers}
    try:
        answer = requests.post(url, data=body, headers=given, timeout=_TIMEOUT, allow_redirects=False)
    except requests.RequestException as error:
        raise SendError(type(error).__name__) from error  # its text would hold the address, which may be a secret
    if 200 <= answer.status_code < 300:
        return
    retry = answer.status_code in {408, 425, 429} or answer.status_code >= 500
    raise SendError(f"answered {answer.status_code}", final=not retry)


def _pagerduty(notification: Notification, routing_key: str) -> dict[str, Any]:
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": _ACTIONS[notification.event],
        "dedup_key": notification.incident,
    }
    if event["event_action"] == "resolve":
        return event
    details = notification.model_dump(mode="json", include={"cause", "action", "state", "name", "type"})
    event["payload"] = {
        "summary": plain(notification.title),
        "source": f"{notification.namespace}/{notification.target}",
        "severity": _PAGERDUTY[notification.severity.value],
        "timestamp": notification.at,
        "component": notification.target,
        "group": notification.namespace,
        "class": notification.type,
        "custom_details": {key: plain(value) for key, value in details.items()},
    }
    event["links"] = [{"href": notification.url, "text": "Open in IIRP"}] if notification.url else []
    return event


def _mail(channel: Email, notification: Notification) -> None:
    subject, body = mail(notification, channel.templates)
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, channel.sender, ", ".join(channel.to)
    message["Date"] = formatdate()
    thread = f"<{hashlib.sha256(notification.incident.encode()).hexdigest()[:32]}@iirp>"
    message["Message-ID"] = f"<{hashlib.sha256(notification.key.encode()).hexdigest()[:32]}@iirp>"
    message["References"] = message["In-Reply-To"] = thread
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(body)
    try:
        with smtplib.SMTP(channel.host, channel.port, timeout=_TIMEOUT[1]) as server:
            if channel.starttls:
                server.starttls(context=ssl.create_default_context())
            if channel.username and channel.password_file is not None:
                server.login(channel.username, _secret(channel.password_file))
            server.send_message(message)
    except smtplib.SMTPResponseException as error:
        raise SendError(f"SMTP {error.smtp_code}", final=500 <= error.smtp_code < 600) from error
    except smtplib.SMTPRecipientsRefused as error:
        raise SendError("no recipient was accepted", final=True) from error
    except (OSError, smtplib.SMTPException) as error:
        raise SendError(type(error).__name__) from error


def _secret(path: Path) -> str:
    """Read anew each time: a rotated secret counts at once."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SendError(f"{path}: {error.strerror}") from error
