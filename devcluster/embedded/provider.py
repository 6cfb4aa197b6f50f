"""The embedded provider: a cluster of one node in namespaces of this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from devcluster.embedded import credentials, runtime
from devcluster.embedded.bringup import Bringup
from devcluster.embedded.components import COMPONENTS
from devcluster.embedded.kube import KubeClient
from devcluster.embedded.layout import Layout
from devcluster.embedded.node import Node, release
from devcluster.errors import ClusterError
from devcluster.processes import ProcessTable
from devcluster.progress import Progress
from devcluster.provider import ClusterStatus
from devcluster.state import Store
from devcluster.toolchain import Toolchain

__all__ = ["EmbeddedProvider"]


class EmbeddedProvider:
    """`up` is a list of idempotent steps, `down` is the kernel's work."""

    def __init__(self, name: str, store: Store, toolchain: Toolchain | None = None) -> None:
        self._name = name
        self._store = store
        self._toolchain = toolchain or Toolchain()
        self._table = ProcessTable(store.folder(name))

    def up(self, progress: Progress | None = None) -> None:
        """Brings the cluster up from whatever state it is in; one caller at a time."""
        with self._store.locked(self._name):
            Bringup(self._name, self._store, self._table, self._toolchain).run(progress)

    def down(self) -> None:
        """Kills the node, and with it its mounts, links and chains; then its cgroups and its folder.

        Needs no readable record: the cluster's cgroup lists its processes, and its link bears its name.
        """
        with self._store.locked(self._name):
            if os.geteuid() != 0:
                raise ClusterError(f"taking cluster {self._name} down takes root, as bringing it up did")
            release(self._store.folder(self._name), self._table)
            if (folder := self._store.folder(self._name)).exists():
                shutil.rmtree(folder)

    def status(self) -> ClusterStatus:
        """Looks at the processes and asks the API server."""
        layout = self.layout()
        parts = {name: "running" if self._table.alive(name) else "stopped" for name in ("node", *COMPONENTS)}
        complete = all(state == "running" for state in parts.values())
        ready = complete and KubeClient(layout).node_ready(layout.node)
        return ClusterStatus(self._name, "embedded", ready, layout.server, str(layout.host_ip), parts)

    def kubeconfig(self) -> Path:
        """The administrator's."""
        path = self.layout().kubeconfig
        if not path.exists():
            raise ClusterError(f"cluster {self._name} has no kubeconfig yet: iirp cluster up --name {self._name}")
        return path

    def user_kubeconfig(self, user: str, groups: Sequence[str] = ()) -> Path:
        """For a plain user: a client certificate, and no rights beyond what RBAC grants."""
        return credentials.user_kubeconfig(self.layout(), user, groups)

    def load_images(self, archives: Sequence[Path]) -> None:
        """Imports docker-archives into the node's containerd."""
        layout = self.layout()
        node = Node(layout, self._table)
        for archive in archives:
            runtime.import_archive(layout, node, archive, self._table.log("containerd"))

    def layout(self) -> Layout:
        """Addresses and folders. Raises ClusterError when there is no such cluster."""
        record = self._store.load(self._name)
        if record is None or record.index is None:
            raise ClusterError(f"there is no embedded cluster {self._name}: iirp cluster up --name {self._name}")
        return Layout(self._name, record.index, self._store.folder(self._name))
