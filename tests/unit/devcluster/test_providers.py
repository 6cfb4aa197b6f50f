"""Which provider is taken, and the commands that kind and an existing cluster are driven by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from devcluster import existing, kind, kubectl, select
from devcluster.embedded.provider import EmbeddedProvider
from devcluster.errors import ClusterError
from devcluster.existing import ExistingProvider
from devcluster.kind import KindProvider
from devcluster.paths import cache_dir, clusters_dir, state_dir
from devcluster.state import ClusterRecord, Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("IIRP_STATE_DIR", str(tmp_path))
    return Store(clusters_dir())


@pytest.mark.parametrize(
    ("docker", "provider", "context", "expected"),
    [
        (True, "auto", None, KindProvider),
        (False, "auto", None, EmbeddedProvider),
        (True, "embedded", None, EmbeddedProvider),
        (False, "kind", None, KindProvider),
        (True, "auto", "prod", ExistingProvider),
        (True, "existing", "prod", ExistingProvider),
    ],
)
def test_the_provider_follows_the_request_then_the_machine(
    store: Store, monkeypatch: pytest.MonkeyPatch, docker: bool, provider: str, context: str | None, expected: type
) -> None:
    monkeypatch.setattr(kind, "available", lambda: docker)
    assert isinstance(select.create("new", provider, context), expected)


@pytest.mark.parametrize(
    ("provider", "context", "message"),
    [
        ("existing", None, "an existing cluster must be named"),
        ("kind", "prod", "--context belongs to --provider existing"),
        ("embedded", "prod", "--context belongs to --provider existing"),
    ],
)
def test_a_context_is_never_taken_silently(store: Store, provider: str, context: str | None, message: str) -> None:
    with pytest.raises(ClusterError, match=message):
        select.create("new", provider, context)


def test_a_known_cluster_keeps_its_provider(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "available", lambda: True)
    store.save(ClusterRecord("old", "embedded", index=0))
    assert isinstance(select.create("old"), EmbeddedProvider)
    with pytest.raises(ClusterError, match="is of kind embedded"):
        select.create("old", "kind")


def test_a_known_context_is_not_swapped_for_another(store: Store) -> None:
    store.save(ClusterRecord("old", "existing", context="staging"))
    with pytest.raises(ClusterError, match="stands for the context staging"):
        select.create("old", "existing", "prod")


def test_an_unknown_cluster_is_an_error_that_says_how_to_make_it(store: Store) -> None:
    with pytest.raises(ClusterError, match="iirp cluster up --name nope"):
        select.load("nope")


def test_damaged_and_incomplete_clusters_are_listed(store: Store) -> None:
    store.save(ClusterRecord("a", "embedded", index=0))
    for name, content in (("b", "{"), ("c", None)):
        store.folder(name).mkdir(parents=True)
        if content is not None:
            (store.folder(name) / "cluster.json").write_text(content)
    assert [(r.name, r.provider) for r in select.known()] == [("a", "embedded"), ("b", "damaged"), ("c", "incomplete")]


def test_kind_is_created_once_with_this_projects_configuration(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(command: list[str]) -> str:
        commands.append(command)
        return "other\niirp-dev\n" if command[1] == "get" else ""

    monkeypatch.setattr(kind, "_run", run)
    provider = KindProvider(ClusterRecord("dev", "kind"), store)
    monkeypatch.setattr(provider, "_create", lambda: pytest.fail("it exists"))
    provider.up()
    provider.load_images([Path("a.tar")])
    provider.down()
    assert [command[:3] for command in commands] == [
        ["kind", "get", "clusters"],
        ["kind", "export", "kubeconfig"],
        ["kind", "load", "image-archive"],
        ["kind", "delete", "cluster"],
    ]
    assert all("iirp-dev" in command for command in commands[1:])
    assert not store.folder("dev").exists()


def test_the_kind_command_names_cluster_configuration_and_its_own_kubeconfig(tmp_path: Path) -> None:
    command = kind.create_command("iirp-dev", tmp_path / "kubeconfig")
    assert command[:3] == ["kind", "create", "cluster"]
    assert f"--kubeconfig={tmp_path}/kubeconfig" in command
    assert f"--config={kind.CONFIG}" in command
    assert yaml.safe_load(kind.CONFIG.read_text())["kind"] == "Cluster"


@pytest.mark.parametrize(
    ("networks", "expected"),
    [
        ([{"IPAM": {"Config": [{"Gateway": "fc00::1"}, {"Gateway": "172.18.0.1"}]}}], "172.18.0.1"),
        ([{"IPAM": {"Config": [{"Subnet": "172.18.0.0/16"}]}}], None),
        ([{"IPAM": {"Config": None}}], None),
        ([], None),
    ],
)
def test_the_host_as_kinds_pods_see_it(networks: list[object], expected: str | None) -> None:
    assert kind.gateway(json.dumps(networks)) == expected


def test_a_context_that_there_is_not_is_told_with_the_next_step(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    provider = ExistingProvider(ClusterRecord("there", "existing", context="nope"), store)
    with pytest.raises(ClusterError, match="kubectl config get-contexts"):
        provider.up()


def test_an_existing_context_is_copied_and_only_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(arguments: list[str], timeout: float = 0.0) -> str:
        commands.append(list(arguments))
        return json.dumps({"clusters": [{"cluster": {"server": "https://prod"}}]})

    monkeypatch.setattr(kubectl, "run", run)
    provider = ExistingProvider(ClusterRecord("prod", "existing", context="prod-admin"), store)
    provider.up()
    assert commands[0][:2] == ["config", "view"]
    assert {"--minify", "--flatten", "--context=prod-admin"} <= set(commands[0])
    assert provider.kubeconfig().stat().st_mode & 0o777 == 0o600
    assert all(any(a.startswith("--kubeconfig=") for a in command) for command in commands[1:])
    with pytest.raises(ClusterError, match="pulls its images"):
        provider.load_images([])
    provider.down()
    assert store.load("prod") is None
    assert not any("delete" in command for command in commands)


def test_nodes_are_read_with_their_readiness() -> None:
    def node(name: str, *conditions: tuple[str, str]) -> dict[str, object]:
        return {"metadata": {"name": name}, "status": {"conditions": [{"type": t, "status": s} for t, s in conditions]}}

    listing = {"items": [node("a", ("Ready", "True")), node("b", ("Ready", "Unknown")), node("c")]}
    expected = {"node a": "ready", "node b": "not ready", "node c": "not ready"}
    assert existing.nodes(json.dumps(listing)) == expected


@pytest.mark.parametrize(
    ("env", "cache", "state"),
    [
        ({"HOME": "/h"}, "/h/.cache/iirp", "/h/.local/state/iirp"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/c", "XDG_STATE_HOME": "/s"}, "/c/iirp", "/s/iirp"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/c", "IIRP_CACHE_DIR": "/i", "IIRP_STATE_DIR": "/j"}, "/i", "/j"),
    ],
)
def test_folders_follow_the_environment(env: dict[str, str], cache: str, state: str) -> None:
    assert (str(cache_dir(env)), str(state_dir(env))) == (cache, state)
