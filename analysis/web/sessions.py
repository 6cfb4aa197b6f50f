"""Server-side sessions: the browser holds a random id, this process holds the token, both for a bounded time.

A session lives in memory only; a restart signs everybody out, and no token ever reaches a disk.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from analysis.auth.identity import expiry

SESSION_COOKIE = "__Host-iirp-session"
LOGIN_COOKIE = "__Host-iirp-login"


@dataclass(frozen=True, slots=True)
class Session:
    """One signed-in person. ``token`` is theirs and is sent to the API server only."""

    username: str
    token: str
    csrf: str
    expires_at: float


class Sessions:
    """Bounded and expiring. Ids are kept as hashes: a memory dump of keys signs nobody in."""

    def __init__(self, minutes: int, limit: int, clock: Callable[[], float] = time.time) -> None:
        self._seconds = minutes * 60
        self._limit = limit
        self._clock = clock
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()

    def open(self, username: str, token: str) -> tuple[str, Session]:
        """A new session; its id goes into the cookie. It never outlives the token."""
        now = self._clock()
        self._drop_expired(now)
        while len(self._sessions) >= self._limit:
            self._sessions.popitem(last=False)
        identifier = secrets.token_urlsafe(32)
        session = Session(username, token, secrets.token_urlsafe(24), min(now + self._seconds, expiry(token)))
        self._sessions[_hash(identifier)] = session
        return identifier, session

    def find(self, identifier: str | None) -> Session | None:
        """The session behind a cookie, unless it has expired."""
        if not identifier:
            return None
        session = self._sessions.get(_hash(identifier))
        if session is None or session.expires_at <= self._clock():
            self.close(identifier)
            return None
        return session

    def close(self, identifier: str | None) -> None:
        """End a session."""
        if identifier:
            self._sessions.pop(_hash(identifier), None)

    def _drop_expired(self, now: float) -> None:
        for key in [key for key, session in self._sessions.items() if session.expires_at <= now]:
            del self._sessions[key]


def _hash(identifier: str) -> bytes:
    return hashlib.sha256(identifier.encode()).digest()


def same(expected: str | None, given: str | None) -> bool:
    """Compare two secrets without telling how far they agree; missing ones never do."""
    return bool(expected) and bool(given) and hmac.compare_digest(str(expected).encode(), str(given).encode())
