"""Addresses, configuration files, commands: pure functions of the layout."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from ipaddress import ip_address
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from devcluster.embedded import addons, cgroups, components, config, network
from devcluster.embedded.kube import is_ready, uids
from devcluster.embedded.layout import Layout, cgroup_of, identity
from devcluster.embedded.node import configuration
from devcluster.errors import ClusterError
from devcluster.state import BLOCKS

LAYOUT = Layout("dev", 3, Path("/state/clusters/dev"))
PROGRAMS = {name: Path("/bin") / name for name in components.COMPONENTS}


def test_all_addresses_lie_in_the_clusters_block_and_do_not_overlap() -> None:
    networks = [LAYOUT.link_network, LAYOUT.pods, LAYOUT.services]
    assert not any(a.overlaps(b) for a, b in combinations(networks, 2))
    assert {LAYOUT.host_ip, LAYOUT.node_ip} <= set(LAYOUT.link_network.hosts())
    assert {LAYOUT.api_service_ip, LAYOUT.dns_ip} <= set(LAYOUT.services.hosts())
    assert str(LAYOUT.node_ip) == "10.67.0.2"


def test_link_names_fit_the_kernels_limit() -> None:
    assert max(len(Layout("x" * 30, index, Path("/s")).link) for index in range(BLOCKS)) <= 15


def test_clusters_of_the_same_name_in_other_folders_are_others() -> None:
    here, there = Path("/home/a/clusters/demo"), Path("/home/b/clusters/demo")
    assert identity(here) != identity(there)
    assert cgroup_of(here) == f"/iirp/{identity(here)}"
    assert identity(here).startswith("demo-")


def test_every_rendered_file_is_well_formed() -> None:
    files = config.files(LAYOUT, "overlayfs", "/usr/lib/cni")
    for name, content in files.items():
        if name.endswith(".yaml"):
            assert yaml.safe_load(content)["kind"], name
    conflist = json.loads(files["cni/10-iirp.conflist"])
    assert [plugin["type"] for plugin in conflist["plugins"]] == ["ptp", "portmap"]


def test_the_kubelet_keeps_to_the_clusters_cgroup_and_serves_on_the_node() -> None:
    kubelet = yaml.safe_load(config.kubelet(LAYOUT))
    assert kubelet["cgroupRoot"] == LAYOUT.cgroup
    assert kubelet["address"] == str(LAYOUT.node_ip)
    assert kubelet["clusterDNS"] == [str(LAYOUT.dns_ip)]
    assert kubelet["authentication"]["anonymous"]["enabled"] is False
    assert kubelet["authorization"]["mode"] == "Webhook"


def test_the_audit_policy_records_the_platforms_objects_and_no_bodies() -> None:
    policy = yaml.safe_load(config.audit_policy())
    assert {rule["level"] for rule in policy["rules"]} == {"None", "Metadata"}
    first = next(rule for rule in policy["rules"] if rule["level"] == "Metadata")
    assert first["resources"] == [{"group": "iirp.io"}]
    assert policy["rules"][-1] == {"level": "Metadata"}


def test_dns_answers_only_on_the_node() -> None:
    binds = [line.split()[1] for line in config.corefile(LAYOUT).splitlines() if line.strip().startswith("bind")]
    assert set(binds) == {str(LAYOUT.node_ip)}
    assert f"{LAYOUT.host_ip} host.iirp.internal" in config.corefile(LAYOUT)


@pytest.mark.parametrize("name", list(components.COMPONENTS))
def test_components_write_nowhere_but_into_the_clusters_folder(name: str) -> None:
    for argument in components.argv(name, LAYOUT, PROGRAMS)[1:]:
        value = argument.partition("=")[2] or argument
        if value.startswith("/"):
            assert Path(value).is_relative_to(LAYOUT.folder), argument


def test_the_api_server_authorises_by_node_and_rbac_and_audits() -> None:
    argv = components.argv("kube-apiserver", LAYOUT, PROGRAMS)
    assert "--authorization-mode=Node,RBAC" in argv
    assert f"--audit-log-path={LAYOUT.audit_log}" in argv
    assert not any("AlwaysAllow" in argument or argument.startswith("--insecure") for argument in argv)


def test_a_changed_configuration_file_is_seen_whatever_the_option_looks_like() -> None:
    folder = Path("/state/config")
    argv = ["/bin/x", "--config", "/state/config/a.toml", "--kubeconfig=/state/config/b", "--data=/state/data", "-v"]
    assert configuration(argv, folder) == [folder / "a.toml", folder / "b"]


def test_the_host_gets_one_link_and_two_routes_and_no_more() -> None:
    outside = [command for command in network.plan(LAYOUT, 42) if command[0] == "ip"]
    assert [command[1:3] for command in outside] == [
        ["link", "add"],
        ["link", "set"],
        ["addr", "add"],
        ["link", "set"],
        ["route", "replace"],
        ["route", "replace"],
    ]
    inside = [command for command in network.plan(LAYOUT, 42) if command[0] != "ip"]
    assert all(command[:4] == ["nsenter", "--target", "42", "--net"] for command in inside)
    words = [word for command in network.plan(LAYOUT, 42) for word in command]
    assert "netns" not in [command[1] for command in outside]  # would leave a mount behind
    assert not {"iptables", "sysctl"} & set(words)


@pytest.mark.parametrize(
    ("links", "removed"),
    [
        ([], []),
        ([{"ifname": "iirp9", "ifalias": "iirp cluster other"}], []),
        ([{"ifname": "iirp9", "ifalias": f"iirp cluster {identity(LAYOUT.folder)}"}, {"ifname": "eth0"}], ["iirp9"]),
    ],
)
def test_only_the_clusters_own_link_is_removed(
    monkeypatch: pytest.MonkeyPatch, links: list[dict[str, str]], removed: list[str]
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(network, "_links", lambda: links)
    monkeypatch.setattr(network, "_run", lambda command: commands.append(command) or "")
    network.disconnect(LAYOUT.folder)
    assert [command[-1] for command in commands] == removed


@pytest.mark.parametrize(("still_there", "outcome"), [(False, nullcontext()), (True, pytest.raises(ClusterError))])
def test_a_link_that_the_kernel_removes_first_is_no_error(
    monkeypatch: pytest.MonkeyPatch, still_there: bool, outcome: AbstractContextManager[object]
) -> None:
    link = {"ifname": "iirp9", "ifalias": f"iirp cluster {identity(LAYOUT.folder)}"}
    listings = [[link], [link] if still_there else []]

    def refused(_: list[str]) -> str:
        raise ClusterError('Cannot find device "iirp9"')

    monkeypatch.setattr(network, "_links", lambda: listings.pop(0))
    monkeypatch.setattr(network, "_run", refused)
    with outcome:
        network.disconnect(LAYOUT.folder)
    assert listings == []


def test_anothers_addresses_are_never_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_links", lambda: [{"ifname": "iirp3", "ifalias": "iirp cluster demo-abcdef"}])
    monkeypatch.setattr(network, "_run", lambda _: pytest.fail("nothing may be changed"))
    with pytest.raises(ClusterError, match=r"10\.67\.0\.0/16 are in use by iirp cluster demo-abcdef"):
        network.connect(LAYOUT, 42)


V1 = "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n"
V2 = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"


@pytest.mark.parametrize(
    ("mounts", "join", "look"),
    [
        (V1, ["memory", "cpu"], ["memory", "cpu"]),
        (V2, ["unified"], ["unified"]),
        ("proc /proc proc rw 0 0\n" + V1 + V2, ["memory", "cpu"], ["memory", "cpu", "unified"]),
    ],
)
def test_cgroup_hierarchies_of_either_version_and_hybrid(mounts: str, join: list[str], look: list[str]) -> None:
    found = cgroups.hierarchies(mounts)
    assert [path.name for path in found[0]] == join
    assert [path.name for path in found[1]] == look


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, True),
        ({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}, False),
        ({"status": {}}, False),
        ({}, False),
    ],
)
def test_a_node_is_ready_when_it_says_so(node: dict[str, object], expected: bool) -> None:
    assert is_ready(node) is expected


def test_ended_pods_do_not_keep_a_node_from_being_ready() -> None:
    pods = [("a", "Running"), ("b", "Succeeded"), ("c", "Failed"), ("d", "Pending")]
    listing = {"items": [{"metadata": {"uid": uid}, "status": {"phase": phase}} for uid, phase in pods]}
    assert uids(listing) == {"a", "d"}
    assert uids({"items": None}) == set()


def test_dns_is_found_where_charts_expect_it() -> None:
    objects = dict(addons.objects(LAYOUT))
    service = objects["/api/v1/namespaces/kube-system/services/kube-dns"]
    assert ip_address(service["spec"]["clusterIP"]) == LAYOUT.dns_ip
    role = objects["/apis/rbac.authorization.k8s.io/v1/clusterroles/system:coredns"]
    assert all(set(rule["verbs"]) <= {"list", "watch"} for rule in role["rules"])
