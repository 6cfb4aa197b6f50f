"""The cable between this machine and a node: a veth pair, two routes, nothing else; no iptables rule outside the node.

The pair is the whole footprint in the machine's network namespace, and the kernel removes it with the node's namespace.
"""

from __future__ import annotations

import json
import subprocess
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from devcluster.embedded.layout import Layout, identity
from devcluster.errors import ClusterError
from devcluster.state import block

__all__ = ["connect", "connected", "disconnect", "plan", "routed_networks"]

_TIMEOUT = 20.0


def routed_networks() -> list[IPv4Network]:
    """Destinations that this machine already knows a way to."""
    routes = _json(["ip", "-4", "-j", "route", "show", "table", "all"])
    return [
        IPv4Network(dst, strict=False) for route in routes if (dst := str(route.get("dst", ""))) and dst[0].isdigit()
    ]


def plan(layout: Layout, pid: int) -> list[list[str]]:
    """The commands that connect the network namespace of process `pid` with this one."""
    link, host, node = layout.link, f"{layout.host_ip}/24", f"{layout.node_ip}/24"
    # Not `ip netns`: that leaves a mount behind, on which the namespace would live forever.
    inside = ["nsenter", "--target", str(pid), "--net", "--", "ip"]
    return [
        ["ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(pid)],
        ["ip", "link", "set", link, "alias", _alias(layout.folder)],
        ["ip", "addr", "add", host, "dev", link],
        ["ip", "link", "set", link, "up"],
        [*inside, "link", "set", "lo", "up"],
        [*inside, "addr", "add", node, "dev", "eth0"],
        [*inside, "link", "set", "eth0", "up"],
        # It leads to this machine only, but without a default route programs do not find their own address.
        [*inside, "route", "add", "default", "via", str(layout.host_ip)],
        ["ip", "route", "replace", str(layout.pods), "via", str(layout.node_ip), "dev", link],
        ["ip", "route", "replace", str(layout.services), "via", str(layout.node_ip), "dev", link],
    ]


def connect(layout: Layout, pid: int) -> None:
    """Connects the node, after clearing what an earlier one may have left."""
    disconnect(layout.folder)
    for link in _links():
        if link.get("ifname") == layout.link:
            if owner := link.get("ifalias"):
                raise ClusterError(
                    f"addresses {block(layout.index)} are in use by {owner}: take that one down, or "
                    f"`iirp cluster down --name {layout.name}` and up again for other addresses"
                )
            _delete(layout.link)  # left by a run that ended before it named its link
    for command in plan(layout, pid):
        _run(command)


def connected(layout: Layout) -> bool:
    """Whether the host's end is there, with its address and routes."""
    try:
        routes = _json(["ip", "-4", "-j", "route", "show", "dev", layout.link])
    except ClusterError:
        return False
    return {str(layout.pods), str(layout.services)} <= {route.get("dst") for route in routes}


def disconnect(folder: Path) -> None:
    """Removes the pair of the cluster in that folder, known by its alias, if there is one."""
    for link in _links():
        if link.get("ifalias") == _alias(folder):
            _delete(str(link["ifname"]))


def _delete(name: str) -> None:
    """Removes a link that was listed; the kernel may remove it meanwhile, some time after its node's last process."""
    try:
        _run(["ip", "link", "delete", name])
    except ClusterError:
        if name in {link.get("ifname") for link in _links()}:
            raise


def _alias(folder: Path) -> str:
    return f"iirp cluster {identity(folder)}"


def _links() -> list[dict[str, Any]]:
    return _json(["ip", "-j", "link", "show"])


def _json(command: list[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(_run(command) or "[]")
    return [row for row in rows if row]


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except FileNotFoundError as error:
        raise ClusterError(f"the program {command[0]} is missing: apt-get install iproute2 util-linux") from error
    if done.returncode != 0:
        raise ClusterError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
