"""What is missing on a machine, and who may install it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devcluster import debian
from devcluster.debian import NODE, Need, install_command, missing, quiet_services
from devcluster.errors import ClusterError

NEEDS = (Need("etcd-server", "etcd"), Need("containernetworking-plugins", "/usr/lib/cni/ptp"))


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (set(), ["etcd-server", "containernetworking-plugins"]),
        ({"etcd"}, ["containernetworking-plugins"]),
        ({"etcd", "/usr/lib/cni/ptp"}, []),
    ],
)
def test_only_what_is_missing_is_listed(there: set[str], expected: list[str]) -> None:
    assert missing(NEEDS, lambda name: name if name in there else None) == expected


def test_installing_never_removes_or_upgrades() -> None:
    assert {"--no-remove", "--no-upgrade", "--no-install-recommends"} <= set(install_command(["runc"]))


@pytest.mark.parametrize(
    ("installed", "systemd", "expected"),
    [
        (
            ["etcd-server", "runc", "containerd"],
            True,
            [["systemctl", "disable", "--now", "etcd.service", "containerd.service"]],
        ),
        (["runc", "iptables"], True, []),
        (["etcd-server"], False, []),
    ],
)
def test_only_services_of_what_was_just_installed_are_stopped(
    tmp_path: Path, installed: list[str], systemd: bool, expected: list[list[str]]
) -> None:
    assert quiet_services(installed, tmp_path if systemd else tmp_path / "none") == expected


def test_a_plain_user_is_told_the_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "missing", lambda _: ["runc", "iptables"])
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/apt-get")
    said: list[str] = []
    with pytest.raises(ClusterError, match=r"Run: sudo apt-get install .*--yes .*runc iptables$"):
        debian.ensure(NODE, said.append, tmp_path / "log")
    assert said == []


def test_a_machine_without_apt_is_told_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "missing", lambda _: ["runc"])
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(ClusterError, match="missing: runc"):
        debian.ensure(NODE, lambda _: None, tmp_path / "log")


def test_nothing_missing_says_and_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "missing", lambda _: [])
    said: list[str] = []
    debian.ensure(NODE, said.append, tmp_path / "log")
    assert said == []
    assert not (tmp_path / "log").exists()
