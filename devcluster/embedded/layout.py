"""Names, addresses and folders of one embedded cluster: computed, never stored, so that every part agrees."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from devcluster.state import block

__all__ = ["Layout", "cgroup_of", "identity"]


@dataclass(frozen=True, slots=True)
class Layout:
    """A cluster's block 10.N.0.0/16 holds the link (.0.0/24), the pods (.16.0/20) and the services (.32.0/20)."""

    name: str
    index: int
    folder: Path

    @property
    def node(self) -> str:
        """The node's name, also its host name."""
        return f"iirp-{self.name}"

    @property
    def link(self) -> str:
        """The host's end of the cable to the node; at most 15 characters, so by number."""
        return f"iirp{self.index}"

    @property
    def host_ip(self) -> IPv4Address:
        """This machine, as pods reach it."""
        return self._at(1)

    @property
    def node_ip(self) -> IPv4Address:
        """The node, as pods and this machine reach it: API server, kubelet, node ports."""
        return self._at(2)

    @property
    def link_network(self) -> IPv4Network:
        """The cable between host and node."""
        return IPv4Network(f"{self._at(0)}/24")

    @property
    def pods(self) -> IPv4Network:
        """Pod addresses."""
        return IPv4Network(f"{self._at(16 * 256)}/20")

    @property
    def services(self) -> IPv4Network:
        """Service addresses."""
        return IPv4Network(f"{self._at(32 * 256)}/20")

    @property
    def api_service_ip(self) -> IPv4Address:
        """`kubernetes.default`."""
        return self.services[1]

    @property
    def dns_ip(self) -> IPv4Address:
        """`kube-dns.kube-system`."""
        return self.services[10]

    @property
    def server(self) -> str:
        """The API server's address, the same inside and outside."""
        return f"https://{self.node_ip}:6443"

    @property
    def cgroup(self) -> str:
        """Below every cgroup hierarchy; the kubelet's root, so that nothing of the cluster lies elsewhere."""
        return cgroup_of(self.folder)

    @property
    def pki(self) -> Path:
        """Certificates and keys."""
        return self.folder / "pki"

    @property
    def config(self) -> Path:
        """Rendered configuration files and kubeconfigs of the components."""
        return self.folder / "config"

    @property
    def data(self) -> Path:
        """What the node keeps across a restart: etcd, containerd, kubelet, logs."""
        return self.folder / "data"

    @property
    def kubeconfig(self) -> Path:
        """For people: cluster-admin."""
        return self.folder / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        """What the API server recorded; tests use it as the judge."""
        return self.data / "audit" / "audit.log"

    @property
    def containerd_socket(self) -> str:
        """Inside the node, where cAdvisor looks for it."""
        return "/run/containerd/containerd.sock"

    def _at(self, offset: int) -> IPv4Address:
        return block(self.index)[offset]


def identity(folder: Path) -> str:
    """A cluster's name on the machine, where other people's clusters may be called the same: unique by its folder.

    Known without a record, so that a cluster whose record is lost can be taken down.
    """
    return f"{folder.name}-{hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:6]}"


def cgroup_of(folder: Path) -> str:
    """The cgroup that holds everything of the cluster in that folder."""
    return f"/iirp/{identity(folder)}"
