"""The embedded cluster's life: two side by side, one killed and raised again, both gone without a trace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from devcluster.embedded import cgroups
from devcluster.embedded.layout import Layout, identity
from devcluster.embedded.provider import EmbeddedProvider
from devcluster.images import ImageConfig, build_archive
from devcluster.processes import ProcessTable, start_ticks
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

    def records(self) -> dict[str, str]:
        """What is known of each program: its PID, start time and command."""
        return {path.name: path.read_text() for path in (self.layout.folder / "run").glob("*.json")}

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
    before = one.records()
    one.provider.up()
    assert one.records() == before


def test_a_cluster_killed_without_down_comes_back_with_its_objects_and_the_other_one_never_notices(
    clusters: tuple[Running, Running],
) -> None:
    one, two = clusters
    ours, started = one.pids(), one.pod_started()
    for pid in two.pids():
        _kill(pid)
    eventually(lambda: not two.pids(), within=10, what="everything of the second cluster to be dead")
    assert not two.provider.status().ready
    _interrupted_up(two)
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
    table = ProcessTable(one.layout.folder)
    record = table.alive(part)
    assert record is not None
    _kill(record.pid)
    eventually(lambda: not record.alive(), within=30, what=f"{part} to be dead")
    assert one.provider.status().parts[part] == "stopped"
    one.provider.up()
    assert one.provider.status().ready
    assert eventually(one.pod_started, within=60, what="the pod to be seen running") == started


def test_down_leaves_nothing(clusters: tuple[Running, Running], store: Store) -> None:
    for running in clusters:
        layout, mark = running.layout, identity(running.layout.folder)
        processes = {pid: start_ticks(pid) for pid in running.pids()}
        assert processes
        assert mark in _text(["ip", "-details", "link", "show"])
        running.provider.down()
        assert not [pid for pid, ticks in processes.items() if ticks is not None and start_ticks(pid) == ticks]
        # The kernel removes a veth pair with its network namespace, which lives while a process or mount holds it.
        assert mark not in _text(["ip", "-details", "link", "show"])
        assert str(layout.pods) not in _text(["ip", "route", "show", "table", "all"])
        assert str(layout.folder) not in Path("/proc/self/mountinfo").read_text()
        assert not list(Path("/sys/fs/cgroup").glob(f"**/iirp/{mark}"))
        assert not layout.folder.exists()
    assert store.names() == []
    assert "KUBE-" not in _text(["iptables-save"])


def test_down_of_what_is_gone_is_no_error(store: Store) -> None:
    EmbeddedProvider("one", store).down()


def _interrupted_up(running: Running) -> None:
    """`up` in a process of its own, killed as soon as it has started etcd."""
    program = (
        "import sys; from pathlib import Path; from devcluster.embedded.provider import EmbeddedProvider; "
        "from devcluster.state import Store; EmbeddedProvider(sys.argv[2], Store(Path(sys.argv[1]))).up()"
    )
    folder = running.layout.folder
    table = ProcessTable(folder)
    with subprocess.Popen([sys.executable, "-c", program, str(folder.parent), folder.name]) as process:
        eventually(lambda: table.alive("etcd"), within=60, what="etcd to be started", every=0.05)
        process.kill()


def _text(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
