"""From incidents to messages: told once, to whom it concerns, when they want it, whatever restarts or is away."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crds.v1alpha1.incident import Incident
from notifications.channels import SendError
from notifications.message import Event, Notification, about
from notifications.outbox import MAX_ATTEMPTS, Outbox
from notifications.routing import deliveries
from notifications.service import Notifier
from notifications.settings import Channel, Route, Settings, SettingsError, load
from tests.unit.notifications.support import incident

NOW = datetime(2026, 1, 31, 14, 10, tzinfo=UTC)


class Sender:
    """Remembers what was sent; raises what it is told to."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.told: list[Notification] = []
        self.error: SendError | None = None

    def __call__(self, channel: Channel, notification: Notification) -> None:
        if self.error is not None and channel.type == "slack":
            raise self.error
        self.sent.append(f"{channel.type} {notification.event.value}")
        self.told.append(notification)


def settings(**changed: Any) -> Settings:
    """Slack for everything, mail for what needs a person."""
    return Settings.model_validate({
        "page_url": "https://iirp.example.com",
        "channels": {
            "team": {"type": "slack", "url_file": "/x"},
            "oncall": {"type": "email", "host": "h", "sender": "s@x", "to": ["t@x"]},
        },
        "routes": [{"channels": ["team"]}, {"channels": ["oncall"], "events": ["decision", "escalated"]}],
        **changed,
    })  # fmt: skip


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    made = Outbox(tmp_path / "outbox.db")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("state", "events"),
    [
        ("Detected", ["opened"]),
        ("Remediating", ["opened"]),
        ("AwaitingApproval", ["opened", "decision"]),
        ("Escalated", ["opened", "escalated"]),
        ("Resolved", ["ended"]),
        ("Recovered", ["ended"]),
        ("Closed", ["ended"]),
    ],
)
def test_what_each_state_tells(state: str, events: list[str]) -> None:
    assert [item.event.value for item in about(incident(state), "", NOW)] == events


def test_a_new_plan_asks_again_and_a_reopening_tells_anew() -> None:
    first = {item.key for item in about(incident(), "", NOW)}
    second = {item.key for item in about(incident(approvalRef={"name": "other-2", "uid": "b"}), "", NOW)}
    assert len(second - first) == 1
    assert not first & {item.key for item in about(incident(reopened=1), "", NOW)}


def test_links_lead_to_the_incident() -> None:
    assert about(incident(), "https://iirp.example.com/", NOW)[0].url == (
        "https://iirp.example.com/incidents/shop/payments-leak-x7k2q"
    )


def test_told_once_over_restarts(tmp_path: Path) -> None:
    sender = Sender()
    for _ in range(3):  # a new process each time
        outbox = Outbox(tmp_path / "outbox.db")
        notifier = Notifier(settings(), outbox, sender)
        notifier.collect([incident()], NOW)
        notifier.deliver(NOW)
        outbox.close()
    assert sender.sent == ["slack opened", "slack decision", "email decision"]


def test_what_was_collected_before_a_crash_is_sent_after(tmp_path: Path) -> None:
    first = Outbox(tmp_path / "outbox.db")
    assert Notifier(settings(), first, Sender()).collect([incident("Escalated")], NOW) == 3
    del first  # no close: killed
    sender = Sender()
    assert Notifier(settings(), Outbox(tmp_path / "outbox.db"), sender).deliver(NOW) == 3
    assert "email escalated" in sender.sent


def test_a_channel_that_is_away_is_tried_later_and_holds_up_nobody(outbox: Outbox) -> None:
    sender = Sender()
    sender.error = SendError("answered 503")
    notifier = Notifier(settings(), outbox, sender)
    notifier.collect([incident()], NOW)
    assert notifier.deliver(NOW) == 1
    assert sender.sent == ["email decision"]
    assert notifier.deliver(NOW + timedelta(seconds=5)) == 0, "not before its backoff"
    sender.error = None
    assert notifier.deliver(NOW + timedelta(seconds=11)) == 2
    assert sender.sent[1:] == ["slack opened", "slack decision"], "in order"
    assert outbox.counts() == {"sent": 3}


def storm(size: int) -> list[Incident]:
    """As many incidents that have just opened, and one of them asks for a decision."""
    found = [incident("AwaitingApproval" if number == 3 else "Detected") for number in range(size)]
    return [
        one.model_copy(update={"metadata": one.metadata.model_copy(update={"uid": f"u{number}"})})
        for number, one in enumerate(found)
    ]


def test_a_storm_is_one_message_and_what_needs_a_person_comes_alone(outbox: Outbox) -> None:
    sender = Sender()
    notifier = Notifier(settings(summarize_above=5), outbox, sender)
    notifier.collect(storm(30), NOW)
    assert notifier.deliver(NOW) == 32
    assert sender.sent == ["slack opened", "slack decision", "email decision"]
    bundled = sender.told[0]
    assert bundled.title == "30 incidents: 30 opened"
    assert bundled.lines[-1] == "and 10 more"
    assert bundled.url == "https://iirp.example.com"
    assert outbox.counts() == {"sent": 32}


def test_a_summary_that_does_not_arrive_is_tried_again_whole(outbox: Outbox) -> None:
    sender = Sender()
    sender.error = SendError("answered 503")
    notifier = Notifier(settings(), outbox, sender)
    notifier.collect(storm(9), NOW)
    notifier.deliver(NOW)
    sender.error = None
    assert notifier.deliver(NOW + timedelta(seconds=11)) == 10
    assert sender.told[-2].title == "9 incidents: 9 opened"


