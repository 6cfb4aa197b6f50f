"""What goes over the wire, to receivers over real sockets."""

from __future__ import annotations

import hashlib
import hmac
import json
from email import message_from_string
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from notifications.channels import SendError, send
from notifications.message import Notification, about, summary
from notifications.settings import Channel
from tests.unit.notifications.support import http, incident, smtp
from tests.unit.notifications.test_service import NOW

PAGE = "https://iirp.example.com"
LINK = f"{PAGE}/incidents/shop/payments-leak-x7k2q"


def channel(**fields: Any) -> Channel:
    """A channel from its configuration."""
    made: Channel = TypeAdapter(Channel).validate_python(fields)
    return made


def told(state: str = "AwaitingApproval", page: str = PAGE, **status: Any) -> Notification:
    """The newest thing to tell."""
    return about(incident(state, **status), page, NOW)[-1]


def secret(folder: Path, text: str) -> Path:
    """A secret's file."""
    file = folder / "secret"
    file.write_text(text + "\n")
    return file


def test_slack_shows_what_is_asked_and_links_to_the_page(tmp_path: Path) -> None:
    with http() as receiver:
        send(channel(type="slack", url_file=secret(tmp_path, receiver.url)), told(action="Restart deploy/payments"))
    ((_, body),) = receiver.requests
    content = json.loads(body)
    assert content["blocks"][0]["text"]["text"].startswith("✋ *Decision needed: Restart deploy/payments")
    (button,) = content["blocks"][-1]["elements"]
    assert button["url"] == LINK
    assert "value" not in button, "nothing to decide within Slack"


def test_slack_without_a_page_shows_the_command(tmp_path: Path) -> None:
    with http() as receiver:
        send(channel(type="slack", url_file=secret(tmp_path, receiver.url)), told(page=""))
    assert "kubectl iirp approve payments-leak-x7k2q-1 -n shop" in receiver.requests[0][1].decode()


def test_foreign_text_cannot_speak_slack_or_add_headers(tmp_path: Path) -> None:
    evil = "x <!channel> <https://evil|click> & \r\nBcc: all@x \x1b[31m"
    with http() as receiver:
        send(channel(type="slack", url_file=secret(tmp_path, receiver.url)), told(cause=evil))
    text = json.dumps(json.loads(receiver.requests[0][1]))
    assert "<!" not in text
    assert "<https" not in text
    with smtp() as (port, taken):
        mail = channel(type="email", host="127.0.0.1", port=port, starttls=False, sender="i@x", to=["o@x"])
        send(mail, told(cause=evil, action=evil))
    message = message_from_string(taken[0])
    assert message["Bcc"] is None
    assert "\x1b" not in str(make_header(decode_header(message["Subject"])))


def test_webhook_is_signed_and_repeatable(tmp_path: Path) -> None:
    with http() as receiver:
        hook = channel(type="webhook", url=receiver.url, secret_file=secret(tmp_path, "s3cret"))
        send(hook, told(), lambda: 1769868600.7)
        send(hook, told(), lambda: 1769868700.0)
    (headers, body), (again, second) = receiver.requests
    assert headers["X-IIRP-Timestamp"] == "1769868600"
    wanted = hmac.new(b"s3cret", b"1769868600." + body, hashlib.sha256).hexdigest()
    assert headers["X-IIRP-Signature"] == f"v1={wanted}"
    assert body == second
    assert headers["Idempotency-Key"] == again["Idempotency-Key"]
    assert headers["X-IIRP-Signature"] != again["X-IIRP-Signature"]
    assert json.loads(body)["approval"] == "payments-leak-x7k2q-1"


def test_pagerduty_opens_and_resolves_the_same_incident(tmp_path: Path) -> None:
    with http() as receiver:
        duty = channel(type="pagerduty", url=receiver.url, routing_key_file=secret(tmp_path, "key"))
        for state in ("Escalated", "Resolved"):
            send(duty, told(state))
    first, last = (json.loads(body) for _, body in receiver.requests)
    assert (first["event_action"], last["event_action"]) == ("trigger", "resolve")
    assert first["dedup_key"] == last["dedup_key"]
    assert first["payload"]["severity"] == "error"
    assert first["links"] == [{"href": LINK, "text": "Open in IIRP"}]
    assert "payload" not in last


