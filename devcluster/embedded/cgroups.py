"""The cluster's own cgroups, in either version: `/iirp/<name>`, the kubelet's root, and `system` in it for programs.

Whatever the cluster started is in there, which makes this the complete list of what to kill when records are lost.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from devcluster.processes import poll, start_ticks

__all__ = ["create", "hierarchies", "kill_all", "members", "remove"]

_CPUSET = ("cpuset.cpus", "cpuset.mems")
_V2_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")


def hierarchies(mounts: str) -> tuple[list[Path], list[Path]]:
    """From the text of /proc/self/mounts: (the hierarchies to join, all that a runtime may have made cgroups in).

    The two differ in hybrid mode: version 1 governs, and a controller-less unified hierarchy stands beside it.
    """
    rows = [line.split() for line in mounts.splitlines()]
    version_1 = [Path(row[1]) for row in rows if row[2] == "cgroup"]
    unified = [Path(row[1]) for row in rows if row[2] == "cgroup2"]
    return version_1 or unified, version_1 + unified


def create(cgroup: str) -> list[str]:
    """Makes `cgroup` and `<cgroup>/system` everywhere; the files to write into so as to join the latter."""
    joins = []
    for top in _mounted()[0]:
        unified = (top / "cgroup.controllers").exists()
        folder = top
        for part in Path(f"{cgroup.strip('/')}/system").parts:
            if unified:
                _delegate(folder)
            folder = folder / part
            folder.mkdir(exist_ok=True)
            if (folder / "cpuset.cpus").exists() and not unified:
                _inherit_cpuset(folder)
        joins.append(str(folder / "cgroup.procs"))
    return joins


def members(cgroup: str) -> set[int]:
    """All processes in or below the cgroup, in any hierarchy."""
    found: set[int] = set()
    for top in _mounted()[1]:
        for procs in (top / cgroup.strip("/")).rglob("cgroup.procs"):
            try:
                found.update(int(line) for line in procs.read_text().split())
            except OSError:  # removed since it was listed
                continue
    return found - {0}


def kill_all(cgroup: str, timeout: float = 20.0) -> bool:
    """SIGKILL until nobody is left; False when somebody stays (a process in uninterruptible sleep).

    A dying process leaves its cgroup's list before it leaves the machine: those seen once are waited for, too.
    """
    seen: dict[int, int | None] = {}

    def gone() -> bool:
        pids = members(cgroup)
        for pid in pids:
            seen.setdefault(pid, start_ticks(pid))
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return not pids and not any(ticks is not None and start_ticks(pid) == ticks for pid, ticks in seen.items())

    return poll(gone, timeout, 0.1)


def remove(cgroup: str) -> None:
    """Removes the cgroup and, when this was the last one, the parent that all clusters share."""
    for top in _mounted()[1]:
        folder = top / cgroup.strip("/")
        if folder.is_dir():
            for below in sorted(
                (path for path in folder.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts)
            ):
                below.rmdir()
            folder.rmdir()
        shared = folder.parent
        if shared != top and shared.is_dir() and not any(path.is_dir() for path in shared.iterdir()):
            shared.rmdir()


def _mounted() -> tuple[list[Path], list[Path]]:
    return hierarchies(Path("/proc/self/mounts").read_text())


def _inherit_cpuset(folder: Path) -> None:
    # In version 1 a cpuset starts empty, and no process can join an empty one.
    for name in _CPUSET:
        if not (folder / name).read_text().strip():
            (folder / name).write_text((folder.parent / name).read_text())


def _delegate(folder: Path) -> None:
    there = (folder / "cgroup.controllers").read_text().split()
    wanted = " ".join(f"+{name}" for name in _V2_CONTROLLERS if name in there)
    if wanted:
        (folder / "cgroup.subtree_control").write_text(wanted)
