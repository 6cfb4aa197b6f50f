"""Who is who in an embedded cluster: certificates and kubeconfigs of its components and of people."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from devcluster.embedded.layout import Layout
from devcluster.pki import Authority, Identity, signing_key

__all__ = ["create", "user_kubeconfig"]


def create(layout: Layout) -> None:
    """Writes whatever is missing: certificates, component kubeconfigs, the person's kubeconfig."""
    authority = Authority(layout.pki, "ca")
    front = Authority(layout.pki, "front-proxy-ca")
    signing_key(layout.pki, "service-accounts")
    for file, identity in _identities(layout).items():
        authority.issue(file, identity)
    front.issue("front-proxy-client", Identity("front-proxy-client"))
    layout.config.mkdir(parents=True, exist_ok=True, mode=0o700)
    for component in ("kubelet", "controller-manager", "scheduler", "proxy", "coredns"):
        _write(layout.config / f"{component}.kubeconfig", _kubeconfig(layout, component, component))
    _write(layout.kubeconfig, _kubeconfig(layout, "admin", "admin"))


def user_kubeconfig(layout: Layout, user: str, groups: Sequence[str] = ()) -> Path:
    """A kubeconfig for a plain user whom RBAC alone gives rights; the file is `users/<user>.kubeconfig`."""
    Authority(layout.pki, "ca").issue(f"user-{user}", Identity(user, groups=groups))
    path = layout.folder / "users" / f"{user}.kubeconfig"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(path, _kubeconfig(layout, f"user-{user}", user))
    return path


def _identities(layout: Layout) -> dict[str, Identity]:
    node = str(layout.node_ip)
    service = [f"kubernetes.default{suffix}" for suffix in ("", ".svc", ".svc.cluster.local")]
    return {
        "apiserver": Identity(
            "kube-apiserver", client=False,
            hosts=["kubernetes", *service, "localhost", "127.0.0.1", node, str(layout.api_service_ip), layout.node],
        ),
        "etcd": Identity("etcd", hosts=["127.0.0.1", "localhost"]),
        "etcd-client": Identity("kube-apiserver-etcd-client"),
        "apiserver-kubelet-client": Identity("kube-apiserver-kubelet-client", groups=["system:masters"]),
        "admin": Identity("iirp-admin", groups=["system:masters"]),
        "kubelet": Identity(f"system:node:{layout.node}", groups=["system:nodes"]),
        "kubelet-server": Identity(layout.node, hosts=[layout.node, node, "127.0.0.1"], client=False),
        "controller-manager": Identity("system:kube-controller-manager"),
        "scheduler": Identity("system:kube-scheduler"),
        "proxy": Identity("system:kube-proxy"),
        "coredns": Identity("system:coredns"),
    }  # fmt: skip


def _kubeconfig(layout: Layout, file: str, user: str) -> dict[str, Any]:
    def data(name: str) -> str:
        return base64.b64encode((layout.pki / name).read_bytes()).decode()

    cluster = {"server": layout.server, "certificate-authority-data": data("ca.crt")}
    context = f"iirp-{layout.name}"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [{"name": context, "cluster": cluster}],
        "users": [
            {
                "name": user,
                "user": {"client-certificate-data": data(f"{file}.crt"), "client-key-data": data(f"{file}.key")},
            }
        ],
        "contexts": [{"name": context, "context": {"cluster": context, "user": user}}],
    }


def _write(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        yaml.safe_dump(content, file, sort_keys=False)
    temporary.replace(path)
