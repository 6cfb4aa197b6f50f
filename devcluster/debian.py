"""What a node needs from Debian: installed after saying so, and only as root; otherwise the one command is named."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from devcluster.errors import ClusterError, StepFailed
from devcluster.paths import search_path

__all__ = ["NODE", "Need", "ensure", "find", "install_command", "missing"]

_TIMEOUT = 900.0
CNI_BIN = "/usr/lib/cni"
_SERVICES = {"etcd-server": "etcd.service", "containerd": "containerd.service"}


@dataclass(frozen=True, slots=True)
class Need:
    """A file or command, and the package that brings it."""

    package: str
    provides: str


NODE = (
    Need("etcd-server", "etcd"),
    Need("containerd", "containerd"),
    Need("runc", "runc"),
    Need("containernetworking-plugins", f"{CNI_BIN}/ptp"),
    Need("iptables", "iptables"),
    Need("iproute2", "ip"),
    Need("util-linux", "unshare"),
    Need("mount", "mount"),
)


def find(program: str) -> str | None:
    """Where a program is, by name or absolute path; None when it is not there."""
    return shutil.which(program, path=search_path())


def missing(needs: Sequence[Need], which: Callable[[str], str | None] = find) -> list[str]:
    """The packages to install, in order."""
    return [need.package for need in needs if which(need.provides) is None]


def install_command(packages: Sequence[str]) -> list[str]:
    """Only what is named; never a removal, never an upgrade of what is there."""
    wait = ["-o", "DPkg::Lock::Timeout=300"]  # another installation may be under way
    return ["apt-get", "install", *wait, "--yes", "--no-install-recommends", "--no-upgrade", "--no-remove", *packages]


def ensure(needs: Sequence[Need], say: Callable[[str], None], log: Path) -> None:
    """Installs what is missing. Raises ClusterError with the command to run when this user may not."""
    packages = missing(needs)
    if not packages:
        return
    command = install_command(packages)
    if shutil.which("apt-get") is None:
        raise ClusterError(
            f"missing: {', '.join(packages)} (Debian's names), and this machine has no apt-get to install them with"
        )
    if os.geteuid() != 0:
        raise ClusterError(f"missing: {', '.join(packages)}. Run: sudo {' '.join(command)}")
    say(f"installing from Debian: {' '.join(packages)} ({' '.join(command)})")
    log.parent.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with log.open("w") as file:
        for attempt in (["apt-get", "update", "-q"], command, *quiet_services(packages)):
            code = subprocess.run(attempt, env=env, stdout=file, stderr=file, timeout=_TIMEOUT, check=False).returncode
            if attempt == command and (code != 0 or missing(needs)):
                raise StepFailed(f"installing {' '.join(packages)} failed", log)


def quiet_services(installed: Sequence[str], systemd: Path = Path("/run/systemd/system")) -> list[list[str]]:
    """Commands that stop what Debian starts right after installing it: the cluster runs its own, in its own namespaces.

    Only of packages that this program has just installed: a containerd that was there before belongs to somebody.
    """
    units = [_SERVICES[package] for package in installed if package in _SERVICES]
    return [["systemctl", "disable", "--now", *units]] if units and systemd.is_dir() else []
