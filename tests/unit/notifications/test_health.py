"""What the notifier tells of itself: numbers that an alert can rest on, and whether it gets on."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from notifications.channels import SendError
from notifications.health import MAX_PASS_SECONDS, Health
from notifications.outbox import Outbox
from notifications.service import Notifier
from tests.unit.notifications.support import incident
from tests.unit.notifications.test_service import NOW, Sender, settings


def get(health: Health, path: str) -> requests.Response:
    """One request to a server of its own."""
    with health.serving(0, "127.0.0.1") as port:
        return requests.get(f"http://127.0.0.1:{port}{path}", timeout=5)


def test_it_is_well_while_passes_end() -> None:
    now = [1000.0]
    health = Health(clock=lambda: now[0])
    assert get(health, "/healthz").status_code == 200
    now[0] += MAX_PASS_SECONDS
    assert get(health, "/healthz").status_code == 503
    health.passed({})
    assert get(health, "/healthz").status_code == 200
    assert get(health, "/").status_code == 404


def test_nothing_listens_where_no_port_is_given() -> None:
    with Health().serving(None) as port:
        assert port == 0


@pytest.mark.parametrize(
    ("error", "outcome", "state"),
    [
        (None, "sent", "sent"),
        (SendError("answered 503"), "retried", "pending"),
        (SendError("answered 404", final=True), "gave_up", "dead"),
    ],
)
def test_every_attempt_is_counted(tmp_path: Path, error: SendError | None, outcome: str, state: str) -> None:
    health = Health(["team", "oncall"])
    sender = Sender()
    sender.error = error
    outbox = Outbox(tmp_path / "outbox.db")
    notifier = Notifier(settings(), outbox, sender, health)
    notifier.collect([incident("Detected")], NOW)
    notifier.deliver(NOW)
    health.looked(answered=True)
    health.passed(outbox.counts())
    outbox.close()
    told = get(health, "/metrics").text.splitlines()
    assert f'iirp_notifications_attempts_total{{channel="team",outcome="{outcome}"}} 1.0' in told
    assert f'iirp_notifications_attempts_total{{channel="oncall",outcome="{outcome}"}} 0.0' in told, "from the start"
    assert f'iirp_notifications_deliveries{{state="{state}"}} 1.0' in told
    assert "iirp_notifications_source_up 1.0" in told
