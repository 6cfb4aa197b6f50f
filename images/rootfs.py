"""The base of all Python images: Debian's python3.11 and what it needs, and nothing else: no shell, no package manager.

Made by asking apt what an empty system would need, downloading that, and unpacking it; maintainer scripts do not run.
So it needs no root and no chroot, and it honours the machine's apt sources, keys and proxies.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from devcluster.errors import ClusterError, StepFailed

__all__ = ["PACKAGES", "RECIPE", "precompile", "stage_python"]

RECIPE = "1"
"""Changes when this file makes something else out of the same packages."""
PACKAGES = ("python3.11-minimal", "libpython3.11-stdlib")
_NOT_NEEDED = ("dpkg", "tar", "readline-common", "libacl1", "libselinux1", "libpcre2-8-0", "libmd0")
"""Dependencies of maintainer scripts and of tools that are not there."""
_DROP = (
    "usr/share/doc", "usr/share/man", "usr/share/lintian", "usr/share/python3", "usr/share/binfmts",
    "usr/share/applications", "usr/share/pixmaps", "usr/lib/python3.11/test", "usr/lib/python3.11/idlelib",
    "usr/lib/python3.11/lib2to3", "usr/lib/python3.11/pydoc_data", "usr/lib/python3.11/distutils",
    "usr/lib/python3.11/ensurepip",
    "usr/lib/x86_64-linux-gnu/gconv", "usr/lib/aarch64-linux-gnu/gconv",
)  # fmt: skip
_USERS = "root:x:0:0:root:/:/usr/sbin/nologin\niirp:x:65532:65532:iirp:/:/usr/sbin/nologin\n"
_GROUP = "root:x:0:\niirp:x:65532:\n"
_TIMEOUT = 600.0


def stage_python(folder: Path, log: Path, further: Sequence[str] = ()) -> None:
    """Fills `folder` with the root filesystem and further packages. Raises StepFailed with apt's own words."""
    archives = folder.with_name(f"{folder.name}.debs")
    try:
        for package in _download(archives, [*PACKAGES, *further], log):
            if package.name.split("_")[0] not in _NOT_NEEDED:
                _run(["dpkg-deb", "--extract", str(package), str(folder)], log, f"unpacking {package.name} failed")
    finally:
        shutil.rmtree(archives, ignore_errors=True)
    for name in _DROP:
        shutil.rmtree(folder / name, ignore_errors=True)
    stage_system_files(folder)
    (folder / "usr/bin/python3").symlink_to("python3.11")
    precompile(folder / "usr/lib/python3.11", "/usr/lib/python3.11")


def stage_system_files(folder: Path) -> None:
    """What any image has: users, names, a place for temporary files."""
    (folder / "etc").mkdir(parents=True, exist_ok=True)
    (folder / "etc/passwd").write_text(_USERS)
    (folder / "etc/group").write_text(_GROUP)
    (folder / "etc/nsswitch.conf").write_text("hosts: files dns\n")
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    temporary.chmod(0o1777)


def precompile(folder: Path, shown_as: str) -> None:
    """Byte code beside the sources, valid without looking at them: the file system is read-only, and start-up matters.

    Byte code belongs to one minor version of Python; another one's interpreter cannot make it, so then there is none.
    """
    if sys.version_info[:2] != (3, 11):
        return
    command = [
        sys.executable, "-m", "compileall", "-q", "-j", "2", "--invalidation-mode", "unchecked-hash",
        "-s", str(folder), "-p", shown_as, str(folder),
    ]  # fmt: skip
    # A few files of the standard library and of wheels are templates that do not compile; they are not imported either.
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_TIMEOUT, check=False)


def _download(archives: Path, packages: Sequence[str], log: Path) -> list[Path]:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise ClusterError(
            "building the Python image needs Debian's apt-get and dpkg-deb; with Docker use images/Dockerfile"
        )
    shutil.rmtree(archives, ignore_errors=True)
    (archives / "partial").mkdir(parents=True)
    command = [
        "apt-get", "-qq", "--yes", "--no-install-recommends", "--download-only",
        "-o", "Dir::State::status=/dev/null", "-o", f"Dir::Cache::archives={archives}", "-o", "Debug::NoLocking=1",
        "-o", "APT::Sandbox::User=", "install", *packages,
    ]  # fmt: skip
    try:
        _run(command, log, "downloading Debian's Python failed")
    except StepFailed:
        # The package lists may be missing or too old; this is the one thing that helps, and it needs root.
        _run(["apt-get", "-qq", "update"], log, "apt-get update failed (run it as root)")
        _run(command, log, "downloading Debian's Python failed")
    return sorted(archives.glob("*.deb"))


def _run(command: list[str], log: Path, failure: str) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        code = subprocess.run(command, stdout=file, stderr=file, timeout=_TIMEOUT, check=False).returncode
    if code != 0:
        raise StepFailed(failure, log)
