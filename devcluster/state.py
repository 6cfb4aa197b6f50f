"""What is known about each cluster, in `<state>/clusters/<name>/cluster.json`, and which address block it may use."""

from __future__ import annotations

import fcntl
import ipaddress
import json
import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from devcluster.errors import ClusterError, DamagedRecord

__all__ = ["BLOCKS", "ClusterRecord", "Store", "block", "check_name", "choose_index"]

logger = logging.getLogger(__name__)

# 10.64.0.0/16 … 10.127.0.0/16: one block per embedded cluster.
BLOCKS = 64
_FIRST_OCTET = 64
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class ClusterRecord:
    """One cluster. `index` is the address block of an embedded one, `context` the one of an existing cluster."""

    name: str
    provider: str
    index: int | None = None
    context: str | None = None
    kubeconfig: str | None = None


class Store:
    """The records under one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def folder(self, name: str) -> Path:
        """Everything of one cluster lives here, and goes with it."""
        return self._root / name

    def load(self, name: str) -> ClusterRecord | None:
        """The record, None when the cluster is not known; a damaged record is an error that names its file."""
        path = self.folder(name) / "cluster.json"
        try:
            return ClusterRecord(**json.loads(path.read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise DamagedRecord(
                f"{path} is damaged ({error}); `iirp cluster down --name {name}` removes the cluster"
            ) from error

    def save(self, record: ClusterRecord) -> None:
        """Writes the record in one step, so that a crash leaves the old one or the new one."""
        folder = self.folder(record.name)
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".cluster.json.{os.getpid()}"
        temporary.write_text(json.dumps(asdict(record), indent=2) + "\n")
        temporary.replace(folder / "cluster.json")

    def names(self) -> list[str]:
        """All clusters with a folder, in order."""
        if not self._root.is_dir():
            return []
        return sorted(path.name for path in self._root.iterdir() if path.is_dir())

    def indexes(self) -> set[int]:
        """Blocks in use. A damaged record reserves nothing; the check against this machine's routes still does."""
        records = [json.loads(text) for text in self._texts()]
        return {record["index"] for record in records if isinstance(record.get("index"), int)}

    def _texts(self) -> Iterator[str]:
        for name in self.names():
            path = self.folder(name) / "cluster.json"
            try:
                text = path.read_text()
                json.loads(text)
            except (FileNotFoundError, ValueError):
                continue
            yield text

    @contextmanager
    def locked(self, name: str = "") -> Iterator[None]:
        """Keeps other commands away from a cluster, or, without a name, from choosing an address block meanwhile.

        The lock file stays: removing it would let one waiter lock the removed file and another one its successor.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        with (self._root / f".{name or 'all'}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.warning("waiting for another command that works on cluster %s", name or "addresses")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


def check_name(name: str) -> str:
    """The name, when it fits a file name, a host name and a cgroup; raises ClusterError otherwise."""
    if not _NAME.fullmatch(name):
        raise ClusterError(f"{name!r} is no cluster name: 1 to 30 lower-case letters, digits and inner hyphens")
    return name


def block(index: int) -> ipaddress.IPv4Network:
    """The addresses of a cluster: its link, its pods and its services."""
    if not 0 <= index < BLOCKS:
        raise ValueError(f"no block {index}")
    return ipaddress.IPv4Network(f"10.{_FIRST_OCTET + index}.0.0/16")


def choose_index(taken: set[int], routed: Iterable[ipaddress.IPv4Network]) -> int:
    """The first block that no other cluster and no route of this machine uses."""
    networks = [network for network in routed if network.prefixlen > 0]  # the default route overlaps with everything
    for index in range(BLOCKS):
        if index not in taken and not any(block(index).overlaps(network) for network in networks):
            return index
    raise ClusterError("no free address block between 10.64.0.0/16 and 10.127.0.0/16; remove a cluster")
