"""`iirp cluster`: what is printed, and the exit codes that scripts rely on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.cluster import cluster
from devcluster import select
from devcluster.errors import ClusterError, StepFailed
from devcluster.progress import Progress
from devcluster.provider import ClusterStatus


class FakeProvider:
    """Records what was asked of it."""

    def __init__(self, ready: bool = True, error: Exception | None = None) -> None:
        self.calls: list[object] = []
        self._ready, self._error = ready, error

    def up(self, progress: Progress | None = None) -> None:
        self.calls.append("up")
        if self._error:
            raise self._error

    def down(self) -> None:
        self.calls.append("down")

    def status(self) -> ClusterStatus:
        part = {"etcd": "running" if self._ready else "stopped"}
        return ClusterStatus("dev", "embedded", self._ready, "https://10.64.0.2:6443", "10.64.0.1", part)

    def kubeconfig(self) -> Path:
        return Path("/state/dev/kubeconfig")

    def load_images(self, archives: Sequence[Path]) -> None:
        self.calls.append([path.name for path in archives])


def _run(monkeypatch: pytest.MonkeyPatch, provider: FakeProvider, *arguments: str) -> Result:
    monkeypatch.setattr(select, "create", lambda *_: provider)
    monkeypatch.setattr(select, "load", lambda _: provider)
    monkeypatch.setattr(select, "remove", lambda _: provider.down())
    return CliRunner().invoke(cluster, list(arguments))


def test_up_ends_with_what_to_type_next(monkeypatch: pytest.MonkeyPatch) -> None:
    result = _run(monkeypatch, FakeProvider(), "up")
    assert result.exit_code == 0
    assert "export KUBECONFIG=/state/dev/kubeconfig" in result.output


def test_a_failed_step_is_one_message_with_the_log_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = tmp_path / "etcd.log"
    log.write_text("one\ntwo\nno space left on device\n")
    result = _run(monkeypatch, FakeProvider(error=StepFailed("etcd ended", log)), "up")
    assert result.exit_code == 1
    assert f"etcd ended\n  log: {log}\n  | one\n  | two\n  | no space left on device" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(("ready", "code"), [(True, 0), (False, 1)])
def test_status_tells_scripts_by_its_exit_code(monkeypatch: pytest.MonkeyPatch, ready: bool, code: int) -> None:
    result = _run(monkeypatch, FakeProvider(ready), "status")
    assert result.exit_code == code
    assert ("NOT READY" in result.output) is not ready


def test_status_as_json_has_the_address_that_pods_reach_the_machine_at(monkeypatch: pytest.MonkeyPatch) -> None:
    status = json.loads(_run(monkeypatch, FakeProvider(), "status", "-o", "json").output)
    assert status["host_address"] == "10.64.0.1"
    assert status["parts"] == {"etcd": "running"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("up", "--provider", "minikube"),
        ("load-image",),
        ("load-image", "/no/such/file"),
        ("status", "-o", "xml"),
        ("fly",),
    ],
)
def test_bad_arguments_exit_2(monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    assert _run(monkeypatch, FakeProvider(), *arguments).exit_code == 2


@pytest.mark.parametrize("arguments", [("--provider", "existing"), ("--provider", "kind", "--context", "a")])
def test_arguments_that_do_not_fit_together_exit_2(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("IIRP_STATE_DIR", str(tmp_path))
    result = CliRunner().invoke(cluster, ["up", "--name", "x", *arguments])
    assert result.exit_code == 2
    assert "--context" in result.output


def test_archives_are_handed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    paths = [tmp_path / "a.tar", tmp_path / "b.tar"]
    for path in paths:
        path.touch()
    provider = FakeProvider()
    assert _run(monkeypatch, provider, "load-image", *map(str, paths)).exit_code == 0
    assert provider.calls == [["a.tar", "b.tar"]]


def test_users_are_issued_for_embedded_clusters_only(monkeypatch: pytest.MonkeyPatch) -> None:
    result = _run(monkeypatch, FakeProvider(), "kubeconfig", "--user", "eve")
    assert result.exit_code == 1
    assert "embedded clusters only" in result.output
    assert _run(monkeypatch, FakeProvider(), "kubeconfig").output == "/state/dev/kubeconfig\n"


def test_unknown_clusters_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> None:
        raise ClusterError(f"there is no cluster {name}")

    monkeypatch.setattr(select, "load", load)
    result = CliRunner().invoke(cluster, ["status", "--name", "nope"])
    assert result.exit_code == 1
    assert "there is no cluster nope" in result.output
