"""Pods as the API server serves them."""

from __future__ import annotations

from typing import Any


def pod(
    name: str = "payments-5f-1",
    *,
    uid: str = "",
    version: int = 1,
    owner: tuple[str, str] | None = ("ReplicaSet", "payments-5f"),
    phase: str = "Running",
    status: dict[str, Any] | None = None,
    containers: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """One Pod body; ``owner`` is (kind, name)."""
    references = (
        [{"apiVersion": "apps/v1", "kind": owner[0], "name": owner[1], "uid": f"uid-{owner[1]}", "controller": True}]
        if owner
        else []
    )
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": uid or f"uid-{name}",
            "resourceVersion": str(version),
            "creationTimestamp": "2026-01-02T03:00:00Z",
            "ownerReferences": references,
        },
        "spec": {"nodeName": "n1", "containers": [{"name": "app"}]},
        "status": {"phase": phase, **({"containerStatuses": containers} if containers else {}), **(status or {})},
    }


def replica_set(name: str = "payments-5f", deployment: str = "payments") -> dict[str, Any]:
    """One ReplicaSet body with its Deployment as owner."""
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"uid-{name}",
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "name": deployment,
                    "uid": f"uid-{deployment}",
                    "controller": True,
                }
            ],
        }
    }
