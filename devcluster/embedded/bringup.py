"""`up` as a list of idempotent steps: from nothing, from half a cluster, or from the remains of a killed one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from devcluster import debian
from devcluster.embedded import addons, config, credentials, network, runtime
from devcluster.embedded.components import COMPONENTS, argv
from devcluster.embedded.kube import KubeClient, answers
from devcluster.embedded.layout import Layout
from devcluster.embedded.node import Node
from devcluster.errors import ClusterError
from devcluster.images import ImageConfig, build_archive
from devcluster.processes import ProcessTable
from devcluster.progress import Progress
from devcluster.state import ClusterRecord, Store, choose_index
from devcluster.toolchain import Background, Toolchain

__all__ = ["Bringup"]

_START_TIMEOUT = 120.0


class Bringup:
    """One run of `up`. Steps may rely on the earlier ones, and find their own work done already."""

    def __init__(self, name: str, store: Store, table: ProcessTable, toolchain: Toolchain) -> None:
        self._name = name
        self._store = store
        self._table = table
        self._toolchain = toolchain
        self._background = Background(toolchain, ["coredns"])
        self._say: Callable[[str], None] = lambda _: None
        self._note: Callable[[str], None] = lambda _: None

    def run(self, progress: Progress | None) -> None:
        """All steps in order; the first that fails raises."""
        steps = {
            "Debian packages": self._packages,
            "Kubernetes binaries": self._binaries,
            "certificates and configuration": self._configure,
            "node namespaces and network": self._namespaces,
            "containerd": self._runtime,
            "etcd and API server": self._control_plane,
            "kubelet and kube-proxy": self._agents,
            "DNS": self._dns,
            "node ready": self._ready,
        }
        progress = progress or Progress(list(steps))
        self._say, self._note = progress.say, progress.note
        for title, step in steps.items():
            with progress.step(title):
                step()

    def _packages(self) -> None:
        debian.ensure(debian.NODE, self._say, self._table.log("apt"))
        if os.geteuid() != 0:
            raise ClusterError(
                "the embedded cluster makes namespaces, mounts and links, which takes root: "
                "run this as root, or choose --provider kind or existing"
            )

    def _binaries(self) -> None:
        if self._toolchain.find("kubelet") is None:
            self._say("building Kubernetes from Go modules, once: about 4 minutes on 2 cores when nothing is cached")
        for program in ("pause", "kubelet"):
            self._toolchain.ensure(program, self._note)
        # What is needed only later compiles while etcd and the API server start.
        self._background.start()

    def _configure(self) -> None:
        with self._store.locked():
            if self._store.load(self._name) is None:
                index = choose_index(self._store.indexes(), network.routed_networks())
                self._store.save(ClusterRecord(self._name, "embedded", index=index))
        layout = self._layout()
        credentials.create(layout)
        layout.audit_log.parent.mkdir(parents=True, exist_ok=True)
        for path, content in config.files(layout, runtime.snapshotter(layout), debian.CNI_BIN).items():
            file = layout.config / path
            file.parent.mkdir(parents=True, exist_ok=True)
            # kube-proxy watches its file, and ends when somebody writes to it, be it the same content.
            if not file.exists() or file.read_text() != content:
                file.write_text(content)

    def _namespaces(self) -> None:
        self._node().start(self._toolchain.ensure("pause"), sys.executable)

    def _runtime(self) -> None:
        layout, node = self._layout(), self._node()
        self._start("containerd")
        self._table.wait_ready("containerd", lambda: runtime.responds(layout, node), _START_TIMEOUT)
        entry = ImageConfig(entrypoint=("/pause",), user="65535:65535")
        files = {"/pause": self._toolchain.ensure("pause")}
        archive = build_archive(layout.data / "pause.tar", config.SANDBOX_IMAGE, files, entry)
        runtime.import_archive(layout, node, archive, self._table.log("containerd"))

    def _control_plane(self) -> None:
        self._start("etcd", "kube-apiserver")
        self._table.wait_ready("kube-apiserver", KubeClient(self._layout()).ready, _START_TIMEOUT)
        self._start("kube-controller-manager", "kube-scheduler")

    def _agents(self) -> None:
        layout = self._layout()
        client = KubeClient(layout)
        self._start("kubelet")
        self._table.wait_ready("kubelet", lambda: client.node_address(layout.node) is not None, _START_TIMEOUT)
        # Not before: a proxy that has seen the node without its address ends when it learns of it, to be restarted.
        self._start("kube-proxy")
        health = f"http://{layout.node_ip}:10256/healthz"
        self._table.wait_ready("kube-proxy", lambda: answers(health), _START_TIMEOUT)

    def _dns(self) -> None:
        layout = self._layout()
        addons.apply(layout, KubeClient(layout))
        self._background.wait("coredns")
        self._start("coredns")
        address = f"http://{layout.node_ip}:8181/ready"
        self._table.wait_ready("coredns", lambda: answers(address), _START_TIMEOUT)

    def _ready(self) -> None:
        layout = self._layout()
        client = KubeClient(layout)
        self._table.wait_ready("kubelet", lambda: client.node_ready(layout.node), _START_TIMEOUT)
        # Pods are refused until their namespace has its ServiceAccount.
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self._table.wait_ready("kube-controller-manager", lambda: client.exists(account), _START_TIMEOUT)
        for name in COMPONENTS:  # one that started and ended later must not go unnoticed
            self._table.wait_ready(name, lambda: True, 0.0)

    def _start(self, *names: str) -> None:
        layout = self._layout()
        found = {part: path for part in COMPONENTS if (path := self._toolchain.find(part)) is not None}
        for name in names:
            if name not in found:
                raise ClusterError(f"{name} is missing on this machine")
            self._node().run(name, argv(name, layout, found))

    def _node(self) -> Node:
        return Node(self._layout(), self._table)

    def _layout(self) -> Layout:
        record = self._store.load(self._name)
        if record is None or record.index is None:
            raise ClusterError(f"the record of cluster {self._name} vanished while it was brought up")
        return Layout(self._name, record.index, self._store.folder(self._name))
