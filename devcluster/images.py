"""Container images without an engine or a registry: docker-archives written by hand, same bytes for same files."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

__all__ = ["ImageConfig", "build_archive", "build_layered", "write_layer"]

_EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What runs when a container does not say otherwise."""

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    workdir: str = "/"
    labels: Mapping[str, str] = field(default_factory=dict)


def build_archive(target: Path, name: str, source: Path | Mapping[str, Path], config: ImageConfig) -> Path:
    """Writes the docker-archive `target` with one layer, under the image name `name` (with a tag).

    `source` is a root filesystem's folder, or files by their absolute path in the image. Deterministic: entries are
    sorted, times zero, owners numeric.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    layer = target.with_name(f".{target.name}.layer.{os.getpid()}")
    try:
        with layer.open("wb") as file:
            write_layer(file, source)
        return build_layered(target, name, [layer], config)
    finally:
        layer.unlink(missing_ok=True)


def build_layered(target: Path, name: str, layers: Sequence[Path], config: ImageConfig) -> Path:
    """Writes the docker-archive `target` from ready layer tars, lowest first: images share what they have in common."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    digests = [_sha256(layer) for layer in layers]
    content = json.dumps(_config(config, digests), sort_keys=True).encode()
    image = hashlib.sha256(content).hexdigest()
    manifest = [{"Config": f"{image}.json", "RepoTags": [name], "Layers": [f"{digest}.tar" for digest in digests]}]
    try:
        with tarfile.open(unfinished, "w") as archive:
            _add_bytes(archive, "manifest.json", json.dumps(manifest).encode())
            _add_bytes(archive, f"{image}.json", content)
            for digest, layer in zip(digests, layers, strict=True):
                info = tarfile.TarInfo(f"{digest}.tar")
                info.size = layer.stat().st_size
                with layer.open("rb") as file:
                    archive.addfile(info, file)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def write_layer(file: IO[bytes], source: Path | Mapping[str, Path]) -> None:
    """Writes the files as an uncompressed tar, sorted by path, parents first."""
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
        if isinstance(source, Path):
            _add_tree(tar, source)
        else:
            _add_files(tar, source)


def _add_tree(tar: tarfile.TarFile, root: Path) -> None:
    links: dict[tuple[int, int], str] = {}
    for folder, folders, files in os.walk(root):
        folders.sort()
        base = Path(folder)
        symlinked = [name for name in folders if (base / name).is_symlink()]
        for name in sorted([*files, *symlinked, *(name for name in folders if name not in symlinked)]):
            path = base / name
            entry = path.lstat()
            if not (stat.S_ISREG(entry.st_mode) or stat.S_ISDIR(entry.st_mode) or stat.S_ISLNK(entry.st_mode)):
                continue  # devices and sockets are the runtime's business
            info = tar.gettarinfo(str(path), arcname=str(path.relative_to(root)))
            info.mtime, info.uname, info.gname = 0, "", ""
            identity = (entry.st_dev, entry.st_ino)
            if info.isreg() and entry.st_nlink > 1:
                first = links.setdefault(identity, info.name)
                info.type, info.linkname = (tarfile.REGTYPE, "") if first == info.name else (tarfile.LNKTYPE, first)
                info.size = entry.st_size if info.isreg() else 0
            if info.isreg():
                with path.open("rb") as content:
                    tar.addfile(info, content)
            else:
                tar.addfile(info)


def _add_files(tar: tarfile.TarFile, files: Mapping[str, Path]) -> None:
    folders = sorted({str(parent).strip("/") for name in files for parent in Path(name).parents} - {"", "."})
    for folder in folders:
        info = tarfile.TarInfo(folder)
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(info)
    for name, path in sorted(files.items()):
        info = tarfile.TarInfo(name.strip("/"))
        info.size, info.mode = path.stat().st_size, 0o755 if os.access(path, os.X_OK) else 0o644
        with path.open("rb") as content:
            tar.addfile(info, content)


def _config(config: ImageConfig, layers: Sequence[str]) -> dict[str, object]:
    run: dict[str, object] = {"WorkingDir": config.workdir, "Env": [f"{k}={v}" for k, v in sorted(config.env.items())]}
    if config.entrypoint:
        run["Entrypoint"] = list(config.entrypoint)
    if config.cmd:
        run["Cmd"] = list(config.cmd)
    if config.user:
        run["User"] = config.user
    if config.labels:
        run["Labels"] = dict(config.labels)
    return {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),
        "os": "linux",
        "created": _EPOCH,
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}" for layer in layers]},
    }


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
