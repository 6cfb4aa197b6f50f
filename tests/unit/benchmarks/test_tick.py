"""The bench measures what is shipped: samples go through the store, and the shipped rules call the faults in them."""

from __future__ import annotations

from benchmarks import load
from benchmarks.tick import Server


def test_a_tick_takes_every_sample_in_and_calls_faulty_containers_only() -> None:
    server = Server(2000 * load.PER_CONTAINER, seed=5)
    found = server.tick()
    assert server.store.series == 2000 * 3, "of each container's four series three are asked for"
    faulty = {load.pod(int(number)).name for number in server.fleet.faulty.nonzero()[0]}
    called = {pod for one in server.look(load.MILLIS / 1000 + 910.0) for pod in one.pods}
    assert found.candidates > 0
    assert called
    assert called <= faulty
