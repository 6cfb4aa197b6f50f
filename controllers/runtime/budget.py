"""How much a controller may write: what does not fit is written later, in its newest state."""

from __future__ import annotations

import threading
from collections import deque
from datetime import datetime, timedelta

MINUTE = timedelta(minutes=1)


class Budget:
    """At most so many writes in any minute. Thread-safe."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._spent: deque[datetime] = deque()
        self._lock = threading.Lock()

    def take(self, now: datetime, writes: int = 1) -> bool:
        """Whether so many more fit; counts them if so. More than the whole budget fits into an untouched minute."""
        with self._lock:
            self._forget(now)
            if len(self._spent) + min(writes, self._per_minute) > self._per_minute:
                return False
            self._spent.extend([now] * writes)
            return True

    def spend(self, now: datetime, writes: int = 1) -> None:
        """Count writes that cannot wait; later ones make room for them."""
        with self._lock:
            self._forget(now)
            self._spent.extend([now] * writes)

    def wait(self, now: datetime) -> timedelta:
        """How long until another write may fit."""
        with self._lock:
            self._forget(now)
            return self._spent[0] + MINUTE - now if len(self._spent) >= self._per_minute else timedelta()

    def _forget(self, now: datetime) -> None:
        while self._spent and now - self._spent[0] >= MINUTE:
            self._spent.popleft()
