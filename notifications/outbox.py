"""What is to be sent, in SQLite: survives restarts, tells everything once, retries with backoff to a limit.

A delivery that was sent but not yet marked when the process died is sent again: at least once, with the same key, which
receivers can tell by (``Idempotency-Key``, PagerDuty's ``dedup_key``, the mail's Message-ID).
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from notifications.message import Notification

__all__ = ["MAX_ATTEMPTS", "Delivery", "Outbox"]

MAX_ATTEMPTS = 20
"""With the backoff below, a receiver may be away for about fourteen hours."""
_BACKOFF = timedelta(seconds=10)
_BACKOFF_LIMIT = timedelta(hours=1)
_KEPT = timedelta(days=30)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    channel TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'dead')),
    due REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    changed REAL NOT NULL,
    UNIQUE (key, channel)
);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (state, due);
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One notification for one channel."""

    id: int
    channel: str
    notification: Notification
    attempts: int


class Outbox:
    """One writer; the file may be looked at meanwhile."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def put(self, notification: Notification, channel: str, due: datetime, now: datetime) -> bool:
        """Keep it for sending; False when this has been told, or is about to be, on that channel."""
        done = self._db.execute(
            "INSERT INTO deliveries (key, channel, body, due, changed) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (notification.key, channel, notification.model_dump_json(), due.timestamp(), now.timestamp()),
        )
        return done.rowcount == 1

    def due(self, now: datetime, limit: int = 50) -> list[Delivery]:
        """What is to be sent now, oldest first; at most ``limit`` per channel, so that none crowds out the others."""
        rows = self._db.execute(
            "SELECT id, channel, body, attempts FROM ("
            " SELECT *, row_number() OVER (PARTITION BY channel ORDER BY id) AS place FROM deliveries"
            " WHERE state = 'pending' AND due <= ?) WHERE place <= ? ORDER BY id",
            (now.timestamp(), limit),
        )
        return [Delivery(row[0], row[1], Notification.model_validate_json(row[2]), row[3]) for row in rows]

    def sent(self, delivery: Delivery, now: datetime) -> None:
        """It has arrived."""
        self._set(delivery, "sent", now, now, "")

    def failed(self, delivery: Delivery, error: str, now: datetime, *, final: bool) -> bool:
        """Try again later, twice as late each time; ``final`` or too many attempts end it as ``dead``: True."""
        wait = min(_BACKOFF * 2 ** min(delivery.attempts, 12), _BACKOFF_LIMIT)
        dead = final or delivery.attempts + 1 >= MAX_ATTEMPTS
        self._set(delivery, "dead" if dead else "pending", now + wait, now, error[:500])
        if not final:  # the channel is away: the others that wait for it would fail as well, and out of order
            self._db.execute(
                "UPDATE deliveries SET due = max(due, ?) WHERE state = 'pending' AND channel = ?",
                ((now + wait).timestamp(), delivery.channel),
            )
        return dead

    def counts(self) -> dict[str, int]:
        """Deliveries by state."""
        return dict(self._db.execute("SELECT state, count(*) FROM deliveries GROUP BY state").fetchall())

    def prune(self, now: datetime) -> int:
        """Forget what ended long ago; returns how many."""
        before = (now - _KEPT).timestamp()
        done = self._db.execute("DELETE FROM deliveries WHERE state != 'pending' AND changed < ?", (before,))
        return done.rowcount

    def _set(self, delivery: Delivery, state: str, due: datetime, now: datetime, error: str) -> None:
        self._db.execute(
            "UPDATE deliveries SET state = ?, due = ?, attempts = attempts + 1, error = ?, changed = ? WHERE id = ?",
            (state, due.timestamp(), error, now.timestamp(), delivery.id),
        )
