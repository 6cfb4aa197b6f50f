"""The embedded cluster's life: two side by side, one killed and raised again, both gone without a trace."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from devcluster.embedded import cgroups
from devcluster.embedded.layout import Layout, identity
from devcluster.embedded.provider import EmbeddedProvider
from devcluster.images import ImageConfig, build_archive
from devcluster.state import Store
from devcluster.toolchain import Toolchain
from tests.e2e.support import Cluster, eventually

IMAGE = "localhost/iirp/test-pause:1"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="an embedded cluster takes root")


@dataclass(frozen=True)
class Running:
    """An embedded cluster of this test, and kubectl for it."""

    provider: EmbeddedProvider
    layout: Layout
    kubectl: Cluster

    def pids(self) -> set[int]:
        return cgroups.members(self.layout.cgroup)

    def pod_started(self) -> str | None:
        """The start time of the test pod's container when it runs."""
        pod = self.kubectl.get("pod", "still", "default") or {}
        statuses = pod.get("status", {}).get("containerStatuses") or [{}]
        started = statuses[0].get("state", {}).get("running", {}).get("startedAt")
        return str(started) if started else None


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """State folders of this test's own: the names may be in use elsewhere."""
    return Store(tmp_path_factory.mktemp("clusters"))


@pytest.fixture(scope="module")
def clusters(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Running]]:
    """Two clusters side by side, each with one pod."""
    archive = tmp_path_factory.mktemp("images") / "pause.tar"
    program = {"/pause": Toolchain().ensure("pause")}
    build_archive(archive, IMAGE, program, ImageConfig(entrypoint=("/pause",), user="65532:65532"))
    providers = [EmbeddedProvider(name, store) for name in ("one", "two")]
    try:
        yield _start(providers[0], archive), _start(providers[1], archive)
    finally:
        for provider in providers:
            provider.down()


def _start(provider: EmbeddedProvider, archive: Path) -> Running:
    provider.up()
    provider.load_images([archive])
    layout = provider.layout()
    running = Running(provider, layout, Cluster(layout.name, layout.kubeconfig))
    container = {"name": "still", "image": IMAGE, "imagePullPolicy": "Never"}
    metadata = {"name": "still", "namespace": "default"}
    running.kubectl.apply(
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
    )
    eventually(running.pod_started, within=60, what=f"the pod of {layout.name} to run")
    return running


def test_two_clusters_share_nothing(clusters: tuple[Running, Running]) -> None:
    one, two = clusters
    assert not one.pids() & two.pids()
    assert one.layout.index != two.layout.index
    for running in clusters:
        assert running.provider.status().ready
    assert "KUBE-" not in _text(["iptables-save"]), "kube-proxy's chains belong into the node's namespace"


def test_up_again_changes_nothing(clusters: tuple[Running, Running]) -> None:
    one, _ = clusters
    before = one.pids()
    one.provider.up()
    assert before <= one.pids()


def test_a_cluster_killed_without_down_comes_back_with_its_objects_and_the_other_one_never_notices(
    clusters: tuple[Running, Running],
) -> None:
    one, two = clusters
    ours, started = one.pids(), one.pod_started()
    for pid in two.pids():
        _kill(pid)
    eventually(lambda: not two.pids(), within=10, what="everything of the second cluster to be dead")
    assert not two.provider.status().ready
    two.provider.up()
    assert two.provider.status().ready
    eventually(two.pod_started, within=60, what="the pod to run again")
    restarts = two.kubectl.get("pod", "still", "default")
    assert restarts is not None
    assert restarts["status"]["containerStatuses"][0]["restartCount"] == 1
    assert ours <= one.pids()
    assert one.pod_started() == started


@pytest.mark.parametrize("part", ["kubelet", "containerd", "etcd", "coredns"])
def test_a_killed_part_is_started_again_and_pods_live_on(clusters: tuple[Running, Running], part: str) -> None:
    one, _ = clusters
    started = one.pod_started()
    record = json.loads((one.layout.folder / "run" / f"{part}.json").read_text())
    _kill(record["pid"])
    eventually(lambda: one.provider.status().parts[part] == "stopped", within=10, what=f"{part} to be dead")
    one.provider.up()
    assert one.provider.status().ready
    assert eventually(one.pod_started, within=60, what="the pod to be seen running") == started


def test_down_leaves_nothing(clusters: tuple[Running, Running], store: Store) -> None:
    for running in clusters:
        layout, pids, mark = running.layout, running.pids(), identity(running.layout.folder)
        namespaces = {_namespace(pid, kind) for pid in pids for kind in ("net", "mnt", "pid")} - _own_namespaces()
        assert namespaces
        running.provider.down()
        assert not [pid for pid in pids if _alive(pid)]
        assert not namespaces & _all_namespaces()
        assert mark not in _text(["ip", "-details", "link", "show"])
        assert str(layout.pods) not in _text(["ip", "route", "show", "table", "all"])
        assert str(layout.folder) not in Path("/proc/self/mountinfo").read_text()
        assert not list(Path("/sys/fs/cgroup").glob(f"**/iirp/{mark}"))
        assert not layout.folder.exists()
    assert store.names() == []
    assert "KUBE-" not in _text(["iptables-save"])


def test_down_of_what_is_gone_is_no_error(store: Store) -> None:
    EmbeddedProvider("one", store).down()


def _text(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _namespace(pid: int | str, kind: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/{kind}")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""


def _own_namespaces() -> set[str]:
    return {_namespace("self", kind) for kind in ("net", "mnt", "pid")} | {""}


def _all_namespaces() -> set[str]:
    pids = [path.name for path in Path("/proc").iterdir() if path.name.isdigit()]
    return {_namespace(pid, kind) for pid in pids for kind in ("net", "mnt", "pid")}
