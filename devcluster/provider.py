"""What every kind of cluster can do, and which kind is taken when nobody says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from devcluster.progress import Progress

__all__ = ["ClusterStatus", "Provider"]


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """`host_address` is where pods reach this machine, None when that is not known; `parts` says what of it runs."""

    name: str
    provider: str
    ready: bool
    server: str
    host_address: str | None
    parts: dict[str, str] = field(default_factory=dict)


class Provider(Protocol):
    """One cluster of one kind."""

    def up(self, progress: Progress | None = None) -> None:
        """Brings the cluster up, from wherever it is; returns when its node is ready. Idempotent."""

    def down(self) -> None:
        """Removes everything that `up` made, whatever state it is in. Idempotent."""

    def status(self) -> ClusterStatus:
        """Looks; changes nothing."""

    def kubeconfig(self) -> Path:
        """A kubeconfig file whose current context is this cluster, for its administrator."""

    def load_images(self, archives: Sequence[Path]) -> None:
        """Makes the images of docker-archives known to the nodes."""
