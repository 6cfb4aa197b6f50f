"""The objects that a bare API server lacks: rights and a service for DNS. CoreDNS itself runs as a program of the node.

As a program it needs no image and answers before the first pod starts; through the usual `kube-system/kube-dns` service
it is found where charts and tools expect it.
"""

from __future__ import annotations

from typing import Any

from devcluster.embedded.kube import KubeClient
from devcluster.embedded.layout import Layout

__all__ = ["apply", "objects"]

_RBAC = "rbac.authorization.k8s.io"


def apply(layout: Layout, client: KubeClient) -> None:
    """Applies them all; idempotent."""
    for path, body in objects(layout):
        client.apply(path, body)


def objects(layout: Layout) -> list[tuple[str, dict[str, Any]]]:
    """(path, object), in the order of need."""
    return [*_rights("system:coredns"), *_service("kube-dns", str(layout.dns_ip), str(layout.node_ip))]


def _rights(name: str) -> list[tuple[str, dict[str, Any]]]:
    """A ClusterRole, bound to the user of the same name."""
    watch = ["list", "watch"]
    rules = [
        {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": watch},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": watch},
    ]
    common = {"apiVersion": f"{_RBAC}/v1", "metadata": {"name": name}}
    reference = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": name}
    subjects = [{"apiGroup": _RBAC, "kind": "User", "name": name}]
    return [
        (f"/apis/{_RBAC}/v1/clusterroles/{name}", {**common, "kind": "ClusterRole", "rules": rules}),
        (
            f"/apis/{_RBAC}/v1/clusterrolebindings/{name}",
            {**common, "kind": "ClusterRoleBinding", "roleRef": reference, "subjects": subjects},
        ),
    ]


def _service(name: str, address: str, node: str) -> list[tuple[str, dict[str, Any]]]:
    """A Service without a selector, and the one endpoint that it leads to."""
    numbers = [("dns", "UDP", 53), ("dns-tcp", "TCP", 53), ("metrics", "TCP", 9153)]
    ports = [{"name": port, "protocol": protocol, "port": number} for port, protocol, number in numbers]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": {"k8s-app": name}},
        "spec": {"clusterIP": address, "ports": ports},
    }
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [node], "conditions": {"ready": True}}],
        "ports": ports,
    }
    return [
        (f"/api/v1/namespaces/kube-system/services/{name}", service),
        (f"/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/{name}", endpoints),
    ]
