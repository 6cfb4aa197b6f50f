"""Detection gets the same from memory as from the metrics store, and from memory only what is complete and fresh."""

from __future__ import annotations

import asyncio
import random

import numpy as np
import pytest

from analysis.contract import Candidate, DetectRequest, PodFact, SourceHealth, Topology
from analysis.detect.rules import RuleSet
from analysis.detect.service import Detector
from analysis.telemetry.query import RateSum, Select, among, differs, matching
from analysis.telemetry.reader import Reader
from analysis.telemetry.seed import Seeder
from analysis.telemetry.store import Store
from analysis.words import moment
from crds.v1alpha1.base import TargetRef
from tests.unit.analysis.telemetry.source import STALE, Source

T0 = 1_767_225_600.0
MIB = 1024.0 * 1024
USED, LIMIT = "container_memory_working_set_bytes", "container_spec_memory_limit_bytes"
STARTED, REQUESTS = "container_start_time_seconds", "http_requests_total"
CONTAINER = ("namespace", "pod", "container")
SCOPE = (among("namespace", ["shop", "other"]), differs("container", ""))
BY_CODE = RateSum(Select(REQUESTS, (among("namespace", ["shop"]), matching("code", "5.."))), 60.0, ("namespace", "pod"))
LEAK, CALM, ERRORS = "payments-7c9d8f6b5d-aaaaa", "checkout-7c9d8f6b5d-bbbbb", "catalogue-7c9d8f6b5d-ccccc"


def world(seconds: float, every: float = 5.0) -> Source:
    """A leak, a calm one, and one that answers errors; samples jitter, restart, go missing."""
    source, chance = Source(), random.Random(5)
    requests = {(pod, code): 0.0 for pod in (LEAK, CALM, ERRORS) for code in ("200", "500")}
    at = T0
    while at < T0 + seconds:
        age = at - T0
        for index, pod in enumerate((LEAK, CALM, ERRORS)):
            when = round(at + 0.4 * index + chance.uniform(0, 0.05), 3)
            life = "b" if pod == CALM and age > 400 else "a"
            labels = {"namespace": "shop", "pod": pod, "container": "app", "name": f"id-{life}"}
            if chance.random() < 0.03:
                continue
            level = 60 + max(0.0, age - 300) * 0.25 if pod == LEAK else 80 + chance.uniform(-1, 1)
            source.add({"__name__": USED, **labels}, when, level * MIB)
            source.add({"__name__": LIMIT, **labels}, when, 256 * MIB)
            source.add({"__name__": STARTED, **labels}, when, T0 - 3600.25 if life == "a" else T0 + 400.125)
            if life == "b" and age < 406:
                source.add({"__name__": USED, **labels, "name": "id-a"}, when + 0.01, STALE)
                source.add({"__name__": STARTED, **labels, "name": "id-a"}, when + 0.01, STALE)
            for code in ("200", "500"):
                failing = pod == ERRORS and age > 450
                requests[pod, code] += every * ((4.0 if failing else 0.0) if code == "500" else 20.0)
                if pod == CALM and 400 < age <= 405:
                    requests[pod, code] = 3.0  # a counter starts anew with its process
                before = 0.0 if pod == CALM and life == "b" else 7e7
                named = {"__name__": REQUESTS, "namespace": "shop", "pod": pod, "code": code}
                source.add(named, when, before + requests[pod, code])
        source.add({"__name__": "node_load1", "node": "n"}, at, 1.0)
        at += every
    return source


def filled(source: Source, until: float, *, seed_at: float | None = None) -> tuple[Store, Reader, list[str]]:
    """A store that was asked, seeded, and has received the rest by remote_write."""
    store, reads = Store(1000, 5.0), list[str]()
    reader = Reader(source.prometheus(), store, reads.append)
    start = T0 + 1 if seed_at is None else seed_at

    async def run() -> None:
        clock = [start]
        seeder = Seeder(store, source.prometheus(), lambda: clock[0])
        await ask(reader, clock[0])
        store.accept(source.body(clock[0] - 5, clock[0]), clock[0])
        await seeder.step()
        while clock[0] < until:
            store.accept(source.body(clock[0], min(clock[0] + 5, until)), min(clock[0] + 5, until))
            clock[0] = min(clock[0] + 5, until)
            await seeder.step()

    asyncio.run(run())
    reads.clear()
    return store, reader, reads


async def ask(reader: Reader, now: float) -> tuple:
    blocks = [await reader.block(Select(metric, SCOPE), CONTAINER, 900.0, now, 5.0) for metric in (USED, LIMIT)]
    rates = await reader.rates(BY_CODE, 90.0, 10.0, now)
    started = await reader.latest(Select(STARTED, SCOPE), CONTAINER, now)
    return blocks, rates, started


