"""Looks at the shop's namespace again and again, cheaply: plain GETs over one connection, no process per look."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from pykube.config import KubeConfig
from pykube.http import HTTPClient

from crds.v1alpha1.incident import Incident
from demo.driver.chain import Chain, chain_of, choose_incident

__all__ = ["KINDS", "OutOfMemory", "Watch", "out_of_memory"]

KINDS = ("incidents", "rcareports", "actionplans", "approvals")
_API = "iirp.io/v1alpha1"
_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """The kernel killed a container of this pod; `at` is the API's word, empty when it does not say."""

    pod: str
    at: str


class Watch:
    """Reads the objects of one namespace (of all when it is empty) as the cluster's administrator; never writes."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        loader: Any = KubeConfig  # pykube has no type hints
        self._client: Any = HTTPClient(loader.from_file(str(kubeconfig)), timeout=_TIMEOUT)
        self._namespace = namespace
        self.killed: frozenset[OutOfMemory] = frozenset()
        """Every OOM kill seen so far, of pods that are gone too."""

    def listing(self) -> dict[str, list[Mapping[str, Any]]]:
        """All objects of ours in the namespace, by plural. Raises requests.RequestException."""
        return {kind: self._list(kind, _API) for kind in KINDS}

    def incidents(self) -> list[Mapping[str, Any]]:
        """All incidents of the namespace."""
        return self._list("incidents", _API)

    def chain(self, target: str, types: Sequence[str], known: set[str]) -> Chain | None:
        """The new incident about a target with everything that belongs to it; None while there is none.

        A moment without the API server is no result, and so no failure: the next look comes soon.
        """
        try:
            listing = self.listing()
            self.kills()
        except requests.RequestException:
            return None
        incident: Incident | None = choose_incident(listing["incidents"], target, types, known)
        return chain_of(incident, listing) if incident else None

    def kills(self) -> frozenset[OutOfMemory]:
        """Looks for OOM kills and returns all that were ever seen."""
        self.killed |= frozenset(out_of_memory(self._list("pods", "v1")))
        return self.killed

    def namespaces(self, label: str) -> set[str]:
        """Names of the namespaces that carry a label, with whatever value."""
        response = self._client.get(version="v1", url="namespaces", params={"labelSelector": label})
        response.raise_for_status()
        return {str(item["metadata"]["name"]) for item in response.json()["items"]}

    def wait_gone(self, timeout: float) -> bool:
        """Until the namespace has no object of ours left."""
        deadline = time.monotonic() + timeout
        while any(self.listing().values()):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.5)
        return True

    def _list(self, plural: str, version: str) -> list[Mapping[str, Any]]:
        response = self._client.get(version=version, namespace=self._namespace or None, url=plural)
        response.raise_for_status()
        items: list[Mapping[str, Any]] = response.json()["items"]
        return items


def out_of_memory(pods: Sequence[Mapping[str, Any]]) -> list[OutOfMemory]:
    """Pods whose container the kernel has killed for memory, by their present or last state."""
    found = []
    for pod in pods:
        for status in pod.get("status", {}).get("containerStatuses", ()):
            for state in (status.get("state", {}), status.get("lastState", {})):
                ended = state.get("terminated") or {}
                if ended.get("reason") == "OOMKilled":
                    found.append(OutOfMemory(pod["metadata"]["name"], str(ended.get("finishedAt", ""))))
    return found
