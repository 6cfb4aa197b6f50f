"""One pass: what there is to tell goes into the outbox, what is due goes out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from crds.v1alpha1.incident import Incident
from notifications.channels import SendError, send
from notifications.health import Health
from notifications.message import Event, Notification, about
from notifications.outbox import Delivery, Outbox
from notifications.routing import deliveries
from notifications.settings import Channel, Settings

__all__ = ["Notifier"]

logger = logging.getLogger(__name__)

Send = Callable[[Channel, Notification], None]


class Notifier:
    """Holds the outbox; everything else is given anew each time."""

    def __init__(self, settings: Settings, outbox: Outbox, send_by: Send = send, health: Health | None = None) -> None:
        self._settings = settings
        self._health = health or Health()
        self._outbox = outbox
        self._send = send_by

    def collect(self, incidents: Iterable[Incident], now: datetime) -> int:
        """Put what has not been told into the outbox; returns how many deliveries are new."""
        fresh = 0
        for incident in incidents:
            for notification in about(incident, self._settings.page_url, now):
                if notification.event is Event.ENDED and self._too_old(incident, now):
                    continue
                for channel, due in deliveries(notification, self._settings.routes, now).items():
                    fresh += self._outbox.put(notification, channel, due, now)
        return fresh

    def deliver(self, now: datetime) -> int:
        """Send what is due; returns how many arrived. One channel that is down does not hold up the others."""
        arrived, down = 0, set[str]()
        for delivery in self._outbox.due(now):
            if delivery.channel in down:
                continue  # stays due: its turn comes with the next pass
            try:
                self._send_one(delivery)
            except SendError as error:
                down |= set() if error.final else {delivery.channel}
                dead = self._outbox.failed(delivery, str(error), now, final=error.final)
                self._health.attempted(delivery.channel, "gave_up" if dead else "retried")
                logger.warning("channel %s: %s (%s)", delivery.channel, error, delivery.notification.key)
            else:
                self._outbox.sent(delivery, now)
                self._health.attempted(delivery.channel, "sent")
                arrived += 1
        return arrived

    def _send_one(self, delivery: Delivery) -> None:
        channels: Mapping[str, Channel] = self._settings.channels
        if delivery.channel not in channels:
            raise SendError("the channel is not configured any more", final=True)
        self._send(channels[delivery.channel], delivery.notification)

    def _too_old(self, incident: Incident, now: datetime) -> bool:
        ended = incident.status.resolved_at or incident.metadata.creation_timestamp
        return ended is not None and now - ended > timedelta(minutes=self._settings.max_age_minutes)
