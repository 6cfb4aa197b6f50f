"""The work queue's promises, each as what a controller would notice."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.runtime.queue import WorkQueue


class Clock:
    """Monotonic seconds that only the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> Iterator[WorkQueue[str]]:
    made: WorkQueue[str] = WorkQueue(clock, capacity=3, base_delay=1.0, max_delay=8.0)
    yield made
    made.close()


def test_a_key_that_is_added_many_times_is_handled_once(queue: WorkQueue[str]) -> None:
    for _ in range(5):
        queue.add("a")
    assert queue.get(timeout=0) == "a"
    queue.done("a")
    assert queue.get(timeout=0) is None


def test_a_key_added_while_it_is_handled_waits_for_the_end_and_then_comes_again(queue: WorkQueue[str]) -> None:
    queue.add("a")
    assert queue.get(timeout=0) == "a"
    queue.add("a")
    assert queue.get(timeout=0) is None, "two workers would reconcile one key at a time"
    queue.done("a")
    assert queue.get(timeout=0) == "a"


def test_keys_come_in_the_order_of_their_addition(queue: WorkQueue[str]) -> None:
    for key in "bca":
        queue.add(key)
    assert [queue.get(timeout=0) for _ in range(3)] == ["b", "c", "a"]


def test_a_delayed_key_comes_when_its_time_has_come(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add_after("a", 5)
    assert queue.get(timeout=0) is None
    clock.now += 5
    assert queue.get(timeout=0) == "a"


def test_the_earlier_of_two_delays_counts_and_the_later_one_is_forgotten(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add_after("a", 5)
    queue.add_after("a", 2)
    queue.add_after("a", 9)
    clock.now += 2
    assert queue.get(timeout=0) == "a"
    queue.done("a")
    clock.now += 100
    assert queue.get(timeout=0) is None


def test_an_event_brings_a_delayed_key_forward(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add_after("a", 60)
    queue.add("a")
    assert queue.get(timeout=0) == "a"
    queue.done("a")
    clock.now += 60
    assert queue.get(timeout=0) is None


def test_backoff_doubles_up_to_its_cap_and_starts_anew_after_a_success(queue: WorkQueue[str], clock: Clock) -> None:
    delays = []
    for _ in range(6):
        delays.append(queue.add_backoff("a"))
        clock.now += 100
        assert queue.get(timeout=0) == "a"
        queue.done("a")
    assert delays == [1, 2, 4, 8, 8, 8]
    queue.forget("a")
    assert queue.add_backoff("a") == 1


def test_a_full_queue_drops_and_counts_new_keys_but_keeps_known_ones(queue: WorkQueue[str]) -> None:
    for key in "abcd":
        queue.add(key)
    queue.add("a")
    queue.add_after("e", 1)
    assert queue.dropped == 2
    assert queue.depth == 3


def test_close_wakes_a_waiting_worker(queue: WorkQueue[str]) -> None:
    got: list[str | None] = []
    thread = threading.Thread(target=lambda: got.append(queue.get()))
    thread.start()
    queue.close()
    thread.join(timeout=5)
    assert got == [None]


def test_add_wakes_a_waiting_worker(queue: WorkQueue[str]) -> None:
    got: list[str | None] = []
    thread = threading.Thread(target=lambda: got.append(queue.get()))
    thread.start()
    queue.add("a")
    thread.join(timeout=5)
    assert got == ["a"]


@given(
    st.lists(st.tuples(st.sampled_from(["add", "after", "get", "done", "tick"]), st.sampled_from("abc")), max_size=60)
)
def test_no_key_is_ever_lost_or_handled_twice_at_once(steps: list[tuple[str, str]]) -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock)
    active: set[str] = set()
    wanted: set[str] = set()
    for step, key in steps:
        if step == "add":
            queue.add(key)
            wanted.add(key)
        elif step == "after":
            queue.add_after(key, 3)
            wanted.add(key)
        elif step == "tick":
            clock.now += 2
        elif step == "done" and key in active:
            active.remove(key)
            queue.done(key)
        elif step == "get":
            got = queue.get(timeout=0)
            if got is not None:
                assert got not in active
                active.add(got)
                wanted.discard(got)
    for key in sorted(active):
        queue.done(key)
    clock.now += 100
    while (got := queue.get(timeout=0)) is not None:
        wanted.discard(got)
        queue.done(got)
    assert not wanted
