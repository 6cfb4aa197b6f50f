"""Two clusters with the same names in one store are never mixed, in memory, in the store, in words that are shown."""

from __future__ import annotations

import asyncio

import pytest

from analysis.config import DATA_ROOT
from analysis.contract import DetectRequest, DetectResponse, PodFact, SourceHealth, Topology
from analysis.detect.rules import RuleSet
from analysis.detect.series import load_learning
from analysis.detect.service import Detector
from analysis.rca.catalogue import load_causes
from analysis.rca.probes import MetricProbe
from analysis.telemetry.query import Select, quote
from analysis.telemetry.reader import Reader
from analysis.telemetry.scope import Scope, bare
from analysis.telemetry.seed import Seeder
from analysis.telemetry.store import Store
from analysis.words import moment
from crds.v1alpha1.base import TargetRef
from tests.unit.analysis.telemetry.source import Source

T0 = 1_767_225_600.0
MIB = 1024.0 * 1024
USED, LIMIT, STARTED = (
    "container_memory_working_set_bytes",
    "container_spec_memory_limit_bytes",
    "container_start_time_seconds",
)
POD = "payments-7c9d8f6b5d-aaaaa"
EAST, WEST = Scope("cluster", "east"), Scope("k8s_cluster_name", "west")


@pytest.mark.parametrize(
    ("scope", "query", "expected"),
    [
        (EAST, 'up{job="x"}', 'up{cluster="east",job="x"}'),
        (EAST, "up{}", 'up{cluster="east"}'),
        (EAST, "up{ }[5m]", 'up{cluster="east"}[5m]'),
        (EAST, "sum by (a) (rate(x{}[60s])) / y{b=~'c'}",
         "sum by (a) (rate(x{cluster=\"east\"}[60s])) / y{cluster=\"east\",b=~'c'}"),
        (EAST, 'up{a="{b}",c=`{`}', 'up{cluster="east",a="{b}",c=`{`}'),
        (EAST, r'up{a="\"{"}', r'up{cluster="east",a="\"{"}'),
        (EAST, "vector(1)", "vector(1)"),
        (EAST, 'up{cluster="west"}', 'up{cluster="east",cluster="west"}'),
        (WEST, '{a="b"} |= "{x}" | line_format `{{.y}}`',
         '{k8s_cluster_name="west",a="b"} |= "{x}" | line_format `{{.y}}`'),
        (WEST, 'sum(count_over_time({a="b"} |~ "{2}" [60s]))',
         'sum(count_over_time({k8s_cluster_name="west",a="b"} |~ "{2}" [60s]))'),
        (Scope("cluster"), "up{}", "up{}"),
        (Scope("", "east"), "up{}", "up{}"),
        (Scope("cluster", ""), "up{}", 'up{cluster=""}'),
        (Scope("cluster", 'a"} or up{b="'), "up{}", 'up{cluster="a\\"} or up{b=\\""}'),
    ],
)  # fmt: skip
def test_every_selector_of_a_query_gets_the_matcher(scope: Scope, query: str, expected: str) -> None:
    assert scope.within(query) == expected
    assert scope.within(expected) == expected


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("up", ["up"]),
        ("sum(rate(a{}[5m])) / sum(job:b:rate5m)", ["job:b:rate5m"]),
        ("sum by (pod, le) (rate(a{x=\"y\"}[5m] offset 1h)) > bool 1e5 and on (node) group_left(a) c{}", []),
        ("histogram_quantile(0.95, sum without (pod) (rate(a_bucket{}[60s]))) or 0 * time() + Inf", []),
        ("up{} + 0x1F - down", ["down"]),
        ('label_replace(a{}, "workload", "$1 up", "pod", "(.*)")', []),
    ],
)  # fmt: skip
def test_metrics_without_braces_are_found(query: str, names: list[str]) -> None:
    assert bare(query) == names


def test_shipped_files_hold_only_what_a_scope_reaches() -> None:
    load_causes(DATA_ROOT / "causes")
    load_learning(DATA_ROOT / "baselines")
    with pytest.raises(ValueError, match=r"write up\{\}"):
        MetricProbe(promql="up == 0", above=0, text="down")


