"""kind, where a Docker engine answers: the usual way on a developer's machine. Only commands are formed here."""

from __future__ import annotations

import ipaddress
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from devcluster import kubectl
from devcluster.errors import ClusterError, StepFailed
from devcluster.existing import nodes
from devcluster.progress import Progress
from devcluster.provider import ClusterStatus
from devcluster.state import ClusterRecord, Store

__all__ = ["CONFIG", "KindProvider", "available", "create_command", "gateway"]

CONFIG = Path(__file__).parent.parent / "kind-config.yaml"
_PREFIX = "iirp-"
_CREATE_TIMEOUT = 900.0
_TIMEOUT = 120.0


class KindProvider:
    """A kind cluster called `iirp-<name>`, with a kubeconfig of its own: the person's is not touched."""

    def __init__(self, record: ClusterRecord, store: Store) -> None:
        self._record = record
        self._store = store
        self._cluster = _PREFIX + record.name
        self._path = store.folder(record.name) / "kubeconfig"

    def up(self, progress: Progress | None = None) -> None:
        """Creates the cluster unless kind has it, and writes the kubeconfig."""
        progress = progress or Progress(["kind cluster", "kubeconfig"])
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with progress.step("kind cluster"):
            if self._cluster not in _run(["kind", "get", "clusters"]).split():
                self._store.save(self._record)
                self._create()
        with progress.step("kubeconfig"):
            _run(["kind", "export", "kubeconfig", "--name", self._cluster, "--kubeconfig", str(self._path)])
            self._store.save(self._record)

    def down(self) -> None:
        """Deletes the cluster; idempotent, as kind's command is."""
        _run(["kind", "delete", "cluster", "--name", self._cluster, "--kubeconfig", str(self._path)])
        shutil.rmtree(self._store.folder(self._record.name), ignore_errors=True)

    def status(self) -> ClusterStatus:
        """Node readiness by kubectl, the host's address by Docker's network."""
        try:
            parts = nodes(
                kubectl.run([f"--kubeconfig={self._path}", "get", "nodes", "--output=json", "--request-timeout=10s"])
            )
        except ClusterError as error:
            parts = {"API server": str(error)}
        ready = all(state == "ready" for state in parts.values())
        host = gateway(_run(["docker", "network", "inspect", "kind"]))
        return ClusterStatus(self._record.name, "kind", ready, f"kind-{self._cluster}", host, parts)

    def kubeconfig(self) -> Path:
        """The cluster's own file."""
        if not self._path.exists():
            raise ClusterError(
                f"cluster {self._record.name} has no kubeconfig yet: iirp cluster up --name {self._record.name}"
            )
        return self._path

    def load_images(self, archives: Sequence[Path]) -> None:
        """`kind load image-archive` takes docker-archives."""
        for archive in archives:
            _run(["kind", "load", "image-archive", str(archive), "--name", self._cluster])

    def _create(self) -> None:
        log = self._store.folder(self._record.name) / "logs" / "kind.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as file:
            command = create_command(self._cluster, self._path)
            code = subprocess.run(command, stdout=file, stderr=file, timeout=_CREATE_TIMEOUT, check=False).returncode
        if code != 0:
            raise StepFailed("kind could not create the cluster", log)


def available() -> bool:
    """Whether kind is installed and a Docker engine answers."""
    if shutil.which("kind") is None or shutil.which("docker") is None:
        return False
    try:
        asked = subprocess.run(
            ["docker", "info", "--format={{.ServerVersion}}"], capture_output=True, timeout=10, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


def create_command(cluster: str, kubeconfig: Path) -> list[str]:
    """`kind create cluster` with this project's configuration."""
    return [
        "kind",
        "create",
        "cluster",
        f"--name={cluster}",
        f"--config={CONFIG}",
        f"--kubeconfig={kubeconfig}",
        "--wait=180s",
    ]


def gateway(inspected: str) -> str | None:
    """This machine as kind's nodes and pods reach it: the IPv4 gateway of Docker's network `kind`."""
    for network in json.loads(inspected):
        for settings in network.get("IPAM", {}).get("Config") or []:
            address = settings.get("Gateway", "").partition("/")[0]
            if address and ipaddress.ip_address(address).version == 4:
                return str(address)
    return None


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except FileNotFoundError as error:
        raise ClusterError(
            f"{command[0]} is missing on this machine; the embedded provider needs neither kind nor Docker"
        ) from error
    if done.returncode != 0:
        raise ClusterError(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")
    return done.stdout
