"""Builds images as docker-archives in the cache: layers once per content, archives once per set of layers."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devcluster.images import build_layered, write_layer
from devcluster.paths import cache_dir
from images.catalogue import Image
from images.layers import Layer

__all__ = ["Builder", "Built"]

logger = logging.getLogger(__name__)

_KEPT = 3
"""Archives per image that stay in the cache: the newest ones."""


@dataclass(frozen=True, slots=True)
class Built:
    """A finished image. `tag` is a hash of its content, so a running cluster sees a change as a change."""

    name: str
    repository: str
    tag: str
    archive: Path

    @property
    def reference(self) -> str:
        """Repository and tag."""
        return f"{self.repository}:{self.tag}"


class Builder:
    """Builds into one cache folder; several builders at once wait for each other."""

    def __init__(self, cache: Path | None = None) -> None:
        self._folder = (cache or cache_dir()) / "images"

    def build(self, image: Image) -> Built:
        """The image, from the cache if its content is the same. Raises StepFailed with the log's last lines."""
        keys = [f"{layer.name}-{layer.key()}" for layer in image.layers]
        tag = hashlib.sha256("\0".join([*keys, repr(image.config)]).encode()).hexdigest()[:12]
        archive = self._folder / f"{image.name}-{tag}.tar"
        built = Built(image.name, image.repository, tag, archive)
        if not archive.exists():
            with self._locked(image.name):
                layers = [self._layer(layer, key) for layer, key in zip(image.layers, keys, strict=True)]
                build_layered(archive, built.reference, layers, image.config)
                self._prune(image.name, archive)
        return built

    def _layer(self, layer: Layer, key: str) -> Path:
        path = self._folder / "layers" / f"{key}.tar"
        with self._locked(f"layer-{layer.name}"):
            if path.exists():
                return path
            begun = time.monotonic()
            stage = self._folder / "stage" / key
            shutil.rmtree(stage, ignore_errors=True)
            stage.mkdir(parents=True)
            unfinished = path.with_name(f".{key}.unfinished")
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                layer.stage(stage, self._folder / f"{layer.name}.log")
                with unfinished.open("wb") as file:
                    write_layer(file, stage)
                unfinished.replace(path)
            finally:
                shutil.rmtree(stage, ignore_errors=True)
                unfinished.unlink(missing_ok=True)
            self._prune_layers(layer.name, path)
            logger.info("built layer %s in %.1f s", key, time.monotonic() - begun)
        return path

    def _prune(self, name: str, newest: Path) -> None:
        """Earlier archives of the same image, all but the latest few."""
        _keep_latest(sorted(self._folder.glob(f"{name}-{'?' * 12}.tar")), newest)

    def _prune_layers(self, name: str, newest: Path) -> None:
        _keep_latest(sorted((self._folder / "layers").glob(f"{name}-{'?' * 16}.tar")), newest)

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / f".{name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # released by the kernel, however this process ends
            yield


def _keep_latest(paths: list[Path], newest: Path) -> None:
    older = sorted((path for path in paths if path != newest), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in older[_KEPT - 1 :]:
        path.unlink(missing_ok=True)