def test_machines_are_told_each_by_each(outbox: Outbox) -> None:
    sender = Sender()
    hook = {"type": "pagerduty", "routing_key_file": "/x"}
    config = settings(channels={"duty": hook}, routes=[{"channels": ["duty"], "events": ["opened"]}])
    notifier = Notifier(config, outbox, sender)
    notifier.collect(storm(9), NOW)
    assert notifier.deliver(NOW) == 9
    assert sender.sent == ["pagerduty opened"] * 9


def test_it_gives_up_visibly(outbox: Outbox) -> None:
    sender, now = Sender(), NOW
    sender.error = SendError("answered 500")
    notifier = Notifier(settings(), outbox, sender)
    notifier.collect([incident("Detected")], now)
    for _ in range(MAX_ATTEMPTS + 5):
        notifier.deliver(now)
        now += timedelta(hours=2)
    assert outbox.counts() == {"dead": 1}


def test_what_will_never_be_taken_is_not_tried_again(outbox: Outbox) -> None:
    sender = Sender()
    sender.error = SendError("answered 404", final=True)
    notifier = Notifier(settings(), outbox, sender)
    notifier.collect([incident()], NOW)
    notifier.deliver(NOW)
    assert outbox.counts() == {"dead": 2, "sent": 1}


def test_old_endings_are_not_told_at_the_first_start(outbox: Outbox) -> None:
    notifier = Notifier(settings(), outbox, Sender())
    old, fresh = (
        incident("Resolved", resolvedAt="2026-01-31T13:00:00Z"),
        incident("Resolved", resolvedAt="2026-01-31T14:00:00Z"),
    )
    assert notifier.collect([old], NOW) == 0
    assert notifier.collect([fresh], NOW) == 1


def test_the_outbox_forgets_what_ended_long_ago(outbox: Outbox) -> None:
    notifier = Notifier(settings(), outbox, Sender())
    notifier.collect([incident()], NOW)
    notifier.deliver(NOW)
    assert outbox.prune(NOW + timedelta(days=29)) == 0
    assert outbox.prune(NOW + timedelta(days=31)) == 3


QUIET = {"start": "22:00", "end": "07:00", "timezone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("route", "severity", "at", "due"),
    [
        ({}, "high", "2026-01-31T14:00:00Z", "2026-01-31T14:00:00Z"),
        ({"namespaces": ["sh*"]}, "high", "2026-01-31T14:00:00Z", "2026-01-31T14:00:00Z"),
        ({"namespaces": ["pay"]}, "high", "2026-01-31T14:00:00Z", None),
        ({"severities": ["critical"]}, "high", "2026-01-31T14:00:00Z", None),
        ({"events": ["ended"]}, "high", "2026-01-31T14:00:00Z", None),
        ({"quiet_hours": QUIET}, "high", "2026-01-31T22:30:00Z", "2026-02-01T06:00:00Z"),
        ({"quiet_hours": QUIET}, "high", "2026-01-31T04:00:00Z", "2026-01-31T06:00:00Z"),
        ({"quiet_hours": QUIET}, "high", "2026-01-31T06:00:00Z", "2026-01-31T06:00:00Z"),
        ({"quiet_hours": QUIET}, "critical", "2026-01-31T22:30:00Z", "2026-01-31T22:30:00Z"),
        ({"quiet_hours": {"start": "12:00", "end": "13:00"}}, "low", "2026-01-31T12:30:00Z", "2026-01-31T13:00:00Z"),
    ],
)
def test_routes_and_quiet_hours(route: dict[str, Any], severity: str, at: str, due: str | None) -> None:
    now = datetime.fromisoformat(at)
    told = about(incident("Escalated", severity=severity), "", now)[-1]
    assert told.event is Event.ESCALATED
    found = deliveries(told, [Route.model_validate({"channels": ["x"], **route})], now)
    assert found == ({} if due is None else {"x": datetime.fromisoformat(due)})


def test_a_loud_route_beats_a_quiet_one() -> None:
    now = datetime.fromisoformat("2026-01-31T22:30:00Z")
    routes = [
        Route.model_validate({"channels": ["x"], "quiet_hours": QUIET}),
        Route.model_validate({"channels": ["x"]}),
    ]
    assert deliveries(about(incident(), "", now)[0], routes, now) == {"x": now}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("channels: {}\nroutes: [{channels: [x]}]", "not there: x"),
        ("channels: {x: {type: pigeon}}\nroutes: []", "pigeon"),
        ("channels: {}\nroutes: []\nextra: 1", "extra"),
        ("channels: [", "expected"),
        ("channels: {}\nroutes: [{channels: [x], quiet_hours: {start: '1:00', end: '2:00', timezone: Mars}}]", "Mars"),
    ],
)
def test_a_wrong_file_is_refused_with_the_reason(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=says):
        load(file)


def test_a_wrong_file_is_one_line_that_shows_no_value(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("channels: {x: {type: slack, url_file: /x, url: https://hooks.slack.com/hush}}\nroutes: []")
    with pytest.raises(SettingsError) as caught:
        load(file)
    assert str(caught.value) == f"{file}: channels.x.slack.url: Extra inputs are not permitted"


def test_the_example_is_valid() -> None:
    assert load(Path(__file__).parents[3] / "notifications" / "example.yaml").routes


def test_incidents_are_not_changed_by_reading(outbox: Outbox) -> None:
    one = incident()
    Notifier(settings(), outbox, Sender()).collect([one], NOW)
    assert one == Incident.from_wire(one.model_dump(mode="json", by_alias=True))