def test_no_cluster_name_gets_out_of_its_quotes() -> None:
    hostile = 'x",namespace=~".*'
    assert Scope("cluster", hostile).within("up{}") == f"up{{cluster={quote(hostile)}}}"


class Alive:
    async def loki(self) -> SourceHealth:
        return SourceHealth(name="loki", address="", ok=True)


def world(seconds: float) -> Source:
    """Pods of equal names in two clusters; only that of ``east`` leaks."""
    source = Source()
    for step in range(round(seconds / 5)):
        at = T0 + 5.0 * step
        for cluster in ("east", "west"):
            labels = {"cluster": cluster, "namespace": "shop", "pod": POD, "container": "app"}
            level = 60 + max(0.0, 5.0 * step - 300) * 0.25 if cluster == "east" else 60.0
            source.add({"__name__": USED, **labels}, at, level * MIB)
            source.add({"__name__": LIMIT, **labels}, at, 256 * MIB)
            source.add({"__name__": STARTED, **labels}, at, T0 - 3600.0)
    return source


def asked(detector: Detector, cluster: str, clock: list[float]) -> DetectResponse:
    """The answer of the third round; a leak takes two."""
    digest = "sha256:" + "1" * 64
    workload = TargetRef(kind="Deployment", namespace="shop", name="payments", uid="u")
    pod = PodFact(namespace="shop", name=POD, uid="p", containers=("app",), workload=workload)
    topology = Topology(digest=digest, pods=(pod,))
    request = DetectRequest(cluster=cluster, topology_digest=digest, topology=topology)

    async def run() -> DetectResponse:
        for _ in range(2):
            await detector.detect(request)
            clock[0] += 5
        return await detector.detect(request)

    return asyncio.run(run())


def prometheus(source: Source, label: str) -> Reader:
    readable = source.prometheus()
    readable.scope = Scope(label)
    return Reader(readable)


def test_a_leak_is_an_incident_of_its_own_cluster_only(rules: RuleSet) -> None:
    clock = [T0 + 640.0]
    detector = Detector(rules, prometheus(world(660), "cluster"), Alive(), lambda: moment(clock[0]))  # type: ignore[arg-type]
    east, west = asked(detector, "east", clock), asked(detector, "west", clock)
    assert [one.type for one in east.candidates] == ["MemoryLeak"]
    assert all(f'{USED}{{cluster="east",' in one.query for one in east.candidates[0].metrics)
    assert not west.candidates
    assert "scope" not in {one.name for one in (*east.sources, *west.sources)}


def test_memory_keeps_clusters_apart() -> None:
    source, now = world(700), T0 + 600.0
    store, reads = Store(1000, 5.0), list[str]()
    readable = source.prometheus()
    readable.scope = Scope("cluster")
    reader = Reader(readable, store, reads.append)
    select, by = Select(USED), ("namespace", "pod", "container")

    async def last(cluster: str, at: float) -> float:
        found = await reader.of(cluster).block(select, by, 300.0, at, 5.0)
        assert len(found.block.labels) == 1
        return float(found.block.values[0, -1]) / MIB

    async def run() -> list[float]:
        await last("east", now)
        store.accept(source.body(now - 10, now), now)
        await Seeder(store, source.prometheus(), lambda: now).step()
        reads.clear()
        return [await last(cluster, now) for cluster in ("east", "west")]

    assert asyncio.run(run()) == [133.75, 60.0]
    assert reads == ["ring", "ring"]


def test_several_clusters_without_labels_are_said(rules: RuleSet) -> None:
    clock = [T0 + 640.0]
    detector = Detector(rules, prometheus(world(660), ""), Alive(), lambda: moment(clock[0]))  # type: ignore[arg-type]
    assert "scope" not in {one.name for one in asked(detector, "east", clock).sources}
    said = next(one for one in asked(detector, "west", clock).sources if one.name == "scope")
    assert (said.ok, said.blinds) == (False, False)
    assert said.message.startswith("east, west ask, and clusterLabels is not set")
