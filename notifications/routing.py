"""Which channel hears of what, and when. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from notifications.message import Notification
from notifications.settings import QuietHours, Route

__all__ = ["deliveries"]


def deliveries(notification: Notification, routes: Sequence[Route], now: datetime) -> dict[str, datetime]:
    """Channels, and the moment before which each is left in peace.

    Where several routes lead to a channel, the earliest moment counts.
    """
    found: dict[str, datetime] = {}
    for route in routes:
        if not _matches(notification, route):
            continue
        moment = _not_before(notification, route.quiet_hours, now)
        for channel in route.channels:
            found[channel] = min(found.get(channel, moment), moment)
    return found


def _matches(notification: Notification, route: Route) -> bool:
    return (
        (not route.namespaces or any(fnmatchcase(notification.namespace, glob) for glob in route.namespaces))
        and (not route.severities or notification.severity in route.severities)
        and (not route.events or notification.event in route.events)
    )


def _not_before(notification: Notification, quiet: QuietHours | None, now: datetime) -> datetime:
    if quiet is None or notification.severity in quiet.unless or quiet.start == quiet.end:
        return now
    local = now.astimezone(ZoneInfo(quiet.timezone))
    clock = local.time()
    over_midnight = quiet.start > quiet.end
    after, before = clock >= quiet.start, clock < quiet.end
    silent = (after or before) if over_midnight else (after and before)
    if not silent:
        return now
    end = datetime.combine(local.date(), quiet.end, local.tzinfo)
    if end <= local:
        end = datetime.combine(local.date() + timedelta(days=1), quiet.end, local.tzinfo)
    return end.astimezone(now.tzinfo)
