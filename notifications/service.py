"""One pass: what there is to tell goes into the outbox, what is due goes out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from crds.v1alpha1.incident import Incident
from notifications.channels import SendError, send
from notifications.health import Health
from notifications.message import Event, Notification, about, summary
from notifications.outbox import Delivery, Outbox
from notifications.routing import deliveries
from notifications.settings import Channel, Email, Settings, Slack, Teams

__all__ = ["Notifier"]

logger = logging.getLogger(__name__)

_NEWS = (Event.OPENED, Event.ENDED)
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
        for batch in self._batches(self._outbox.due(now)):
            name = batch[0].channel
            if name in down:
                continue  # stays due: its turn comes with the next pass
            try:
                self._send_one(name, [delivery.notification for delivery in batch], now)
            except SendError as error:
                down |= set() if error.final else {name}
                dead = [self._outbox.failed(delivery, str(error), now, final=error.final) for delivery in batch]
                self._health.attempted(name, "gave_up" if all(dead) else "retried")
                logger.warning("channel %s: %s (%s)", name, error, batch[0].notification.key)
            else:
                for delivery in batch:
                    self._outbox.sent(delivery, now)
                self._health.attempted(name, "sent")
                arrived += len(batch)
        return arrived

    def _batches(self, due: Sequence[Delivery]) -> list[list[Delivery]]:
        """What goes out as one message: a storm's openings and endings. What needs a person always comes alone."""
        news: dict[str, list[Delivery]] = {}
        for delivery in due:
            for_people = isinstance(self._settings.channels.get(delivery.channel), Slack | Teams | Email)
            if for_people and delivery.notification.event in _NEWS:
                news.setdefault(delivery.channel, []).append(delivery)
        many = {name: found for name, found in news.items() if len(found) > self._settings.summarize_above}
        alone = [[one] for one in due if one not in many.get(one.channel, ())]
        return sorted([*many.values(), *alone], key=lambda batch: batch[0].id)

    def _send_one(self, name: str, told: Sequence[Notification], now: datetime) -> None:
        channels: Mapping[str, Channel] = self._settings.channels
        if name not in channels:
            raise SendError("the channel is not configured any more", final=True)
        self._send(channels[name], told[0] if len(told) == 1 else summary(told, self._settings.page_url, now))

    def _too_old(self, incident: Incident, now: datetime) -> bool:
        ended = incident.status.resolved_at or incident.metadata.creation_timestamp
        return ended is not None and now - ended > timedelta(minutes=self._settings.max_age_minutes)
