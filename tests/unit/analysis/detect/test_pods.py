"""What is known of all pods at once is that of the newest topology, and the same however the pods are kept."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.contract import DetectRequest, PodFact, SourceHealth, Topology, TopologyChange
from analysis.detect.pods import Pods, namespaces, sizes, workloads
from analysis.detect.rules import RuleSet
from analysis.detect.service import Detector
from analysis.telemetry.reader import Reader
from analysis.words import moment
from crds.v1alpha1.base import TargetRef
from tests.unit.analysis.detect.world import deployment
from tests.unit.analysis.shapes import END, MIB
from tests.unit.analysis.telemetry.source import Source

LEAK = "payments-7c9d8f6b5d-aaaaa"
USED, LIMIT = "container_memory_working_set_bytes", "container_spec_memory_limit_bytes"

owners = st.tuples(st.sampled_from(["Deployment", "Job"]), st.sampled_from(["a", "b"]), st.sampled_from(["x", "y"]))


@given(owned=st.lists(owners, max_size=12))
def test_kept_pods_say_what_a_dict_of_them_says(owned: list[tuple[str, str, str]]) -> None:
    targets = [TargetRef(kind=kind, namespace=space, name=name, uid=name) for kind, space, name in owned]
    facts = [pod(f"pod-{index}", target) for index, target in enumerate(targets)]
    plain, kept = {(one.namespace, one.name): one for one in facts}, Pods.of(facts)
    assert kept == plain
    assert namespaces(kept) == namespaces(plain) == {space for _, space, _ in owned}
    assert workloads(kept) == workloads(plain)
    assert [(one.kind, one.namespace, one.name) for one in workloads(kept)] == sorted(
        set(owned), key=lambda one: (one[1], one[0], one[2])
    )
    for key in owned:
        assert sizes(kept, {key[2]}).get(key, 1) == sizes(plain, {key[2]}).get(key, 1) == owned.count(key)


def pod(name: str, workload: TargetRef) -> PodFact:
    return PodFact(namespace=workload.namespace, name=name, uid=name, workload=workload, containers=("app",))


def payments(*ids: str) -> tuple[PodFact, ...]:
    return tuple(pod(f"payments-7c9d8f6b5d-{one}", deployment("payments")) for one in ids)


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


class Alive:
    async def loki(self) -> SourceHealth:
        return SourceHealth(name="loki", address="", ok=True)


class World:
    """A server that sees one pod of payments leak."""

    def __init__(self, rules: RuleSet) -> None:
        source = Source()
        for age in range(0, 700, 5):
            labels = {"namespace": "shop", "pod": LEAK, "container": "app"}
            source.add({"__name__": USED, **labels}, END + age, (60 + max(0.0, age - 300) * 0.25) * MIB)
            source.add({"__name__": LIMIT, **labels}, END + age, 256 * MIB)
        self.now = END + 640.0
        self._detector = Detector(
            rules, Reader(source.prometheus()), Alive(), lambda: moment(self.now)  # type: ignore[arg-type]
        )  # fmt: skip

    def look(self, known: Topology | TopologyChange | None, of: str, cluster: str = "one") -> str:
        """What is said of the leak after some rounds."""
        whole = known if isinstance(known, Topology) else None
        change = known if isinstance(known, TopologyChange) else None
        request = DetectRequest(cluster=cluster, topology_digest=of, topology=whole, change=change)
        for _ in range(3):
            answer = asyncio.run(self._detector.detect(request))
            self.now += 5
        (found,) = answer.candidates
        return found.summary


@pytest.fixture
def world(rules: RuleSet) -> World:
    return World(rules)


def test_the_size_of_a_workload_follows_the_topology(world: World) -> None:
    first = Topology(digest=digest(1), pods=payments("aaaaa", "bbbbb", "ccccc"))
    assert "on 1 of 3 pods" in world.look(first, digest(1))
    assert "on 1 of 3 pods" in world.look(None, digest(1))
    more = TopologyChange(base=digest(1), digest=digest(2), pods=payments("ddddd", "eeeee"))
    assert "on 1 of 5 pods" in world.look(more, digest(2))
    fewer = TopologyChange(base=digest(2), digest=digest(3), gone=tuple(one.uid for one in payments("bbbbb", "ccccc")))
    assert "on 1 of 3 pods" in world.look(fewer, digest(3))
    alone = Topology(digest=digest(4), pods=payments("aaaaa"))
    assert "on 1 of 1 pods" in world.look(alone, digest(4))


def test_clusters_have_pods_of_their_own(world: World) -> None:
    both = {"one": payments("aaaaa", "bbbbb"), "two": payments("aaaaa", "bbbbb", "ccccc")}
    for number, (cluster, pods) in enumerate(both.items()):
        summary = world.look(Topology(digest=digest(number), pods=pods), digest(number), cluster)
        assert f"on 1 of {len(pods)} pods" in summary


def test_the_same_digest_sent_with_other_pods_is_believed(world: World) -> None:
    """Whoever computes the digest may be wrong: what was sent last counts."""
    world.look(Topology(digest=digest(1), pods=payments("aaaaa")), digest(1))
    again = Topology(digest=digest(1), pods=payments("aaaaa", "bbbbb"))
    assert "on 1 of 2 pods" in world.look(again, digest(1))
