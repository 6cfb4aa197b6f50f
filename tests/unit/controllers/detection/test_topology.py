from __future__ import annotations

from datetime import datetime, timedelta

from controllers.detection.inventory import Cluster
from controllers.detection.topology import RELIST, Owners, PodStore, build_topology, topology_digest
from controllers.kube.errors import Forbidden, KubeError
from controllers.kube.facts import pod_record
from controllers.kube.resources import PODS, REPLICASETS
from tests.fakes.kube import START, FakeKube
from tests.unit.controllers.detection.pods import pod, replica_set


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


def names(store: PodStore) -> list[str]:
    return [item.name for item in store.snapshot()]


def test_the_watch_adds_changes_and_removes() -> None:
    store = PodStore(Clock())
    store.observe(None, pod("a"))
    store.observe("ADDED", pod("b"))
    store.observe("MODIFIED", pod("a", version=2, phase="Failed"))
    store.observe("DELETED", pod("b", version=3))
    assert names(store) == ["a"]
    assert store.snapshot()[0].phase == "Failed"


def test_a_diagnostic_job_is_no_workload_of_anybody() -> None:
    """It mounts the volume that fills, so it would be named as what fills it."""
    store = PodStore(lambda: START)
    store.observe("ADDED", pod("look", owner=("Job", "iirp-job-act-0123456789abcdef")))
    store.observe("ADDED", pod("theirs", owner=("Job", "import")))
    assert [found.name for found in store.snapshot()] == ["theirs"]


def test_an_older_event_does_not_undo_a_newer_one() -> None:
    store = PodStore(Clock())
    store.observe("MODIFIED", pod("a", version=7, phase="Running"))
    store.observe("MODIFIED", pod("a", version=5, phase="Pending"))
    assert store.snapshot()[0].phase == "Running"


def test_a_full_list_heals_what_the_watch_missed_and_is_not_repeated_too_soon() -> None:
    clock, kube = Clock(), FakeKube()
    store = PodStore(clock)
    store.observe("ADDED", pod("lost-deletion"))
    kube.add_raw(PODS, pod("missed-creation"))
    assert store.relist(kube, (None,))
    assert names(store) == ["missed-creation"]
    assert not store.relist(kube, (None,))
    clock.now += RELIST
    assert store.relist(kube, (None,))


def test_a_list_does_not_bring_back_what_was_deleted_meanwhile_nor_drop_what_is_brand_new() -> None:
    clock, kube = Clock(), FakeKube()
    store = PodStore(clock)
    kube.add_raw(PODS, pod("just-deleted"))
    store.observe("DELETED", pod("just-deleted", version=99))
    brand_new = pod("brand-new")
    brand_new["metadata"]["creationTimestamp"] = (START - timedelta(seconds=1)).isoformat()
    store.observe("ADDED", brand_new)
    store.relist(kube, (None,))
    assert names(store) == ["brand-new"]


def test_pods_are_led_back_to_their_deployment_with_one_request_for_each_replicaset() -> None:
    kube = FakeKube()
    kube.add_raw(REPLICASETS, replica_set())
    owners = Owners(kube)
    first = owners.workload(pod_record(pod("a")))
    kube.objects.clear()
    assert owners.workload(pod_record(pod("b"))) == first
    assert (first.kind, first.name, first.uid) == ("Deployment", "payments", "uid-payments")


def test_other_owners_stand_for_themselves_and_a_bare_pod_too() -> None:
    owners = Owners(FakeKube())
    assert owners.workload(pod_record(pod(owner=("StatefulSet", "db")))).name == "db"
    assert owners.workload(pod_record(pod("bare", owner=None))).kind == "Pod"
    assert owners.workload(pod_record(pod(owner=("ReplicaSet", "gone")))).kind == "ReplicaSet"


def test_preloading_learns_all_and_a_refusal_is_no_end() -> None:
    kube = FakeKube()
    kube.add_raw(REPLICASETS, replica_set())
    owners = Owners(kube)
    owners.preload((None,))
    kube.objects.clear()
    assert owners.workload(pod_record(pod())).name == "payments"

    def refuse(verb: str, *_: str) -> KubeError | None:
        return Forbidden("Forbidden", "no") if verb == "list" else None

    kube.fail = refuse
    Owners(kube).preload((None,))


def test_equal_pods_have_an_equal_digest_and_ended_ones_do_not_count() -> None:
    owners = Owners(FakeKube())
    store = PodStore(Clock())
    for body in (pod("b", owner=None), pod("c", owner=None, phase="Succeeded"), pod("a", owner=None)):
        store.observe("ADDED", body)
    digest = topology_digest(store.snapshot(), owners.workload, Cluster())
    again = PodStore(Clock())
    for name in "ab":
        again.observe("ADDED", pod(name, owner=None, version=9))
    assert topology_digest(again.snapshot(), owners.workload, Cluster()) == digest
    again.observe("DELETED", pod("a", owner=None, version=10))
    assert topology_digest(again.snapshot(), owners.workload, Cluster()) != digest
    topology = build_topology(store.snapshot(), owners.workload, Cluster(), digest)
    assert [fact.name for fact in topology.pods] == ["a", "b"]
    assert topology.digest == digest


def test_a_store_that_is_fed_by_a_reflector_lists_nothing_and_forgets_what_the_list_did_not_bring() -> None:
    kube, store = FakeKube(), PodStore(Clock())
    store.fed = True
    kube.add_raw(PODS, pod("unlisted"))
    for name in ("a", "b"):
        store.observe(None, pod(name))
    assert [store.relist(kube, (None,)) for _ in range(2)] == [True, False]
    store.retain("elsewhere", set())
    assert names(store) == ["a", "b"]
    store.retain("shop", {"uid-b"})
    assert names(store) == ["b"]
    store.observe("DELETED", pod("b", version=2))
    store.observe("ADDED", pod("b", version=3))
    assert names(store) == ["b"], "the stream is in order: what comes after a deletion is new"
