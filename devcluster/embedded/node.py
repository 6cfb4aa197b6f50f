"""The node: namespaces held by one process, a cable, cgroups. Programs are started inside of it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from devcluster.embedded import cgroups, network
from devcluster.embedded.layout import Layout, cgroup_of
from devcluster.errors import StepFailed
from devcluster.processes import ProcessRecord, ProcessSpec, ProcessTable, poll

__all__ = ["Node", "configuration", "release"]

_INIT = "node"
_START_TIMEOUT = 20.0


class Node:
    """One node's namespaces. `table` records the process that holds them and every program within."""

    def __init__(self, layout: Layout, table: ProcessTable) -> None:
        self._layout = layout
        self._table = table

    def start(self, pause: Path, python: str) -> int:
        """Makes or adopts the namespaces; the PID, as this machine sees it, of the process that holds them."""
        holder = self.holder()
        if holder is None or not network.connected(self._layout):
            release(self._layout.folder, self._table)
            holder = self._create(pause, python)
            network.connect(self._layout, holder)
        return holder

    def run(self, name: str, argv: Sequence[str]) -> ProcessRecord:
        """Starts or adopts a program inside the node; one whose configuration changed since is started anew."""
        holder = self.holder()
        if holder is None:
            raise StepFailed("the node's first process is gone", self._table.log(_INIT))
        joins = cgroups.create(self._layout.cgroup)
        files = configuration(argv, self._layout.config)
        return self._table.ensure(ProcessSpec(name, argv, namespaces_of=holder, cgroups=joins, files=files))

    def _create(self, pause: Path, python: str) -> int:
        joins = cgroups.create(self._layout.cgroup)
        self._layout.data.mkdir(parents=True, exist_ok=True)
        unshare = shutil.which("unshare") or "/usr/bin/unshare"
        init = str(Path(__file__).with_name("nodeinit.py"))
        argv = [
            unshare, "--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--",
            python, "-I", init, str(self._layout.data), str(pause), self._layout.node,
        ]  # fmt: skip
        self._table.start(ProcessSpec(_INIT, argv, cgroups=joins))
        self._table.wait_ready(_INIT, lambda: self.holder() is not None, _START_TIMEOUT, 0.05)
        if (holder := self.holder()) is None:
            raise StepFailed("the node's first process ended at once", self._table.log(_INIT))
        return holder

    def holder(self) -> int | None:
        """The child of `unshare` once it has become `pause`, which it does when all mounts are made."""
        record = self._table.alive(_INIT)
        if record is None:
            return None
        try:
            children = Path(f"/proc/{record.pid}/task/{record.pid}/children").read_text().split()
            if not children or Path(f"/proc/{children[0]}/cmdline").read_text().strip("\0") != self._layout.node:
                return None
        except (FileNotFoundError, ProcessLookupError):
            return None
        return int(children[0])


def configuration(argv: Sequence[str], folder: Path) -> list[Path]:
    """The files under `folder` that a command line names, as `FILE` or `--option=FILE`."""
    values = [argument.partition("=")[2] or argument for argument in argv]
    return [Path(value) for value in values if Path(value).is_relative_to(folder)]


def release(folder: Path, table: ProcessTable) -> None:
    """Kills everything inside a node; with its last process go its mounts, links and iptables chains. Idempotent.

    Its cgroups go too, also before a restart: a kubelet waits seconds for each cgroup of a container that is no more.
    """
    cgroup = cgroup_of(folder)
    if not cgroups.kill_all(cgroup):  # before the first process: what dies with it has left the cgroup's list already
        raise StepFailed(f"processes {sorted(cgroups.members(cgroup))} of cluster {folder.name} do not end")
    table.stop(_INIT, grace=0.0)
    for record in table.records():
        table.stop(record.name, grace=0.0)
    network.disconnect(folder)
    if not poll(lambda: _removed(cgroup), 10.0):  # cgroups of the dead stay busy for a moment
        cgroups.remove(cgroup)


def _removed(cgroup: str) -> bool:
    try:
        cgroups.remove(cgroup)
    except OSError:
        return False
    return True
