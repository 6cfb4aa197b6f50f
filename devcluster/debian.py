"""What a node needs from Debian: installed after saying so, and only as root; otherwise the one command is named."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from devcluster.errors import ClusterError, StepFailed

__all__ = ["NODE", "Need", "ensure", "install_command", "missing"]

_TIMEOUT = 900.0
CNI_BIN = "/usr/lib/cni"


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


def missing(needs: Sequence[Need], which: Callable[[str], str | None] = shutil.which) -> list[str]:
    """The packages to install, in order. `which` also finds absolute paths."""
    return [need.package for need in needs if which(need.provides) is None]


def install_command(packages: Sequence[str]) -> list[str]:
    """Only what is named; never a removal, never an upgrade of what is there."""
    return ["apt-get", "install", "--yes", "--no-install-recommends", "--no-upgrade", "--no-remove", *packages]


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
    # The packages' services must not start: the cluster runs its own. This is invoke-rc.d's documented way to say so.
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1", "SYSTEMD_OFFLINE": "1"}
    with log.open("w") as file:
        for attempt in (["apt-get", "update", "-q"], command):
            code = subprocess.run(attempt, env=env, stdout=file, stderr=file, timeout=_TIMEOUT, check=False).returncode
    if code != 0 or (packages := missing(needs)):
        raise StepFailed(f"installing {' '.join(packages)} failed", log)
