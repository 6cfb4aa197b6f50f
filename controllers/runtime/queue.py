"""The work queue: bounded, deduplicated by key, one worker per key at a time, delays and exponential backoff.

The model is client-go's ``workqueue``: a key that is added while it is being handled is handled again afterwards, never
beside itself, so a reconcile needs no lock. Keys only, never objects: what is handled is always read anew.
"""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")


class WorkQueue(Generic[K]):
    """Thread-safe. ``clock`` is a monotonic clock in seconds.

    ``capacity`` bounds the distinct keys that wait or are delayed. A key that does not fit is dropped and counted in
    :attr:`dropped`; the resync brings it back, so nothing is lost, only late.
    """

    def __init__(
        self, clock: Callable[[], float], *, capacity: int = 10_000, base_delay: float = 0.5, max_delay: float = 60.0
    ) -> None:
        self._clock = clock
        self._capacity = capacity
        self._base_delay = base_delay
        self._max_delay = max_delay
        self._condition = threading.Condition()
        self._ready: deque[K] = deque()
        self._waiting: set[K] = set()  # keys in _ready, plus those to be handled again after the current run
        self._active: set[K] = set()
        self._delayed: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}  # the one valid due time of a delayed key; other heap entries are stale
        self._failures: dict[K, int] = {}
        self._sequence = 0
        self._closed = False
        self.dropped = 0

    def add(self, key: K) -> None:
        """Handle ``key`` as soon as a worker is free; any delay on it is cancelled."""
        with self._condition:
            self._add(key)

    def add_after(self, key: K, delay: float) -> None:
        """Handle ``key`` in ``delay`` seconds, or earlier when something else asks for it."""
        with self._condition:
            if self._closed or key in self._waiting:
                return
            due = self._clock() + max(delay, 0.0)
            if self._due.get(key, float("inf")) <= due:
                return
            if key not in self._due and not self._fits():
                return
            self._due[key] = due
            self._sequence += 1
            heapq.heappush(self._delayed, (due, self._sequence, key))
            self._condition.notify()

    def add_backoff(self, key: K) -> float:
        """Handle ``key`` again after its backoff, which doubles with each failure in a row. Returns the delay."""
        with self._condition:
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
        delay = min(self._base_delay * 2.0 ** min(failures, 32), self._max_delay)
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """The key succeeded: its backoff starts anew."""
        with self._condition:
            self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """Failures in a row."""
        with self._condition:
            return self._failures.get(key, 0)

    def get(self, timeout: float | None = None) -> K | None:
        """Next key; the caller owns it until :meth:`done`. None when closed or after ``timeout`` seconds."""
        with self._condition:
            deadline = None if timeout is None else self._clock() + timeout
            while not self._closed:
                self._promote()
                if self._ready:
                    key = self._ready.popleft()
                    self._waiting.discard(key)
                    self._active.add(key)
                    return key
                wait = self._next_wake(deadline)
                if wait is not None and wait <= 0:
                    if deadline is not None and self._clock() >= deadline:
                        return None
                    continue
                self._condition.wait(wait)
            return None

    def done(self, key: K) -> None:
        """The caller has finished with ``key``; if it was added meanwhile, it becomes ready now."""
        with self._condition:
            self._active.discard(key)
            if key in self._waiting:
                self._ready.append(key)
            self._condition.notify()

    def close(self) -> None:
        """Wake all workers; :meth:`get` returns None from now on."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    @property
    def depth(self) -> int:
        """Keys that are ready or due again after their current run (delayed ones not counted)."""
        with self._condition:
            return len(self._waiting)

    def _add(self, key: K) -> None:
        if self._closed or key in self._waiting:
            return
        if key not in self._due and not self._fits():
            return
        self._due.pop(key, None)
        self._waiting.add(key)
        if key not in self._active:
            self._ready.append(key)
            self._condition.notify()

    def _fits(self) -> bool:
        if len(self._waiting) + len(self._due) < self._capacity:
            return True
        self.dropped += 1
        return False

    def _promote(self) -> None:
        now = self._clock()
        while self._delayed and self._delayed[0][0] <= now:
            due, _, key = heapq.heappop(self._delayed)
            if self._due.get(key) == due:
                self._add(key)

    def _next_wake(self, deadline: float | None) -> float | None:
        times = [deadline] if deadline is not None else []
        if self._delayed:
            times.append(self._delayed[0][0])
        return min(times) - self._clock() if times else None
