"""A cluster that is there already: used under a context that the person named, and never changed by `up` or `down`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from devcluster import kubectl
from devcluster.errors import ClusterError
from devcluster.progress import Progress
from devcluster.provider import ClusterStatus
from devcluster.state import ClusterRecord, Store

__all__ = ["ExistingProvider"]


class ExistingProvider:
    """Copies the one context into a kubeconfig of its own: no later `kubectl config use-context` redirects us."""

    def __init__(self, record: ClusterRecord, store: Store) -> None:
        if not record.context:
            raise ClusterError("an existing cluster needs the name of its context")
        self._record = record
        self._store = store
        self._path = store.folder(record.name) / "kubeconfig"

    def up(self, progress: Progress | None = None) -> None:
        """Takes the context over and asks whether the cluster answers."""
        progress = progress or Progress(["context", "API server answers"])
        context = str(self._record.context)
        with progress.step("context"):
            try:
                content = kubectl.run(
                    ["config", "view", "--raw", "--minify", "--flatten", f"--context={context}", "--output=json"]
                )
            except ClusterError as error:
                raise ClusterError(f"{error}; which there are: kubectl config get-contexts") from error
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.unlink(missing_ok=True)
            with os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(content)
            self._store.save(self._record)
        with progress.step("API server answers"):
            self._kubectl("get", "--raw=/readyz", "--request-timeout=10s")

    def down(self) -> None:
        """Forgets the cluster; does nothing to it."""
        shutil.rmtree(self._store.folder(self._record.name), ignore_errors=True)

    def status(self) -> ClusterStatus:
        """Whether the API server answers and each node is ready."""
        server = (
            str(json.loads(self._path.read_text())["clusters"][0]["cluster"]["server"]) if self._path.exists() else ""
        )
        try:
            self._kubectl("get", "--raw=/readyz", "--request-timeout=10s")
            parts = nodes(self._kubectl("get", "nodes", "--output=json", "--request-timeout=10s"))
        except ClusterError as error:
            return ClusterStatus(self._record.name, "existing", False, server, None, {"API server": str(error)})
        ready = all(state == "ready" for state in parts.values())
        return ClusterStatus(self._record.name, "existing", ready, server, None, parts)

    def kubeconfig(self) -> Path:
        """The copy."""
        if not self._path.exists():
            raise ClusterError(
                f"cluster {self._record.name} is not set up: iirp cluster up --context {self._record.context}"
            )
        return self._path

    def load_images(self, archives: Sequence[Path]) -> None:  # noqa: ARG002  the protocol's signature
        """Not possible from outside: nodes of somebody's cluster pull from their registry."""
        raise ClusterError(
            "an existing cluster pulls its images: push them to a registry that it knows, and set it in the values"
        )

    def _kubectl(self, *arguments: str) -> str:
        return kubectl.run([f"--kubeconfig={self._path}", *arguments])


def nodes(listing: str) -> dict[str, str]:
    """Node name → `ready` or `not ready`, from the JSON of `kubectl get nodes`."""
    found = {}
    for item in json.loads(listing)["items"]:
        conditions = {condition["type"]: condition["status"] for condition in item["status"].get("conditions", [])}
        found[f"node {item['metadata']['name']}"] = "ready" if conditions.get("Ready") == "True" else "not ready"
    return found
