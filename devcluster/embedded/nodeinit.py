"""Becomes the first process of a node: `unshare … python nodeinit.py STATE PAUSE NAME`, already in fresh namespaces.

Gives the node its own /run, and its own view of /etc and /var (a layer over the machine's, whose changes lie in the
state folder): so every path is the one that Kubernetes documents, several nodes coexist, and all mounts vanish with the
last process. Standard library alone. Ends by becoming `pause`, which reaps orphans; when that dies, the kernel kills
everything else in the node.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from pathlib import Path

__all__ = ["main"]

_REC, _BIND, _PRIVATE, _SHARED = 0x4000, 0x1000, 1 << 18, 1 << 20
_NOSUID_NODEV_NOEXEC = 2 | 4 | 8
# What the node keeps, and where programs expect it.
_KEPT = {
    "kubelet": "/var/lib/kubelet",
    "containerd": "/var/lib/containerd",
    "pods": "/var/log/pods",
    "containers": "/var/log/containers",
}


def main() -> None:
    """Mounts, names, and becomes `pause`; any failure ends the node with the reason in its log."""
    state, pause, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    mount("none", "/", flags=_REC | _PRIVATE)  # nothing of the following reaches the machine
    mount("none", "/", flags=_REC | _SHARED)  # and volumes with mount propagation work within the node
    binary = os.open(pause, os.O_RDONLY | os.O_CLOEXEC)  # it may lie under a folder that is about to be covered
    folders(state)
    mount("proc", "/proc", "proc", _NOSUID_NODEV_NOEXEC)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    socket.sethostname(name)
    os.setsid()
    os.execve(binary, [name], {})  # noqa: S606  no shell is what is meant


def folders(state: Path) -> None:
    """The node's /run, /etc and /var."""
    for layer in ("etc", "var"):
        for part in ("upper", "work"):
            (state / "layers" / layer / part).mkdir(parents=True, exist_ok=True)
    for kept in _KEPT:
        (state / kept).mkdir(parents=True, exist_ok=True)
    handles = {
        kept: os.open(state / kept, os.O_PATH) for kept in _KEPT
    }  # survive the covering of /var, if they lie there
    layers = {name: f"{state}/layers/{name}" for name in ("etc", "var")}
    mount("tmpfs", "/run", "tmpfs", 2 | 4, "mode=755")
    for name, layer in layers.items():
        mount("overlay", f"/{name}", "overlay", 0, f"lowerdir=/{name},upperdir={layer}/upper,workdir={layer}/work")
    for kept, handle in handles.items():
        Path(_KEPT[kept]).mkdir(parents=True, exist_ok=True)
        mount(f"/proc/self/fd/{handle}", _KEPT[kept], flags=_BIND | _REC)
        os.close(handle)
    for needed in ("/run/containerd", "/run/netns", "/run/lock"):
        Path(needed).mkdir(exist_ok=True)


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2); raises OSError that names the target."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mounting {kind or source}: {os.strerror(number)}", target)


if __name__ == "__main__":
    main()
