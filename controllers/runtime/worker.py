"""Workers take keys from the queue, run the reconcile, and decide what follows from its outcome or error."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from controllers.runtime.errors import Retryable, Terminal, Waiting
from controllers.runtime.logs import current_incident, current_key
from controllers.runtime.metrics import Metrics
from controllers.runtime.outcome import Key, Outcome, Requeue
from controllers.runtime.queue import WorkQueue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

log = logging.getLogger(__name__)


class Pool:
    """Threads that reconcile, plus one that resyncs. ``clock`` is monotonic seconds."""

    def __init__(
        self,
        queue: WorkQueue[Key],
        reconcile: Callable[[Key], Outcome],
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._reconcile = reconcile
        self._metrics = metrics
        self._clock = clock
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._last_handled = clock()
        self._running: dict[Key, float] = {}
        metrics.track_queue(lambda: queue.depth, self.handled_age, lambda: queue.dropped)

    def start(self, workers: int, resync: Callable[[], Iterable[Key]], interval: float) -> None:
        """Start ``workers`` threads and the resync, which also runs at once."""
        targets: list[tuple[str, Callable[[], None]]] = [(f"worker-{n}", self._work) for n in range(workers)]
        targets.append(("resync", lambda: self._resync_forever(resync, interval)))
        for name, target in targets:
            thread = threading.Thread(target=target, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, timeout: float = 10.0) -> None:
        """Let running reconciles end, take no new ones."""
        self._stop.set()
        self._queue.close()
        deadline = self._clock() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - self._clock()))

    def handled_age(self) -> float:
        """Seconds since a reconcile last ended."""
        return self._clock() - self._last_handled

    def stuck(self, limit: float) -> str:
        """Why the process makes no progress, or an empty string: for liveness."""
        dead = [thread.name for thread in self._threads if not thread.is_alive()]
        if dead and not self._stop.is_set():
            return f"threads have died: {', '.join(dead)}"
        # Not by the age of the last one handled: after an idle hour that is an hour, however young the next one is.
        key, since = min(self._running.copy().items(), key=lambda item: item[1], default=(None, 0.0))
        age = self._clock() - since
        return f"{key} has been reconciled for {age:.0f} s" if key is not None and age > limit else ""

    def _work(self) -> None:
        while not self._stop.is_set():
            key = self._queue.get(timeout=5.0)
            if key is not None:
                self.handle(key)

    def handle(self, key: Key) -> None:
        """Reconcile one key that came from the queue."""
        started = self._running[key] = self._clock()
        with _named(key):
            try:
                result = self._settle(key)
            finally:
                del self._running[key]
                self._queue.done(key)
                self._last_handled = self._clock()
        self._metrics.reconciled(result, self._last_handled - started)

    def _settle(self, key: Key) -> str:
        try:
            outcome = self._reconcile(key)
        except Waiting as error:
            log.debug("waiting: %s", error)
            self._queue.forget(key)
            self._queue.add_after(key, error.delay)
            return "waiting"
        except Terminal as error:
            log.warning("given up until something changes: %s", error, extra={"reason": error.reason})
            self._metrics.failed(error.reason)
            self._queue.forget(key)
            return "terminal"
        except Retryable as error:
            self._metrics.failed(error.reason)
            delay = self._queue.add_backoff(key)
            log.warning("will retry in %.1f s: %s", delay, error, extra={"reason": error.reason})
            return "retry"
        except Exception:  # a defect of ours must not end the worker; it is logged, counted and retried
            self._metrics.failed("Unexpected")
            delay = self._queue.add_backoff(key)
            log.exception("unexpected error; will retry in %.1f s", delay)
            return "unexpected"
        self._queue.forget(key)
        if isinstance(outcome, Requeue):
            self._queue.add_after(key, outcome.after)
            return "requeue"
        return "done"

    def _resync_forever(self, resync: Callable[[], Iterable[Key]], interval: float) -> None:
        while not self._stop.is_set():
            self.resync(resync)
            self._stop.wait(interval)

    def resync(self, resync: Callable[[], Iterable[Key]]) -> None:
        """Enqueue every key; a failure is counted and tried again next time."""
        try:
            for key in resync():
                self._queue.add(key)
        except (Terminal, Retryable) as error:
            self._metrics.failed(error.reason)
            log.warning("resync failed: %s", error, extra={"reason": error.reason})
        except Exception:  # as in _settle: the resync thread must outlive a defect
            self._metrics.failed("Unexpected")
            log.exception("resync failed")
        else:
            self._metrics.resynced()


@contextmanager
def _named(key: Key) -> Iterator[None]:
    about, incident = current_key.set(str(key)), current_incident.set("")
    try:
        yield
    finally:
        current_incident.reset(incident)
        current_key.reset(about)
