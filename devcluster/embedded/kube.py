"""The few requests that bringing a cluster up takes, with the administrator's certificate."""

from __future__ import annotations

from typing import Any

import requests

from devcluster.embedded.layout import Layout

__all__ = ["KubeClient", "answers", "is_ready", "uids"]

_TIMEOUT = (3.0, 15.0)


class KubeClient:
    """Reads and server-side applies; every request has a timeout."""

    def __init__(self, layout: Layout) -> None:
        self._server = layout.server
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy stands between a machine and its own node
        self._session.verify = str(layout.pki / "ca.crt")
        self._session.cert = (str(layout.pki / "admin.crt"), str(layout.pki / "admin.key"))

    def ready(self) -> bool:
        """Whether the API server says so."""
        try:
            return self._session.get(f"{self._server}/readyz", timeout=_TIMEOUT).status_code == 200
        except requests.RequestException:
            return False

    def node_ready(self, name: str) -> bool:
        """Whether the node is Ready *and* its kubelet knows every pod that is bound to it.

        The condition alone is history after a restart: it says what an earlier kubelet reported.
        """
        try:
            node = self._session.get(f"{self._server}/api/v1/nodes/{name}", timeout=_TIMEOUT)
            known = self._session.get(f"{self._server}/api/v1/nodes/{name}/proxy/pods", timeout=_TIMEOUT)
            bound = self._session.get(
                f"{self._server}/api/v1/pods", params={"fieldSelector": f"spec.nodeName={name}"}, timeout=_TIMEOUT
            )
        except requests.RequestException:
            return False
        if {node.status_code, known.status_code, bound.status_code} != {200}:
            return False
        return is_ready(node.json()) and uids(bound.json()) <= uids(known.json())

    def node_address(self, name: str) -> str | None:
        """The node's internal address, None while it is not registered with one."""
        try:
            node = self._session.get(f"{self._server}/api/v1/nodes/{name}", timeout=_TIMEOUT)
        except requests.RequestException:
            return None
        addresses = node.json().get("status", {}).get("addresses", []) if node.status_code == 200 else []
        return next((str(entry["address"]) for entry in addresses if entry["type"] == "InternalIP"), None)

    def exists(self, path: str) -> bool:
        """Whether there is an object at the path."""
        return self._session.get(f"{self._server}{path}", timeout=_TIMEOUT).status_code == 200

    def apply(self, path: str, body: dict[str, Any]) -> None:
        """Server-side apply; raises requests.HTTPError with the API server's message."""
        answer = self._session.patch(
            f"{self._server}{path}?fieldManager=iirp-devcluster&force=true",
            json=body, timeout=_TIMEOUT, headers={"Content-Type": "application/apply-patch+yaml"},
        )  # fmt: skip
        if answer.status_code >= 400:
            raise requests.HTTPError(f"{path}: {answer.status_code} {answer.text[:300]}", response=answer)


def answers(address: str) -> bool:
    """Whether a plain HTTP readiness address says 200."""
    try:
        with requests.Session() as session:
            session.trust_env = False
            return session.get(address, timeout=_TIMEOUT).status_code == 200
    except requests.RequestException:
        return False


def is_ready(node: dict[str, Any]) -> bool:
    """Whether a Node object has the condition Ready."""
    conditions: list[dict[str, Any]] = node.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def uids(pods: dict[str, Any]) -> set[str]:
    """The identities in a PodList that has not ended; ended pods a kubelet may forget."""
    items: list[dict[str, Any]] = pods.get("items") or []
    return {
        item["metadata"]["uid"] for item in items if item.get("status", {}).get("phase") not in {"Succeeded", "Failed"}
    }
