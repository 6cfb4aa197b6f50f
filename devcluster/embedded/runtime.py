"""containerd inside the node, spoken to through its own client `ctr` in the node's mount namespace."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from devcluster.embedded.layout import Layout
from devcluster.embedded.node import Node
from devcluster.errors import ClusterError, StepFailed

__all__ = ["import_archive", "responds", "snapshotter"]

_IMPORT_TIMEOUT = 600.0
_PROBE_TIMEOUT = 10.0


def snapshotter(layout: Layout) -> str:
    """`overlayfs`, unless the state folder itself lies on an overlay, which cannot carry another one."""
    layout.data.mkdir(parents=True, exist_ok=True)
    command = ["stat", "--file-system", "--format=%T", str(layout.data)]
    kind = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_TIMEOUT, check=True).stdout.strip()
    return "native" if kind == "overlayfs" else "overlayfs"


def responds(layout: Layout, node: Node) -> bool:
    """Whether containerd answers."""
    return _ctr(layout, node, ["version"], timeout=_PROBE_TIMEOUT).returncode == 0


def import_archive(layout: Layout, node: Node, archive: Path, log: Path) -> None:
    """Imports a docker-archive, through standard input: the node need not see this machine's folders."""
    if not archive.is_file():
        raise ClusterError(f"there is no image archive {archive}")
    arguments = ["--namespace=k8s.io", "images", "import", "--snapshotter", snapshotter(layout), "-"]
    with archive.open("rb") as content:
        done = _ctr(layout, node, arguments, content)
    if done.returncode != 0:
        raise StepFailed(f"importing {archive} failed: {done.stderr.strip()[-500:]}", log)


def _ctr(
    layout: Layout,
    node: Node,
    arguments: Sequence[str],
    stdin: IO[bytes] | None = None,
    timeout: float = _IMPORT_TIMEOUT,
) -> subprocess.CompletedProcess[str]:
    holder = node.holder()
    if holder is None:
        raise ClusterError(f"cluster {layout.name} is not running: iirp cluster up --name {layout.name}")
    enter = ["nsenter", "--target", str(holder), "--mount", "--", "ctr", "--address", layout.containerd_socket]
    command = [*enter, *arguments]
    return subprocess.run(command, stdin=stdin, capture_output=True, text=True, timeout=timeout, check=False)