def test_mail_is_a_thread_per_incident() -> None:
    with smtp() as (port, taken):
        mail = channel(type="email", host="127.0.0.1", port=port, starttls=False, sender="i@x", to=["a@x", "b@x"])
        send(mail, told())
        send(mail, told("Resolved"))
    first, last = (message_from_string(text) for text in taken)
    assert first["References"] == last["References"]
    assert first["Message-ID"] != last["Message-ID"]
    assert str(make_header(decode_header(first["Subject"]))).startswith("[high] Decision needed")
    assert LINK in first.get_payload(decode=True).decode()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("status", "final"), [(500, False), (503, False), (429, False), (404, True), (403, True), (302, True)]
)
def test_answers_say_whether_trying_again_helps(tmp_path: Path, status: int, *, final: bool) -> None:
    with http() as receiver:
        receiver.statuses = [status]
        with pytest.raises(SendError) as raised:
            send(channel(type="slack", url_file=secret(tmp_path, receiver.url)), told())
    assert raised.value.final is final


@pytest.mark.parametrize(("code", "final"), [(451, False), (550, True)])
def test_mail_refusals(code: int, *, final: bool) -> None:
    with smtp(refuse=code) as (port, _), pytest.raises(SendError) as raised:
        send(channel(type="email", host="127.0.0.1", port=port, starttls=False, sender="i@x", to=["a@x"]), told())
    assert raised.value.final is final


def test_errors_do_not_leak_the_secret_address(tmp_path: Path) -> None:
    with pytest.raises(SendError) as raised:
        send(channel(type="slack", url_file=secret(tmp_path, "http://127.0.0.1:9/T0/B0/token")), told())
    assert "token" not in str(raised.value)
    assert not raised.value.final
    with pytest.raises(SendError, match="No such file"):
        send(channel(type="slack", url_file=tmp_path / "gone"), told())


def test_teams_gets_a_card_that_links_to_the_page(tmp_path: Path) -> None:
    with http() as receiver:
        send(channel(type="teams", url_file=secret(tmp_path, receiver.url)), told(action="Restart deploy/payments"))
    ((_, body),) = receiver.requests
    message = json.loads(body)
    (attachment,) = message["attachments"]
    assert (message["type"], attachment["contentType"]) == ("message", "application/vnd.microsoft.card.adaptive")
    card = attachment["content"]
    assert card["body"][0]["inlines"][0]["text"].startswith("✋ Decision needed: Restart deploy/payments")
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Look and decide", "url": LINK}]


def test_a_card_has_no_markdown_that_foreign_text_could_speak(tmp_path: Path) -> None:
    with http() as receiver:
        evil = "[click](https://evil) **x** <at>everyone</at>"
        send(channel(type="teams", url_file=secret(tmp_path, receiver.url)), told(page="", cause=evil))
    card = json.loads(receiver.requests[0][1])["attachments"][0]["content"]
    kinds = {block["type"] for block in card["body"]} | {run["type"] for one in card["body"] for run in one["inlines"]}
    assert kinds == {"RichTextBlock", "TextRun"}, "Teams reads Markdown in text blocks and facts, not in text runs"
    assert "entities" not in card["msteams"], "mentions need them"
    text = "".join(run["text"] for one in card["body"] for run in one["inlines"])
    assert "kubectl iirp approve payments-leak-x7k2q-1 -n shop" in text


TEMPLATES = {
    "title": "{{ severity | upper }}: {{ type }} in {{ namespace }}",
    "body": "*Why:* {{ cause }}\n\n{% if event == 'decision' %}\n<https://wiki|Runbook>, {{ action }}\n{% endif %}",
}


