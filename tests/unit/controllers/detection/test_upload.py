"""What is sent of the topology, against the server's own memory of it: both must end with the same pods."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from analysis.contract import DetectRequest, Topology, TopologyChange
from analysis.detect.topologies import MAX_CLUSTERS, PER_CLUSTER, Topologies, UnknownTopology
from controllers.detection.inventory import Cluster
from controllers.detection.topology import PodStore, build_topology, topology_digest
from controllers.detection.upload import WHOLE_EVERY, Look, Upload
from controllers.kube.facts import PodRecord
from crds.v1alpha1.base import TargetRef
from tests.fakes.kube import START
from tests.unit.controllers.detection.pods import pod


def workload(record: PodRecord) -> TargetRef:
    return record.owner or TargetRef(kind="Pod", namespace=record.namespace, name=record.name)


class World:
    """A store with fifty pods, what is sent of it, and a server."""

    def __init__(self) -> None:
        self.store = PodStore(lambda: START)
        self.upload, self.server = Upload(workload), Topologies()
        self.kinds: list[str] = []
        self.at = START
        for index in range(50):
            self.change(f"p-{index}")

    def change(self, name: str, version: int = 1, **given: Any) -> None:
        self.store.observe("MODIFIED", pod(name, version=version, **given))

    def send(self, cluster: str = "c") -> Topology:
        pods = self.store.snapshot()
        look = Look(pods, Cluster(), topology_digest(pods, workload, Cluster()), self.at)
        part = self.upload.part(look)
        request = DetectRequest(
            cluster=cluster,
            topology_digest=look.digest,
            topology=part if isinstance(part, Topology) else None,
            change=part if isinstance(part, TopologyChange) else None,
        )
        self.kinds.append(type(part).__name__)
        found = self.server.resolve(DetectRequest.model_validate_json(request.model_dump_json()))
        self.upload.accepted(look)
        whole = build_topology(pods, workload, Cluster(), look.digest)
        assert sorted(found.pods, key=lambda one: one.uid) == sorted(whole.pods, key=lambda one: one.uid)
        return found


@pytest.fixture
def world() -> World:
    return World()


def test_the_whole_once_then_nothing_then_what_changed(world: World) -> None:
    world.send()
    world.send()
    world.change("p-1", version=2, containers=[{"name": "app", "restartCount": 3}])  # nothing that is sent
    world.send()
    world.change("new")
    world.change("p-2", version=2, phase="Failed")
    world.store.observe("DELETED", pod("p-3", version=2))
    found = world.send()
    assert world.kinds == ["Topology", "NoneType", "NoneType", "TopologyChange"]
    assert {"new"} <= {one.name for one in found.pods}
    assert not {"p-2", "p-3"} & {one.name for one in found.pods}


def test_that_a_pod_has_been_told_to_end_is_sent(world: World) -> None:
    world.send()
    ending = pod("p-7", version=2)
    ending["metadata"]["deletionTimestamp"] = START.isoformat()
    world.store.observe("MODIFIED", ending)
    assert [one.name for one in world.send().pods if one.deleting] == ["p-7"]
    assert world.kinds[-1] == "TopologyChange"


def test_much_at_once_and_a_long_time_mean_the_whole(world: World) -> None:
    world.send()
    for index in range(20):
        world.change(f"more-{index}")
    world.send()
    world.at += WHOLE_EVERY
    world.change("one")
    world.send()
    assert world.kinds == ["Topology", "Topology", "Topology"]


def test_a_server_that_has_forgotten_asks_for_the_whole(world: World) -> None:
    world.send()
    world.server = Topologies()
    world.change("new")
    with pytest.raises(UnknownTopology):
        world.send()


def test_what_a_server_keeps_is_bounded(world: World) -> None:
    for index in range(PER_CLUSTER + 2):
        world.change(f"new-{index}")
        world.send()
    for index in range(MAX_CLUSTERS + 2):
        other = World()
        other.server = world.server
        other.send(f"cluster-{index}")
    assert len(world.server.clusters) == MAX_CLUSTERS
    assert "c" not in world.server.clusters


def test_a_whole_with_another_digest_than_it_says_is_refused(world: World) -> None:
    found = world.send()
    request = DetectRequest(cluster="c", topology_digest="sha256:" + "1" * 64, topology=found)
    with pytest.raises(UnknownTopology):
        Topologies().resolve(request)


def test_time_alone_sends_nothing(world: World) -> None:
    world.send()
    world.at = world.at + timedelta(days=1)
    assert isinstance(world.at, datetime)
    world.send()
    assert world.kinds == ["Topology", "NoneType"]
