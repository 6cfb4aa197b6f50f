"""Folders and ports of one external side; ports are chosen once, recorded, and kept while nobody else took them."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from devcluster.paths import state_dir

__all__ = ["PORTS", "Layout", "Ports", "part_of", "port_is_free"]

# Every port that something listens on, loopback all but the gateway's.
PORTS = (
    "gateway", "analysis", "prometheus", "loki", "loki-grpc", "s3", "s3-grpc", "s3-iceberg", "s3-lance",
    "filer", "filer-grpc", "master", "master-grpc", "volume", "volume-grpc",
)  # fmt: skip

Ports = dict[str, int]


@dataclass(frozen=True, slots=True)
class Layout:
    """One folder per cluster, so that two clusters on a machine do not share data."""

    name: str
    folder: Path

    @classmethod
    def of(cls, name: str, root: Path | None = None) -> Layout:
        """The layout for a cluster's name."""
        return cls(name, (root or state_dir()) / "external" / name)

    @property
    def config(self) -> Path:
        """Rendered configuration files."""
        return self.folder / "config"

    @property
    def tls(self) -> Path:
        """Authority, certificate and keys of the gateway."""
        return self.folder / "tls"

    @property
    def settings(self) -> Path:
        """The settings given last."""
        return self.folder / "settings.yaml"

    @property
    def kubeconfig(self) -> Path:
        """The analysis server's only cluster credential: may create TokenReviews."""
        return self.folder / "credentials" / "tokenreview.kubeconfig"

    @property
    def store_keys(self) -> Path:
        """Keys of the built-in S3 server."""
        return self.folder / "credentials" / "s3.json"

    @property
    def intake_token(self) -> Path:
        """What Prometheus shows when it writes on to the analysis server."""
        return self.folder / "credentials" / "intake.token"

    @property
    def ca(self) -> Path:
        """What clients must trust."""
        return self.tls / "ca.crt"

    @property
    def chart_values(self) -> Path:
        """Values for the chart that point it here."""
        return self.folder / "values.yaml"

    def data(self, part: str) -> Path:
        """What a part keeps across restarts."""
        return self.folder / "data" / part

    def ports(self) -> Ports:
        """The recorded ports; empty before the first `up`. A damaged file counts as none: new ones are chosen."""
        try:
            recorded = json.loads((self.folder / "ports.json").read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return {name: port for name, port in recorded.items() if name in PORTS and isinstance(port, int)}

    def choose_ports(self, ours: Iterable[str], wanted_gateway: int = 0) -> Ports:
        """Keeps recorded ports that are free or held by our running parts (`ours`), replaces the others, records."""
        held = set(ours)
        recorded = self.ports()
        if wanted_gateway:
            recorded["gateway"] = wanted_gateway
        held.add("gateway")  # is in the chart's values: must not change silently
        kept = {name: port for name, port in recorded.items() if name in held or port_is_free(port)}
        missing = [name for name in PORTS if name not in kept]
        ports = {**kept, **dict(zip(missing, _free(len(missing)), strict=True))}
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self.folder / f".ports.json.{os.getpid()}"
        temporary.write_text(json.dumps(ports, indent=2) + "\n")
        temporary.replace(self.folder / "ports.json")
        return ports


def part_of(port: str) -> str:
    """The process that listens on a named port: SeaweedFS has many, Loki two."""
    first = port.split("-")[0]
    return "s3" if first in {"filer", "master", "volume"} else first


def port_is_free(port: int, address: str = "127.0.0.1") -> bool:
    """Whether a listener could be opened now."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address, port))
        except OSError:
            return False
    return True


def _free(count: int) -> list[int]:
    with ExitStack() as stack:  # all held at once, so that no number comes twice
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [int(sock.getsockname()[1]) for sock in sockets]
