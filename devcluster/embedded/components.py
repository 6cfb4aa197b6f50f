"""The commands of a node's programs, in the order of starting. Pure: (layout, where programs are) → argv."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from devcluster.embedded.layout import Layout

__all__ = ["COMPONENTS", "argv"]

Programs = Mapping[str, Path]


def _etcd(layout: Layout, programs: Programs) -> list[str]:
    pki = layout.pki
    return [
        str(programs["etcd"]),
        f"--name={layout.node}",
        f"--data-dir={layout.data}/etcd",
        "--listen-client-urls=https://127.0.0.1:2379",
        "--advertise-client-urls=https://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        f"--initial-cluster={layout.node}=http://127.0.0.1:2380",
        # Client certificates: pods on the host network share this loopback.
        "--client-cert-auth",
        f"--trusted-ca-file={pki}/ca.crt",
        f"--cert-file={pki}/etcd.crt",
        f"--key-file={pki}/etcd.key",
        "--auto-compaction-retention=1h",
        "--snapshot-count=10000",
        "--logger=zap",
        "--log-level=warn",
    ]


def _apiserver(layout: Layout, programs: Programs) -> list[str]:
    pki = layout.pki
    issuer = "https://kubernetes.default.svc.cluster.local"
    return [
        str(programs["kube-apiserver"]),
        f"--advertise-address={layout.node_ip}",
        "--secure-port=6443",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt",
        "--etcd-servers=https://127.0.0.1:2379",
        f"--etcd-cafile={pki}/ca.crt",
        f"--etcd-certfile={pki}/etcd-client.crt",
        f"--etcd-keyfile={pki}/etcd-client.key",
        f"--service-cluster-ip-range={layout.services}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--service-account-issuer={issuer}",
        f"--api-audiences={issuer}",
        f"--service-account-key-file={pki}/service-accounts.pub",
        f"--service-account-signing-key-file={pki}/service-accounts.key",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki}/front-proxy-client.crt",
        f"--proxy-client-key-file={pki}/front-proxy-client.key",
        "--enable-aggregator-routing=true",
        f"--audit-policy-file={layout.config}/audit-policy.yaml",
        f"--audit-log-path={layout.audit_log}",
        "--audit-log-maxsize=64",
        "--audit-log-maxbackup=2",
        # A test reads a line right after the request that caused it.
        "--audit-log-mode=blocking",
        "--profiling=false",
        "--shutdown-delay-duration=0s",
    ]


def _controller_manager(layout: Layout, programs: Programs) -> list[str]:
    kubeconfig = f"{layout.config}/controller-manager.kubeconfig"
    return [
        str(programs["kube-controller-manager"]),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--root-ca-file={layout.pki}/ca.crt",
        f"--service-account-private-key-file={layout.pki}/service-accounts.key",
        f"--cluster-signing-cert-file={layout.pki}/ca.crt",
        f"--cluster-signing-key-file={layout.pki}/ca.key",
        "--use-service-account-credentials=true",
        # One replica: an election could only be lost, to a busy disk.
        "--leader-elect=false",
        f"--bind-address={layout.node_ip}",
    ]


def _scheduler(layout: Layout, programs: Programs) -> list[str]:
    kubeconfig = f"{layout.config}/scheduler.kubeconfig"
    return [
        str(programs["kube-scheduler"]),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
        f"--bind-address={layout.node_ip}",
    ]


def _containerd(layout: Layout, programs: Programs) -> list[str]:
    return [str(programs["containerd"]), "--config", f"{layout.config}/containerd.toml", "--log-level", "warn"]


def _kubelet(layout: Layout, programs: Programs) -> list[str]:
    return [
        str(programs["kubelet"]),
        f"--config={layout.config}/kubelet.yaml",
        f"--kubeconfig={layout.config}/kubelet.kubeconfig",
        f"--hostname-override={layout.node}",
        f"--node-ip={layout.node_ip}",
        "--node-labels=iirp.io/provider=embedded",
        # cAdvisor looks every 10 s, less often at what is idle: too coarse to see a slope within a minute.
        "--housekeeping-interval=5s",
    ]


def _proxy(layout: Layout, programs: Programs) -> list[str]:
    return [str(programs["kube-proxy"]), f"--config={layout.config}/proxy.yaml"]


def _coredns(layout: Layout, programs: Programs) -> list[str]:
    return [str(programs["coredns"]), "-conf", f"{layout.config}/Corefile"]


COMPONENTS: Mapping[str, Callable[[Layout, Programs], list[str]]] = {
    "containerd": _containerd,
    "etcd": _etcd,
    "kube-apiserver": _apiserver,
    "kube-controller-manager": _controller_manager,
    "kube-scheduler": _scheduler,
    "kubelet": _kubelet,
    "kube-proxy": _proxy,
    "coredns": _coredns,
}


def argv(name: str, layout: Layout, programs: Programs) -> list[str]:
    """The command line of a component."""
    return COMPONENTS[name](layout, programs)
