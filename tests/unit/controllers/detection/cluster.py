"""Services, endpoints, workloads and nodes as the API server serves them."""

from __future__ import annotations

from typing import Any

from tests.unit.controllers.incident.builders import at

OLD = "2026-01-01T00:00:00Z"


def head(name: str, *, namespace: str = "shop", version: int = 1, created: str = OLD, **extra: Any) -> dict[str, Any]:
    """Metadata."""
    return {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{name}",
        "resourceVersion": str(version),
        "creationTimestamp": created,
        **extra,
    }


def service(name: str = "payments", selector: dict[str, str] | None = None, **extra: Any) -> dict[str, Any]:
    """A Service that selects ``app: NAME``."""
    spec = {"selector": {"app": name} if selector is None else selector}
    return {"metadata": head(name, **{"uid": f"svc-{name}", **extra}), "spec": spec}


def endpoints(name: str = "payments", ready: int = 1, unready: int = 0, version: int = 1) -> dict[str, Any]:
    """Its EndpointSlice."""
    metadata = head(f"{name}-x1", version=version, labels={"kubernetes.io/service-name": name})
    items = [{"conditions": {"ready": True}}] * ready + [{"conditions": {"ready": False}}] * unready
    return {"metadata": metadata, "endpoints": items}


def deployment(
    name: str = "payments",
    replicas: int = 2,
    *,
    updated: int | None = None,
    conditions: list[dict[str, Any]] | None = None,
    version: int = 1,
    **extra: Any,
) -> dict[str, Any]:
    """A Deployment whose pods carry ``app: NAME``."""
    done = replicas if updated is None else updated
    return {
        "metadata": head(name, version=version, generation=1, **extra),
        "spec": {"replicas": replicas, "template": {"metadata": {"labels": {"app": name, "tier": "web"}}}},
        "status": {
            "observedGeneration": 1,
            "replicas": done,
            "updatedReplicas": done,
            "conditions": conditions or [],
        },
    }


def condition(kind: str, status: str, reason: str = "", seconds_ago: float = 60, message: str = "") -> dict[str, Any]:
    """One condition."""
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": at(-seconds_ago).isoformat(),
    }


def node(name: str = "n1", *conditions: dict[str, Any], cordoned: bool = False, created: str = OLD) -> dict[str, Any]:
    """A Node."""
    metadata = head(name, created=created)
    del metadata["namespace"]
    return {"metadata": metadata, "spec": {"unschedulable": cordoned}, "status": {"conditions": list(conditions)}}
