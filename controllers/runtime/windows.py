"""Recurring time windows by the clock of a time zone. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from crds.v1alpha1.actionpolicy import TimeWindow, Weekday

DAYS = tuple(Weekday)


def within(window: TimeWindow, now: datetime) -> bool:
    """Whether ``now`` lies in the window: from its first minute to before ``to``, on the day on which it began.

    Raises:
        ValueError: there is no such time zone; validity has refused it before.
    """
    local = now.astimezone(zone(window.time_zone))
    clock = f"{local:%H:%M}"
    if window.start < window.to:
        return window.start <= clock < window.to and _on(window, local)
    # Ends on the next day, or lasts a whole one.
    began_today = clock >= window.start and _on(window, local)
    return began_today or (clock < window.to and _on(window, local - timedelta(days=1)))


def zone(name: str) -> ZoneInfo:
    """The time zone of that IANA name.

    Raises:
        ValueError: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not a time zone such as Europe/Berlin") from error


def describe(window: TimeWindow) -> str:
    """``Mon,Tue 08:00-18:00 Europe/Berlin``."""
    days = ",".join(day.value for day in window.days) or "daily"
    return f"{days} {window.start}-{window.to} {window.time_zone}"


def _on(window: TimeWindow, local: datetime) -> bool:
    return not window.days or DAYS[local.weekday()] in window.days
