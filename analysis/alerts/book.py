"""The alerts that fire: one per fingerprint, bounded, expired when nobody says any more that they do."""

from __future__ import annotations

import json
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from analysis.alerts.payload import Alert, Notification


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one notification."""

    firing: int
    resolved: int
    evicted: int


class AlertBook:
    """Thread-safe. With a file it survives a restart, so that an alert which Alertmanager repeats every few hours does
    not seem to be over meanwhile.
    """

    def __init__(self, limit: int, expire_after: float, file: Path | None = None) -> None:
        self._limit = limit
        self._expire_after = expire_after
        self._file = file
        self._lock = threading.Lock()
        self._alerts: OrderedDict[tuple[str, str], tuple[Alert, float]] = OrderedDict()
        self._read()

    def take(self, notification: Notification, cluster: str, now: datetime) -> Taken:
        """Note what fires and what is over; the oldest alerts give way when there are too many.

        Raises:
            OSError: the file cannot be written; what was taken is kept in memory.
        """
        firing = resolved = 0
        with self._lock:
            for alert in notification.alerts:
                key = (cluster, alert.key)
                self._alerts.pop(key, None)
                if alert.ended(now):
                    resolved += 1
                else:
                    firing += 1
                    self._alerts[key] = (alert, now.timestamp())
            evicted = max(0, len(self._alerts) - self._limit)
            for _ in range(evicted):
                self._alerts.popitem(last=False)
            self._expire(now)
            self._write()
        return Taken(firing, resolved, evicted)

    def firing(self, cluster: str, now: datetime) -> list[Alert]:
        """Alerts of one cluster, and those whose sender named none, by their start."""
        with self._lock:
            self._expire(now)
            found = [alert for (of, _), (alert, _) in self._alerts.items() if of in ("", cluster)]
        alive = [alert for alert in found if not alert.ended(now)]
        return sorted(alive, key=lambda alert: (alert.starts_at, alert.key))

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._alerts)

    def _expire(self, now: datetime) -> None:
        oldest = now.timestamp() - self._expire_after
        for key in [key for key, (_, at) in self._alerts.items() if at < oldest]:
            del self._alerts[key]

    def _write(self) -> None:
        if self._file is None:
            return
        rows = [
            {"cluster": cluster, "at": at, "alert": alert.model_dump(mode="json", by_alias=True)}
            for (cluster, _), (alert, at) in self._alerts.items()
        ]
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self._file.with_suffix(".new")
        temporary.write_text(json.dumps(rows), encoding="utf-8")
        os.replace(temporary, self._file)

    def _read(self) -> None:
        if self._file is None or not self._file.exists():
            return
        try:
            for row in json.loads(self._file.read_text(encoding="utf-8")):
                alert = Alert.model_validate(row["alert"])
                self._alerts[str(row["cluster"]), alert.key] = (alert, float(row["at"]))
        except (OSError, ValueError, KeyError, TypeError, ValidationError):
            self._alerts.clear()  # a cache: Alertmanager says it all again
