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
    watch = ["list", "watch"]
    ports = [("dns", "UDP", 53), ("dns-tcp", "TCP", 53), ("metrics", "TCP", 9153)]
    rules = [
        {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": watch},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": watch},
    ]
    return [
        (
            f"/apis/{_RBAC}/v1/clusterroles/system:coredns",
            {
                "apiVersion": f"{_RBAC}/v1",
                "kind": "ClusterRole",
                "metadata": {"name": "system:coredns"},
                "rules": rules,
            },
        ),
        (
            f"/apis/{_RBAC}/v1/clusterrolebindings/system:coredns",
            {
                "apiVersion": f"{_RBAC}/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": "system:coredns"},
                "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "system:coredns"},
                "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": "system:coredns"}],
            },
        ),
        (
            "/api/v1/namespaces/kube-system/services/kube-dns",
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "kube-dns", "labels": {"k8s-app": "kube-dns"}},
                "spec": {
                    "clusterIP": str(layout.dns_ip),
                    "ports": [{"name": name, "protocol": protocol, "port": port} for name, protocol, port in ports],
                },
            },
        ),
        (
            "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/kube-dns",
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {"name": "kube-dns", "labels": {"kubernetes.io/service-name": "kube-dns"}},
                "addressType": "IPv4",
                "endpoints": [{"addresses": [str(layout.node_ip)], "conditions": {"ready": True}}],
                "ports": [{"name": name, "protocol": protocol, "port": port} for name, protocol, port in ports],
            },
        ),
    ]
