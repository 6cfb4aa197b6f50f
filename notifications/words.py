"""The words of a notification, per medium. Everything of an incident is foreign text and is escaped for its place."""

from __future__ import annotations

from typing import Any

from notifications.message import Event, Notification

__all__ = ["mail", "plain", "slack"]

_LABELS = (("Severity", "severity"), ("Target", "target"), ("Cause", "cause"), ("Action", "action"), ("State", "state"))
_SYMBOLS = {Event.OPENED: "🔴", Event.DECISION: "✋", Event.ESCALATED: "⛔", Event.ENDED: "✅"}
_MAX_LINE = 400


def plain(text: object) -> str:
    """One line without control characters, of bounded length."""
    line = "".join(char if char.isprintable() else " " for char in str(text)).strip()
    return line if len(line) <= _MAX_LINE else line[: _MAX_LINE - 1] + "…"


def mail(notification: Notification) -> tuple[str, str]:
    """Subject and body."""
    lines = [f"{label + ':':<10}{value}" for label, value in _fields(notification)]
    lines += ["", *_how(notification)]
    return f"[{notification.severity.value}] {plain(notification.title)}", "\n".join(lines) + "\n"


def slack(notification: Notification, *, buttons: bool = False) -> dict[str, Any]:
    """Block Kit. All ends in a link: who decides does it on the page, as themselves; no bot approves for anybody.

    ``buttons``: Approve and Reject too, which :mod:`notifications.interactive` answers with that link.
    """
    head = f"{_SYMBOLS[notification.event]} *{_mrkdwn(notification.title)}*"
    fields = [{"type": "mrkdwn", "text": f"*{label}*\n{_mrkdwn(value)}"} for label, value in _fields(notification)]
    blocks: list[dict[str, Any]] = [
        {"type": "section", "text": {"type": "mrkdwn", "text": head}},
        {"type": "section", "fields": fields[:10]},
    ]
    if notification.url:
        label = "Look and decide" if notification.event is Event.DECISION else "Open"
        button = {"type": "button", "text": {"type": "plain_text", "text": label}, "url": notification.url}
        asked = _buttons(notification) if buttons and notification.event is Event.DECISION else []
        blocks.append({"type": "actions", "elements": [button | {"action_id": "open"}, *asked]})
    elif notification.event is Event.DECISION:
        commands = "\n".join(_mrkdwn(line) for line in _how(notification))
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": f"```{commands}```"}})
    return {"text": f"{notification.severity.value}: {_mrkdwn(notification.title)}", "blocks": blocks}


def _buttons(notification: Notification) -> list[dict[str, Any]]:
    value = f"{notification.namespace}/{notification.name}/{notification.approval}"
    return [
        {"type": "button", "action_id": verb, "value": value, "style": style}
        | {"text": {"type": "plain_text", "text": f"{verb.title()}…"}}
        for verb, style in (("approve", "primary"), ("reject", "danger"))
    ]


def _fields(notification: Notification) -> list[tuple[str, str]]:
    values = [(label, plain(getattr(notification, name))) for label, name in _LABELS]
    return [(label, value) for label, value in values if value]


def _how(notification: Notification) -> list[str]:
    lines = [notification.url] if notification.url else []
    if notification.event is Event.DECISION:
        lines.append(f"kubectl iirp approve {notification.approval} -n {notification.namespace}")
        lines.append(f"kubectl iirp reject {notification.approval} -n {notification.namespace} --reason WHY")
    return lines


def _mrkdwn(text: str) -> str:
    """Slack's three control characters; with them gone no mention, link or channel can be forged."""
    return plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
