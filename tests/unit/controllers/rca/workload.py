"""A Deployment with its ReplicaSets, as the API server serves them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.unit.controllers.incident.builders import TARGET, at

LABELS = {"app": "payments"}


def template(image: str) -> dict[str, Any]:
    return {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "app", "image": image}]}}


def replica_set(revision: int, image: str, created: datetime, *, owner: str = TARGET.uid) -> dict[str, Any]:
    """One revision."""
    return {
        "metadata": {
            "name": f"payments-{revision}",
            "namespace": "shop",
            "uid": f"uid-payments-{revision}",
            "labels": LABELS,
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
            "creationTimestamp": created.isoformat(),
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "Deployment", "name": "payments", "uid": owner, "controller": True}
            ],
        },
        "spec": {"template": template(image)},
    }


def controller_revision(
    revision: int, image: str, created: datetime, *, numbered: datetime | None = None, kind: str = "StatefulSet",
    **fields: Any,
) -> dict[str, Any]:  # fmt: skip
    """One revision of the StatefulSet or DaemonSet ``shop/payments``; ``fields`` are the container's."""
    body = replica_set(revision, image, created)
    (owner,) = body["metadata"]["ownerReferences"]
    made = template(image) | {"$patch": "replace"}
    made["spec"]["containers"][0] |= fields
    entry = {"manager": "kube-controller-manager", "time": (numbered or created).isoformat()}
    body["metadata"] |= {
        "annotations": {},
        "ownerReferences": [owner | {"kind": kind}],
        "managedFields": [entry | {"fieldsV1": {"f:data": {}, "f:revision": {}}}],
    }
    return {"metadata": body["metadata"], "revision": revision, "data": {"spec": {"template": made}}}


def deployment(
    *, created: float = -86400, managed: list[dict[str, Any]] | None = None, progressed: datetime | None = None
) -> dict[str, Any]:
    """The Deployment ``shop/payments``."""
    conditions = [{"type": "Progressing", "lastUpdateTime": progressed.isoformat()}] if progressed else []
    return {
        "metadata": {
            "name": "payments",
            "namespace": "shop",
            "uid": TARGET.uid,
            "creationTimestamp": at(created).isoformat(),
            "managedFields": managed or [],
        },
        "spec": {"replicas": 2, "selector": {"matchLabels": LABELS}},
        "status": {"conditions": conditions},
    }


def managed(manager: str, when: float, fields: dict[str, Any], subresource: str = "") -> dict[str, Any]:
    """One managedFields entry."""
    entry: dict[str, Any] = {"manager": manager, "time": at(when).isoformat(), "fieldsV1": {"f:spec": fields}}
    return entry | ({"subresource": subresource} if subresource else {})