@pytest.mark.parametrize("seed_at", [None, T0 + 550.0], ids=["streamed", "mostly seeded"])
@pytest.mark.parametrize("now", [T0 + 420.0, T0 + 611.3, T0 + 655.017])
def test_both_ways_read_the_same(now: float, seed_at: float | None) -> None:
    now += 0.0 if seed_at is None or now > seed_at else 200.0
    source = world(800)
    _, reader, reads = filled(source, now, seed_at=seed_at)
    blocks, rates, started = asyncio.run(ask(reader, now))
    assert reads == ["ring"] * 4
    source_only = asyncio.run(ask(Reader(source.prometheus()), now))
    for ours, theirs in zip(blocks, source_only[0], strict=True):
        assert ours.block.labels == theirs.block.labels
        np.testing.assert_array_equal(ours.block.values, theirs.block.values)
        np.testing.assert_allclose(ours.block.offsets, theirs.block.offsets, atol=1e-6)
        assert ours.newest == pytest.approx(theirs.newest, abs=1e-3)
    order = [rates.labels.index(labels) for labels in source_only[1].labels]
    np.testing.assert_allclose(rates.values[order], source_only[1].values.astype(np.float64), rtol=1e-6)
    np.testing.assert_allclose(rates.times, source_only[1].times, atol=1e-3)
    assert dict(started) == dict(source_only[2])


class Alive:
    async def loki(self) -> SourceHealth:
        return SourceHealth(name="loki", address="", ok=True)


def candidates(rules: RuleSet, reader: Reader, now: float) -> tuple[Candidate, ...]:
    digest = "sha256:" + "1" * 64
    pods = tuple(
        PodFact(
            namespace="shop",
            name=name,
            uid=name,
            containers=("app",),
            workload=TargetRef(kind="Deployment", namespace="shop", name=name.split("-")[0], uid=name),
        )
        for name in (LEAK, CALM, ERRORS)
    )
    clock = [now]
    detector = Detector(rules, reader, Alive(), lambda: moment(clock[0]))  # type: ignore[arg-type]
    topology = Topology(digest=digest, pods=pods)

    async def run() -> tuple[Candidate, ...]:
        found: tuple[Candidate, ...] = ()
        for clock[0] in (now, now + 5, now + 10):  # rounds closer together than that are no further evidence
            request = DetectRequest(cluster="c", topology_digest=digest, topology=topology)
            found = (await detector.detect(request)).candidates
        return found

    return asyncio.run(run())


def test_both_ways_find_the_same(rules: RuleSet) -> None:
    source, now = world(640), T0 + 640.5  # nothing later: the rounds after it have no newer samples by query either
    _, reader, reads = filled(source, now)
    candidates(rules, reader, now)  # asks for what is not kept yet
    store = Store(1000, 5.0)
    reader = Reader(source.prometheus(), store, reads.append)
    candidates(rules, reader, now - 1)
    store.accept(source.body(now - 10, now - 1), now - 1)
    asyncio.run(Seeder(store, source.prometheus(), lambda: now - 1).step())
    store.accept(source.body(now - 1, now), now)
    reads.clear()
    ours = candidates(rules, reader, now)
    # metrics that no agent sends are asked for each time: nothing arrives, so nothing is known to be complete
    assert reads.count("ring") >= 15
    theirs = candidates(rules, Reader(source.prometheus()), now)
    assert ours == theirs
    assert {one.type for one in ours} == {"MemoryLeak", "HighErrorRate"}


def test_what_is_not_complete_or_not_fresh_is_asked_for() -> None:
    source, now = world(800), T0 + 620.0
    store, reader, reads = filled(source, now)
    asyncio.run(ask(reader, now + 100))
    assert set(reads) == {"query"}  # nothing came for 100 s
    store.tidy(now + 100)
    store.accept(source.body(now + 90, now + 100), now + 100)
    reads.clear()
    asyncio.run(ask(reader, now + 100))
    assert set(reads) == {"query"}  # it comes again, but what was in between is missing
    asyncio.run(Seeder(store, source.prometheus(), lambda: now + 100).step())
    reads.clear()
    asyncio.run(ask(reader, now + 100))
    assert set(reads) == {"ring"}


def test_a_source_that_is_away_is_tried_again_later_and_less_often() -> None:
    source, now = world(100), T0 + 50.0
    store = Store(1000, 5.0)
    reader = Reader(source.prometheus(), store)
    asyncio.run(ask(reader, now))
    store.accept(source.body(T0, now), now)
    source.down = True
    told: list[str] = []
    clock = [now]
    seeder = Seeder(store, source.prometheus(), lambda: clock[0], told=told.append)
    for second in range(8):
        clock[0] = now + second
        asyncio.run(seeder.step())
    assert told == ["failed"] * 12  # four metrics at 0, 2 and 6 s
    source.down = False
    clock[0] = now + 20
    asyncio.run(seeder.step())
    assert told[12:] == ["seeded"] * 4


def test_pull_mode_keeps_the_store_complete() -> None:
    source, reads = world(700), list[str]()
    store = Store(1000, 5.0)
    reader = Reader(source.prometheus(), store, reads.append)
    clock = [T0 + 500.0]
    seeder = Seeder(store, source.prometheus(), lambda: clock[0], pull=10.0)
    asyncio.run(ask(reader, clock[0]))
    for _ in range(60):
        asyncio.run(seeder.step())
        store.tidy(clock[0])
        clock[0] += 2.0
    reads.clear()
    ours = asyncio.run(ask(reader, clock[0] - 2))
    assert set(reads) == {"ring"}
    theirs = asyncio.run(ask(Reader(source.prometheus()), clock[0] - 2))
    newest = clock[0] - 15  # since the last pull nothing has come
    for one, other in zip(ours[0], theirs[0], strict=True):
        columns = int((newest - one.block.start) // 5)
        np.testing.assert_array_equal(one.block.values[:, :columns], other.block.values[:, :columns])
