"""The configuration files of a node's programs, rendered from its layout. Pure: (layout, facts) → text."""

from __future__ import annotations

import json
from typing import Any

import yaml

from devcluster.embedded.layout import Layout

__all__ = ["SANDBOX_IMAGE", "audit_policy", "cni", "containerd", "corefile", "files", "kube_proxy", "kubelet"]

SANDBOX_IMAGE = "iirp.io/pause:node"


def files(layout: Layout, snapshotter: str, cni_bin: str) -> dict[str, str]:
    """Path below the configuration folder → content, of every file."""
    return {
        "containerd.toml": containerd(layout, snapshotter, cni_bin),
        "cni/10-iirp.conflist": cni(layout),
        "kubelet.yaml": kubelet(layout),
        "proxy.yaml": kube_proxy(layout),
        "Corefile": corefile(layout),
        "resolv.conf": f"nameserver {layout.node_ip}\n",
        "audit-policy.yaml": audit_policy(),
    }


def containerd(layout: Layout, snapshotter: str, cni_bin: str) -> str:
    """containerd 1.6/1.7, configuration version 2."""
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
address = "{layout.containerd_socket}"
[{cri}]
sandbox_image = "{SANDBOX_IMAGE}"
# Without CAP_SYS_RESOURCE (a container, a small VM) nobody may lower oom_score_adj: every sandbox would die of trying.
restrict_oom_score_adj = true
disable_apparmor = true
[{cri}.containerd]
snapshotter = "{snapshotter}"
default_runtime_name = "runc"
[{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[{cri}.containerd.runtimes.runc.options]
SystemdCgroup = false
[{cri}.cni]
bin_dir = "{cni_bin}"
conf_dir = "{layout.config}/cni"
"""


def cni(layout: Layout) -> str:
    """One veth per pod, routed: no bridge, hence no need for br_netfilter.

    Address leases lie under /run: they go with the node, as the pods do.
    """
    return json.dumps(
        {
            "cniVersion": "1.0.0",
            "name": "iirp",
            "plugins": [
                {
                    "type": "ptp",
                    "ipMasq": False,
                    "mtu": 1500,
                    "ipam": {
                        "type": "host-local",
                        "dataDir": "/run/cni/networks",
                        "ranges": [[{"subnet": str(layout.pods)}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                    },
                },
                {"type": "portmap", "capabilities": {"portMappings": True}},
            ],
        },
        indent=2,
    )


def kubelet(layout: Layout) -> str:
    """KubeletConfiguration. The disk belongs to others too, so only a nearly full one evicts."""
    return _yaml(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": str(layout.node_ip),
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": f"{layout.pki}/ca.crt"},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": f"{layout.pki}/kubelet-server.crt",
            "tlsPrivateKeyFile": f"{layout.pki}/kubelet-server.key",
            "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": layout.cgroup,
            "failCgroupV1": False,
            "failSwapOn": False,
            "clusterDNS": [str(layout.dns_ip)],
            "clusterDomain": "cluster.local",
            "resolvConf": f"{layout.config}/resolv.conf",
            # How full volumes are is looked at every minute by default; on one small node ten seconds cost nothing.
            "volumeStatsAggPeriod": "10s",
            # Images are never collected: without a registry nothing would bring them back.
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        }
    )


def kube_proxy(layout: Layout) -> str:
    """KubeProxyConfiguration: iptables, in the node's own network namespace."""
    return _yaml(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clusterCIDR": str(layout.pods),
            "hostnameOverride": layout.node,
            "clientConnection": {"kubeconfig": f"{layout.config}/proxy.kubeconfig"},
            "metricsBindAddress": f"{layout.node_ip}:10249",
            # The connection table's size belongs to the machine, not to a network namespace.
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
            "iptables": {"minSyncPeriod": "0.2s", "syncPeriod": "30s"},
        }
    )


def corefile(layout: Layout) -> str:
    """Cluster names, `host.iirp.internal` for the machine, and nothing else: there is no way out, so say so at once."""
    ip = layout.node_ip
    return f"""cluster.local:53 in-addr.arpa:53 {{
    bind {ip}
    errors
    health {ip}:8080
    ready {ip}:8181
    prometheus {ip}:9153
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {layout.config}/coredns.kubeconfig
        pods insecure
        ttl 5
    }}
    cache 5
    loadbalance
}}
iirp.internal:53 {layout.node}:53 {{
    bind {ip}
    hosts {{
        {layout.host_ip} host.iirp.internal
        {ip} {layout.node}
        no_reverse
    }}
}}
.:53 {{
    bind {ip}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def audit_policy() -> str:
    """Who did what to the platform's objects and to workloads; bodies never, reads of the rest never."""
    rules: list[dict[str, Any]] = [
        {"level": "None", "users": ["system:apiserver"]},
        {"level": "Metadata", "resources": [{"group": "iirp.io"}]},
        {"level": "None", "verbs": ["get", "list", "watch"]},
        {"level": "None", "resources": [{"group": "coordination.k8s.io"}, {"group": "", "resources": ["events"]}]},
        {"level": "None", "resources": [{"group": "", "resources": ["nodes/status"]}]},
        {"level": "Metadata"},
    ]
    policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": rules}
    return _yaml(policy)


def _yaml(content: dict[str, Any]) -> str:
    return yaml.safe_dump(content, sort_keys=False)
