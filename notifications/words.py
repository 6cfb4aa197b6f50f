"""The words of a notification, per medium. Everything of an incident is foreign text and is escaped for its place."""

from __future__ import annotations

from typing import Any

from notifications.message import Event, Notification
from notifications.wording import Wording

__all__ = ["mail", "plain", "slack", "teams"]

_LABELS = (("Severity", "severity"), ("Target", "target"), ("Cause", "cause"), ("Action", "action"), ("State", "state"))
_SYMBOLS = {Event.OPENED: "🔴", Event.DECISION: "✋", Event.ESCALATED: "⛔", Event.ENDED: "✅"}
_COLORS = {
    Event.OPENED: "Attention", Event.DECISION: "Warning", Event.ESCALATED: "Attention", Event.ENDED: "Good",
}  # fmt: skip
_MAX_LINE = 400
_USUAL = Wording()


def plain(text: object) -> str:
    """One line without control characters, of bounded length."""
    line = "".join(char if char.isprintable() else " " for char in str(text)).strip()
    return line if len(line) <= _MAX_LINE else line[: _MAX_LINE - 1] + "…"


def mail(notification: Notification, wording: Wording = _USUAL) -> tuple[str, str]:
    """Subject and body, plain text."""
    usual = [f"{label + ':':<10}{value}" for label, value in _fields(notification)]
    lines = [*(wording.body_of(notification, plain) or usual), "", *_how(notification)]
    subject = plain(wording.title_of(notification, plain))
    return f"[{notification.severity.value}] {subject}", "\n".join(lines) + "\n"


def teams(notification: Notification, wording: Wording = _USUAL) -> dict[str, Any]:
    """A message with one Adaptive Card, as Teams' Workflows take it.

    Text runs, not text blocks: Teams reads no Markdown in them, and mentions are none without entities.
    """
    title = f"{_SYMBOLS[notification.event]} {wording.title_of(notification, plain)}"
    look = {"size": "Medium", "weight": "Bolder", "color": _COLORS[notification.event]}
    rows = [[_run(line)] for line in wording.body_of(notification, plain)] or [
        [_run(f"{label}: ", weight="Bolder"), _run(value)] for label, value in _fields(notification)
    ]
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": [_rich([_run(title, **look)]), *(_rich(row) for row in rows)],
    }
    if notification.url:
        card["actions"] = [{"type": "Action.OpenUrl", "title": _look(notification), "url": notification.url}]
    else:
        card["body"] += [_rich([_run(line, fontType="Monospace")]) for line in _how(notification)]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def slack(notification: Notification, wording: Wording = _USUAL, *, buttons: bool = False) -> dict[str, Any]:
    """Block Kit. All ends in a link: who decides does it on the page, as themselves; no bot approves for anybody.

    ``buttons``: Approve and Reject too, which :mod:`notifications.interactive` answers with that link.
    """
    title = wording.title_of(notification, _mrkdwn)
    blocks: list[dict[str, Any]] = [_section(f"{_SYMBOLS[notification.event]} *{title}*")]
    if lines := wording.body_of(notification, _mrkdwn):
        blocks.append(_section("\n".join(lines)))
    else:
        fields = [{"type": "mrkdwn", "text": f"*{label}*\n{_mrkdwn(value)}"} for label, value in _fields(notification)]
        blocks.append({"type": "section", "fields": fields[:10]})
    if notification.url:
        label = {"type": "plain_text", "text": _look(notification)}
        button = {"type": "button", "text": label, "url": notification.url}
        asked = _buttons(notification) if buttons and notification.event is Event.DECISION else []
        blocks.append({"type": "actions", "elements": [button | {"action_id": "open"}, *asked]})
    elif notification.event is Event.DECISION:
        commands = "\n".join(_mrkdwn(line) for line in _how(notification))
        blocks.append(_section(f"```{commands}```"))
    return {"text": f"{notification.severity.value}: {title}", "blocks": blocks}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _rich(inlines: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": inlines}


def _run(text: str, **look: str) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **look}


def _look(notification: Notification) -> str:
    return "Look and decide" if notification.event is Event.DECISION else "Open"


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


def _mrkdwn(text: object) -> str:
    """Slack's three control characters; with them gone no mention, link or channel can be forged."""
    return plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
