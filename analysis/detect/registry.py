"""Versions of learned models on disk: written whole or not at all, the newest few kept, damaged ones passed over."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from analysis.detect.baseline import Baseline
from analysis.detect.joint import Joint
from analysis.detect.learned import Key, Model, SeriesModel
from analysis.detect.shifts import Onsets, Place

logger = logging.getLogger(__name__)

KEPT = 5
INCIDENTS, ONSETS = "incidents.json", "onsets.json"
Windows = dict[Key, list[tuple[float, float]]]
"""Known incidents by workload, Unix seconds: what must not be learned."""


class Registry:
    """One folder per cluster. ``version`` names what was learned and how: models of another one are not used."""

    def __init__(self, folder: Path, version: str) -> None:
        self._root, self._version = folder, version

    def save(self, cluster: str, model: Model) -> str:
        """Write a model as the newest version; its name.

        Raises:
            OSError: it cannot be written.
        """
        folder = self._folder(cluster)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = f"{round(model.trained_until):012d}"
        meta = {"version": self._version, "keys": model.keys, "names": model.names, "until": model.trained_until}
        meta["joints"] = list(model.joints)
        arrays = {"meta": np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8), **_arrays(model)}
        with _replacing(folder / f"{name}.npz") as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        for old in self._files(cluster)[KEPT:]:
            old.unlink(missing_ok=True)
        return name

    def load(self, cluster: str) -> Model | None:
        """The newest usable model; None when there is none."""
        for path in self._files(cluster):
            try:
                with np.load(path, allow_pickle=False) as data:
                    meta = json.loads(data["meta"].tobytes())
                    if meta["version"] == self._version:
                        return _model(meta, data)
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                logger.warning("%s cannot be read, an older version is tried: %s", path, error)
        return None

    def save_windows(self, cluster: str, windows: Windows) -> None:
        """Remember known incidents.

        Raises:
            OSError: it cannot be written.
        """
        self._write(cluster, INCIDENTS, [[*key, spans] for key, spans in sorted(windows.items())])

    def load_windows(self, cluster: str) -> Windows:
        """Known incidents; none when there is no usable file."""
        try:
            return {
                (str(space), str(name)): [(float(start), float(end)) for start, end in spans]
                for space, name, spans in self._read(cluster, INCIDENTS)
            }
        except (OSError, ValueError, TypeError) as error:
            logger.warning("known incidents cannot be read, training goes without: %s", error)
            return {}

    def save_onsets(self, cluster: str, onsets: Onsets) -> None:
        """Remember since when series are at the level that they are learned at.

        Raises:
            OSError: it cannot be written.
        """
        self._write(cluster, ONSETS, [[*key, name, since] for (key, name), since in sorted(onsets.items())])

    def load_onsets(self, cluster: str) -> dict[Place, float]:
        """Onsets of shifted levels; none when there is no usable file."""
        try:
            return {
                ((str(space), str(workload)), str(name)): float(since)
                for space, workload, name, since in self._read(cluster, ONSETS)
            }
        except (OSError, ValueError, TypeError) as error:
            logger.warning("shifts of level cannot be read, training takes all of the history: %s", error)
            return {}

    def _write(self, cluster: str, file: str, entries: list[list[Any]]) -> None:
        folder = self._folder(cluster)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _replacing(folder / file) as temporary:
            temporary.write_text(json.dumps(entries), encoding="utf-8")

    def _read(self, cluster: str, file: str) -> list[Any]:
        try:
            found = json.loads((self._folder(cluster) / file).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        if not isinstance(found, list):
            raise TypeError(f"{file} holds no list")
        return found

    def _folder(self, cluster: str) -> Path:
        # cluster names come from callers: never part of a path
        return self._root / "baselines" / hashlib.sha256(cluster.encode()).hexdigest()[:16]

    def _files(self, cluster: str) -> list[Path]:
        return sorted(self._folder(cluster).glob("[0-9]*.npz"), reverse=True)


class _replacing:  # noqa: N801 - reads as a statement
    """A temporary file beside ``path`` that takes its place at the end, or leaves no trace."""

    def __init__(self, path: Path) -> None:
        self._path, self._temporary = path, path.with_name(f".{path.name}.{os.getpid()}")

    def __enter__(self) -> Path:
        return self._temporary

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._temporary.replace(self._path)
        else:
            self._temporary.unlink(missing_ok=True)


def _arrays(model: Model) -> dict[str, np.ndarray[Any, Any]]:
    found: dict[str, np.ndarray[Any, Any]] = {}
    for name, one in model.series.items():
        found |= {f"{name}/profile": one.profile, f"{name}/width": one.width, f"{name}/calibration": one.calibration}
        found |= {f"{name}/state/{field.name}": getattr(one.state, field.name) for field in fields(Baseline)}
    for index, joint in enumerate(model.joints.values()):
        found |= {f"joint/{index}/{field.name}": getattr(joint, field.name) for field in fields(Joint)}
    return found


def _model(meta: dict[str, Any], data: Any) -> Model:
    series = {
        name: SeriesModel(
            data[f"{name}/profile"],
            data[f"{name}/width"],
            Baseline(**{field.name: data[f"{name}/state/{field.name}"] for field in fields(Baseline)}),
            data[f"{name}/calibration"],
        )
        for name in meta["names"]
    }
    joints = {
        (key[0], key[1]): Joint(**{field.name: data[f"joint/{index}/{field.name}"] for field in fields(Joint)})
        for index, key in enumerate(meta["joints"])
    }
    keys = tuple((key[0], key[1]) for key in meta["keys"])
    return Model(keys, tuple(meta["names"]), series, joints, float(meta["until"]))
