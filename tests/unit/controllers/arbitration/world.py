"""Workloads with the labels, annotations and managedFields that real controllers leave on them."""

from __future__ import annotations

import json
from typing import Any

from controllers.arbitration.model import Listed, Looked, Subject, Surroundings
from crds.v1alpha1.actions import Action
from tests.fakes.chain import NS, deployment, restart, scale

TRACKED = {"argocd.argoproj.io/tracking-id": f"shop:apps/Deployment:{NS}/payments"}
KUSTOMIZED = {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
HELMED = {"helm.toolkit.fluxcd.io/name": "shop", "helm.toolkit.fluxcd.io/namespace": NS}
BY_HELM = {"app.kubernetes.io/managed-by": "Helm"}

SPEC = {"f:replicas": {}, "f:selector": {}, "f:template": {"f:spec": {'k:{"name":"app"}': {".": {}, "f:image": {}}}}}
NO_REPLICAS = {key: value for key, value in SPEC.items() if key != "f:replicas"}


def entry(manager: str, operation: str = "Apply", spec: Any = None, subresource: str = "") -> dict[str, Any]:
    """One managedFields entry, as the API server writes it."""
    found = {
        "manager": manager, "operation": operation, "apiVersion": "apps/v1", "time": "2026-01-02T03:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": SPEC if spec is None else spec},
    }  # fmt: skip
    return found | ({"subresource": subresource} if subresource else {})


DEPLOYMENT_CONTROLLER = entry("kube-controller-manager", "Update", {"f:conditions": {}}, "status")


def live(
    *managed: dict[str, Any],
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    replicas: int = 2,
    owners: list[dict[str, Any]] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """A Deployment ``payments``."""
    body = deployment(replicas=replicas, **spec)
    body["metadata"] |= {
        "labels": labels or {}, "annotations": annotations or {}, "ownerReferences": owners or [],
        "managedFields": [*managed, DEPLOYMENT_CONTROLLER],
    }  # fmt: skip
    return body


def applied(*, replicas: int | None) -> dict[str, str]:
    """The annotation of a client-side apply."""
    spec: dict[str, Any] = {"template": {}} | ({"replicas": replicas} if replicas is not None else {})
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec}
    return {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(manifest)}


def application(automated: dict[str, Any] | None = None, **rest: Any) -> Looked:
    """An Argo CD Application as served."""
    annotations = rest.pop("annotations", {})
    policy = {"syncPolicy": {"automated": automated}} if automated is not None else {}
    metadata = {"name": "shop", "namespace": "argocd", "annotations": annotations}
    return Looked({"metadata": metadata, "spec": {**policy, **rest}})


HEALS = application({"prune": True, "selfHeal": True})


def kustomization(*, listed: bool = True, **spec: Any) -> Looked:
    """A Flux Kustomization as served, with or without our Deployment in its inventory."""
    entries = [{"id": f"{NS}_payments_apps_Deployment" if listed else f"{NS}_cart_apps_Deployment", "v": "v1"}]
    metadata = {"name": "apps", "namespace": "flux-system"}
    return Looked({"metadata": metadata, "spec": spec, "status": {"inventory": {"entries": entries}}})


def helm_release(**spec: Any) -> Looked:
    """A Flux HelmRelease as served."""
    return Looked({"metadata": {"name": "shop", "namespace": NS}, "spec": spec})


def hpa(name: str = "payments", target: str = "payments", kind: str = "Deployment") -> dict[str, Any]:
    """A HorizontalPodAutoscaler from 2 to 6."""
    ref = {"apiVersion": "apps/v1", "kind": kind, "name": target}
    return {"metadata": {"name": name}, "spec": {"scaleTargetRef": ref, "minReplicas": 2, "maxReplicas": 6}}


def scaled_object(**annotations: str) -> dict[str, Any]:
    """A KEDA ScaledObject; keys with underscores for dots and slashes are spelled out by the caller."""
    return {
        "metadata": {"name": "queue", "annotations": annotations},
        "spec": {"scaleTargetRef": {"name": "payments"}, "minReplicaCount": 1, "maxReplicaCount": 10},
    }


def listed(*items: dict[str, Any]) -> Listed:
    """What a list found."""
    return Listed(tuple(items))


def subject(body: dict[str, Any] | None = None, action: Action | None = None, **around: Any) -> Subject:
    """A scale of ``payments`` to 4, unless said otherwise."""
    return Subject(action or scale(4), body or live(), Surroundings(**around))


__all__ = ["restart", "scale"]
