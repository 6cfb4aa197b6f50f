"""Looks at the shop's namespace again and again, cheaply: GETs over connections that stay, no process per look."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controllers.kube.client import connect
from controllers.kube.errors import KubeError
from controllers.kube.resources import NAMESPACES, PODS, resource_type
from crds.v1alpha1 import ActionPlan, Approval, Incident, RCAReport
from demo.driver.chain import Chain, chain_of, choose_incident

__all__ = ["OutOfMemory", "Watch", "out_of_memory"]

_INCIDENTS = resource_type(Incident)
_CHAIN = tuple(resource_type(kind) for kind in (Incident, RCAReport, ActionPlan, Approval))


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """The kernel killed a container of this pod; `at` is the API's word, empty when it does not say."""

    pod: str
    at: str


class Watch:
    """Reads the objects of one namespace (of all when it is empty) as the cluster's administrator; never writes."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self._kube = connect(kubeconfig)
        self._namespace = namespace or None
        self.killed: frozenset[OutOfMemory] = frozenset()
        """Every OOM kill seen so far, of pods that are gone too."""

    def listing(self) -> dict[str, Sequence[Mapping[str, Any]]]:
        """All objects of ours in the namespace, by plural. Raises KubeError."""
        return {kind.plural: self._kube.list_raw(kind, self._namespace) for kind in _CHAIN}

    def incidents(self) -> Sequence[Mapping[str, Any]]:
        """All incidents of the namespace. Raises KubeError."""
        return self._kube.list_raw(_INCIDENTS, self._namespace)

    def chain(self, target: str, types: Sequence[str], known: set[str]) -> Chain | None:
        """The new incident about a target with everything that belongs to it; None while there is none.

        A moment without the API server is no result, and so no failure: the next look comes soon.
        """
        try:
            listing = self.listing()
            self.kills()
        except KubeError:
            return None
        incident: Incident | None = choose_incident(listing["incidents"], target, types, known)
        return chain_of(incident, listing) if incident else None

    def kills(self) -> frozenset[OutOfMemory]:
        """Looks for OOM kills and returns all that were ever seen."""
        self.killed |= frozenset(out_of_memory(self._kube.list_raw(PODS, self._namespace)))
        return self.killed

    def namespaces(self, label: str) -> set[str]:
        """Names of the namespaces that carry a label, with whatever value."""
        return {str(item["metadata"]["name"]) for item in self._kube.list_raw(NAMESPACES, labels=label)}

    def wait_gone(self, timeout: float) -> bool:
        """Until the namespace has no object of ours left."""
        deadline = time.monotonic() + timeout
        while any(self.listing().values()):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.5)
        return True


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