def test_words_of_ones_own_replace_title_and_body_on_every_channel_for_people(tmp_path: Path) -> None:
    evil = "<https://evil|x> &\n<!channel>"
    with http() as receiver:
        for kind in ("slack", "teams"):
            hook = channel(type=kind, url_file=secret(tmp_path, receiver.url), templates=TEMPLATES)
            send(hook, told(cause=evil, action="Restart"))
    slack, teams = (json.loads(body) for _, body in receiver.requests)
    assert slack["blocks"][0]["text"]["text"] == "✋ *HIGH: MemoryLeak in shop*"
    assert slack["blocks"][1]["text"]["text"] == (
        "*Why:* &lt;https://evil|x&gt; &amp; &lt;!channel&gt;\n<https://wiki|Runbook>, Restart"
    )
    assert slack["blocks"][-1]["elements"][0]["url"] == LINK, "the way to decide stays"
    lines = [[run["text"] for run in block["inlines"]] for block in teams["attachments"][0]["content"]["body"]]
    assert lines == [
        ["✋ HIGH: MemoryLeak in shop"],
        ["*Why:* <https://evil|x> & <!channel>"],
        ["<https://wiki|Runbook>, Restart"],
    ]
    with smtp() as (port, taken):
        server = {"host": "127.0.0.1", "port": port, "starttls": False}
        mail = channel(type="email", **server, sender="i@x", to=["o@x"], templates=TEMPLATES)
        send(mail, told(cause=evil, action="Restart"))
    message = message_from_string(taken[0])
    assert str(make_header(decode_header(message["Subject"]))) == "[high] HIGH: MemoryLeak in shop"
    assert "*Why:* <https://evil|x> & <!channel>" in message.get_payload(decode=True).decode()  # type: ignore[union-attr]


def test_a_summary_has_a_line_for_each_and_a_link_to_the_list(tmp_path: Path) -> None:
    told_of = [told("Detected"), told("Resolved")]
    both = summary(told_of, PAGE, NOW)
    with http() as receiver:
        for kind in ("slack", "teams"):
            send(channel(type=kind, url_file=secret(tmp_path, receiver.url), templates=TEMPLATES), both)
    slack, teams = (json.loads(body) for _, body in receiver.requests)
    assert slack["blocks"][0]["text"]["text"] == "🔴 *2 incidents: 1 opened, 1 ended*"
    assert slack["blocks"][1]["text"]["text"].splitlines() == [f"high: {one.title}" for one in told_of]
    assert slack["blocks"][-1]["elements"][0]["url"] == PAGE
    assert len(teams["attachments"][0]["content"]["body"]) == 3


@pytest.mark.parametrize("template", ["{{ cause | safe }}", "{{ '%s' | format(cause) }}", "{{ cause ~ cause }}"])
def test_no_filter_leads_around_the_escaping(tmp_path: Path, template: str) -> None:
    with http() as receiver:
        hook = channel(type="slack", url_file=secret(tmp_path, receiver.url), templates={"body": template})
        send(hook, told(cause="<!channel>"))
    assert b"<!channel>" not in receiver.requests[0][1]


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ severty }}", "'severty' is undefined"),
        ("{{ severity", "line 1"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ range(9) }}", "'range' is undefined"),
        ("{% include 'secret' %}", "no loader"),
        ("{% if event == 'ended' %}{{ 1 / 0 }}{% endif %}", "event ended: division by zero"),
        ("{{ cause.split()[0] }}", "without cause"),
    ],
)
def test_a_template_with_a_mistake_is_refused_at_the_start(template: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        channel(type="slack", url_file="/x", templates={"title": template})


def test_a_template_that_fails_later_costs_no_message(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    wording = {"body": "{{ 1 // (state | length - 8) }}"}  # the sample of the check is Diagnosed
    with http() as receiver:
        hook = channel(type="slack", url_file=secret(tmp_path, receiver.url), templates=wording)
        send(hook, told("AwaitingApproval"))
        send(hook, told("Detected"))
    first, second = (json.loads(body)["blocks"][1] for _, body in receiver.requests)
    assert first["text"]["text"] == "0"
    assert "fields" in second
    assert "the usual words are sent" in caplog.text
