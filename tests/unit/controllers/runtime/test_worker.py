"""How outcomes and errors of a reconcile become what happens next."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

import pytest
from prometheus_client import CollectorRegistry

from controllers.kube.errors import Conflict, Forbidden, Unavailable
from controllers.runtime.errors import Retryable, Terminal, Waiting
from controllers.runtime.logs import current_incident
from controllers.runtime.metrics import Metrics
from controllers.runtime.outcome import Done, Key, Outcome, Requeue
from controllers.runtime.queue import WorkQueue
from controllers.runtime.worker import Pool

KEY = Key("shop", "x")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def raising(error: Exception) -> Callable[[Key], Outcome]:
    def reconcile(_: Key) -> Outcome:
        raise error

    return reconcile


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, {"controller": "test", **labels})


@pytest.mark.parametrize(
    ("reconcile", "result", "again_after", "counted"),
    [
        (lambda _: Done(), "done", None, ""),
        (lambda _: Requeue(7), "requeue", 7.0, ""),
        (raising(Waiting("NotYet", 3)), "waiting", 3.0, ""),
        (raising(Terminal("NoSuchThing")), "terminal", None, "NoSuchThing"),
        (raising(Retryable("Flaky")), "retry", 0.5, "Flaky"),
        (raising(Conflict("Conflict")), "retry", 0.5, "Conflict"),
        (raising(Unavailable("ApiServerUnavailable")), "retry", 0.5, "ApiServerUnavailable"),
        (raising(Forbidden("Forbidden")), "terminal", None, "Forbidden"),
        (raising(ZeroDivisionError()), "unexpected", 0.5, "Unexpected"),
    ],
)
def test_each_outcome_has_one_consequence(
    reconcile: Callable[[Key], Outcome], result: str, again_after: float | None, counted: str
) -> None:
    clock, metrics = Clock(), Metrics("test")
    queue: WorkQueue[Key] = WorkQueue(clock)
    pool = Pool(queue, reconcile, metrics, clock=clock)
    queue.add(KEY)
    assert queue.get(timeout=0) == KEY
    pool.handle(KEY)
    assert value(metrics.registry, "iirp_reconcile_total", result=result) == 1
    if counted:
        assert value(metrics.registry, "iirp_reconcile_errors_total", reason=counted) == 1
    clock.now += (again_after or 1000) - 0.001
    assert queue.get(timeout=0) is None
    if again_after is not None:
        clock.now += 0.001
        assert queue.get(timeout=0) == KEY


def test_a_failing_resync_is_counted_and_does_not_end_the_process() -> None:
    clock, metrics = Clock(), Metrics("test")
    queue: WorkQueue[Key] = WorkQueue(clock)
    pool = Pool(queue, lambda _: Done(), metrics, clock=clock)

    def broken() -> Iterable[Key]:
        raise Unavailable("ApiServerUnavailable")

    pool.resync(broken)
    assert value(metrics.registry, "iirp_reconcile_errors_total", reason="ApiServerUnavailable") == 1
    assert not value(metrics.registry, "iirp_last_successful_resync_timestamp_seconds")
    pool.resync(lambda: [KEY])
    assert queue.get(timeout=0) == KEY
    assert value(metrics.registry, "iirp_last_successful_resync_timestamp_seconds")


def test_liveness_goes_bad_when_one_reconcile_hangs_whatever_came_before_and_goes_on_beside_it() -> None:
    clock, seen = Clock(), []
    queue: WorkQueue[Key] = WorkQueue(clock)

    def slow(key: Key) -> Outcome:
        clock.now += 200
        if key == KEY:
            pool.handle(Key("shop", "quick"))
        seen.append((key.name, pool.stuck(300)))
        return Done()

    pool = Pool(queue, slow, Metrics("test"), clock=clock)
    clock.now = 1000
    queue.add(KEY)
    assert pool.stuck(300) == "", "idle is not stuck, nor is what comes after it"
    pool.handle(KEY)
    assert seen == [("quick", "shop/x has been reconciled for 400 s"), ("x", "shop/x has been reconciled for 400 s")]
    assert pool.stuck(300) == ""


def test_no_log_line_names_the_incident_of_the_key_before() -> None:
    named: list[str] = []

    def reconcile(key: Key) -> Outcome:
        named.append(current_incident.get())
        current_incident.set(f"incident of {key.name}")
        return Done()

    pool = Pool(WorkQueue(Clock()), reconcile, Metrics("test"))
    for name in ("a", "b"):
        pool.handle(Key("shop", name))
    assert named == ["", ""]


def test_threads_reconcile_and_stop() -> None:
    handled = threading.Event()

    def reconcile(_: Key) -> Outcome:
        handled.set()
        return Done()

    pool = Pool(WorkQueue(time.monotonic), reconcile, Metrics("test"))
    pool.start(2, lambda: [KEY], 60)
    assert handled.wait(10)
    pool.stop()
    assert not any(thread.is_alive() for thread in pool._threads)
    assert pool.stuck(300) == ""
