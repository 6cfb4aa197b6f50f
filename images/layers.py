"""Layers: what goes into an image, as values with a content key. Equal keys are equal layers, built once."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from devcluster.errors import ClusterError, StepFailed
from devcluster.toolchain import Toolchain
from images import rootfs

__all__ = ["APP", "LIB", "BinaryLayer", "Layer", "PythonLayer", "SourceLayer", "WheelsLayer", "project_root"]

LIB = "opt/iirp/lib"
"""Where third-party packages lie in an image."""
APP = "opt/iirp/app"
"""Where the project's own packages lie."""
_TIMEOUT = 900.0


def project_root() -> Path:
    """The folder of this repository."""
    return Path(__file__).resolve().parent.parent


class Layer(Protocol):
    """One layer of an image."""

    @property
    def name(self) -> str:
        """For file names and messages."""

    def key(self) -> str:
        """Hash over everything that the layer is made from."""

    def stage(self, folder: Path, log: Path) -> None:
        """Fills an empty folder with the layer's files. Raises StepFailed or ClusterError."""


@dataclass(frozen=True, slots=True)
class PythonLayer:
    """Debian's Python, and further packages of Debian's where wheels need them."""

    name: str = "python3.11"
    further: tuple[str, ...] = ()

    def key(self) -> str:
        """Over the recipe, not the packages' versions: a cached base stays until the cache is cleared."""
        release = Path("/etc/os-release")
        return _hash(
            [
                rootfs.RECIPE,
                *rootfs.PACKAGES,
                *self.further,
                os.uname().machine,
                release.read_text() if release.exists() else "",
            ]
        )

    def stage(self, folder: Path, log: Path) -> None:
        """See `rootfs`."""
        rootfs.stage_python(folder, log, self.further)


@dataclass(frozen=True, slots=True)
class WheelsLayer:
    """Third-party packages from a lock file with hashes; `only` narrows it to named ones."""

    name: str
    lock: str
    only: tuple[str, ...] = ()

    def key(self) -> str:
        """Over the lock file and the choice."""
        return _hash(["wheels-1", *self.only, (project_root() / self.lock).read_text(), os.uname().machine])

    def stage(self, folder: Path, log: Path) -> None:
        """Installs wheels only, never building anything, with every hash checked."""
        requirements = folder.with_name(f"{folder.name}.txt")
        requirements.write_text(_narrowed((project_root() / self.lock).read_text(), self.only))
        command = [
            uv(), "pip", "install", "--quiet", "--target", str(folder / LIB), "--python-version", "3.11", "--no-deps",
            "--require-hashes", "--only-binary", ":all:", "--link-mode", "copy", "-r", str(requirements),
        ]  # fmt: skip
        try:
            with log.open("a") as file:
                done = subprocess.run(command, stdout=file, stderr=file, timeout=_TIMEOUT, check=False)
        finally:
            requirements.unlink()
        if done.returncode != 0:
            raise StepFailed(f"installing {self.lock} for an image failed", log)
        shutil.rmtree(folder / LIB / "bin", ignore_errors=True)
        rootfs.precompile(folder / LIB, f"/{LIB}")


@dataclass(frozen=True, slots=True)
class SourceLayer:
    """The project's own packages: folders or single files, relative to the repository."""

    name: str
    sources: tuple[str, ...]

    def files(self) -> list[Path]:
        """Relative paths of all files, sorted."""
        root = project_root()
        found: set[Path] = set()
        for source in self.sources:
            path = root / source
            if not path.exists():
                raise ClusterError(f"{source} is missing from the repository, and {self.name} is made from it")
            found.update([path] if path.is_file() else (item for item in path.rglob("*") if item.is_file()))
        return sorted(path.relative_to(root) for path in found if "__pycache__" not in path.parts)

    def key(self) -> str:
        """Over every path and content."""
        root = project_root()
        digest = hashlib.sha256(b"source-1")
        for path in self.files():
            digest.update(f"\0{path}\0".encode() + (root / path).read_bytes())
        return digest.hexdigest()[:16]

    def stage(self, folder: Path, log: Path) -> None:  # noqa: ARG002 it runs nothing that writes one
        """Copies and precompiles."""
        for path in self.files():
            target = folder / APP / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(project_root() / path, target)
        rootfs.precompile(folder / APP, f"/{APP}")


@dataclass(frozen=True, slots=True)
class BinaryLayer:
    """One static Go program, built by the toolchain, and the few files that any container has."""

    name: str
    program: str
    path: str

    def key(self) -> str:
        """The toolchain's folder carries the hash of the program's sources; builds the program if need be."""
        program = Toolchain().ensure(self.program)
        return _hash(["binary-1", program.parent.name, self.path, str(program.stat().st_size)])

    def stage(self, folder: Path, log: Path) -> None:  # noqa: ARG002 it runs nothing that writes one
        """Copies the program."""
        rootfs.stage_system_files(folder)
        target = folder / self.path.strip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Toolchain().ensure(self.program), target)
        target.chmod(0o755)


def uv() -> str:
    """The installer: beside this interpreter, or on the PATH. Raises ClusterError."""
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise ClusterError("uv is missing: run `make setup`")
    return found


def _narrowed(lock: str, only: Iterable[str]) -> str:
    """The entries of the lock file that are wanted; all of them when nothing is named."""
    wanted = set(only)
    if not wanted:
        return lock
    kept: list[str] = []
    keep = False
    for line in lock.splitlines():
        if line and not line[0].isspace() and not line.startswith("#"):
            keep = line.partition("==")[0].partition("[")[0] in wanted
        if keep:
            kept.append(line)
    return "\n".join(kept) + "\n"


def _hash(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
