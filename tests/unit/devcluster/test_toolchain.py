"""Finding and building programs; the compiler is replaced by a script on the PATH."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

import pytest

from devcluster import toolchain
from devcluster.errors import ClusterError, StepFailed
from devcluster.processes import poll
from devcluster.toolchain import TARGETS, Background, Target, Toolchain, inputs_hash

GO = """#!/bin/sh
case "$1" in
  version) echo "go version go9.9.9 linux/amd64" ;;
  list) echo "$*" >> "$COUNT.fetched" ;;
  build)
    echo built >> "$COUNT"
    case "$*" in *coredns*) echo "no such package" >&2; exit 1 ;; esac
    while [ $# -gt 0 ]; do [ "$1" = -o ] && out=$2; shift; done
    printf '#!/bin/sh\\n' > "$out"; chmod +x "$out" ;;
esac
"""


@pytest.fixture
def count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for Go; the file gets a line per build."""
    go = tmp_path / "path" / "go"
    go.parent.mkdir()
    go.write_text(GO)
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}:/usr/bin:/bin")
    monkeypatch.setenv("COUNT", str(tmp_path / "count"))
    toolchain.go_version.cache_clear()
    yield tmp_path / "count"  # type: ignore[misc]
    toolchain.go_version.cache_clear()


def _builds(count: Path) -> int:
    return len(count.read_text().split()) if count.exists() else 0


def test_a_program_is_built_once_and_then_found(count: Path, tmp_path: Path) -> None:
    tools = Toolchain(tmp_path / "cache", env={})
    assert tools.find("kubelet") is None
    path = tools.ensure("kubelet")
    assert path.name == "kubelet"
    assert path.resolve().name == "kube"
    assert tools.ensure("kube-apiserver").parent == path.parent
    assert Toolchain(tmp_path / "cache", env={}).ensure("kubelet") == path
    assert _builds(count) == 1
    assert not [file for file in path.parent.iterdir() if "unfinished" in file.name]


def test_builders_at_the_same_time_build_once(count: Path, tmp_path: Path) -> None:
    tools = [Toolchain(tmp_path / "cache", env={}) for _ in range(4)]
    threads = [threading.Thread(target=tool.ensure, args=("pause",)) for tool in tools]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert _builds(count) == 1


def test_who_waits_hears_how_far_the_other_build_is(count: Path, tmp_path: Path) -> None:
    tools = Toolchain(tmp_path / "cache", env={})
    kube = tools.log(TARGETS["kube"])
    kube.parent.mkdir(parents=True)
    kube.write_text("go: downloading x v1\nk8s.io/api\nk8s.io/client-go\n")
    lock = tmp_path / "cache" / "bin" / ".build.lock"
    heard: list[str] = []
    with lock.open("a+") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        holder.write("kube")
        holder.flush()
        waiter = threading.Thread(target=tools.ensure, args=("pause", heard.append))
        waiter.start()
        assert poll(lambda: bool(heard), 10.0, 0.02)
    waiter.join(10)
    assert heard[0] == "building kube, 2 of at most 2565 packages compiled"
    assert tools.find("pause") is not None


def test_who_waits_for_a_program_has_it_as_soon_as_it_is_there(count: Path, tmp_path: Path) -> None:
    tools = Toolchain(tmp_path / "cache", env={})
    built = tools.ensure("pause")
    hidden = built.rename(built.with_name("hidden"))
    lock = tmp_path / "cache" / "bin" / ".build.lock"
    with lock.open("a+") as holder:  # somebody builds one program after the other, and never lets go
        fcntl.flock(holder, fcntl.LOCK_EX)
        waiter = threading.Thread(target=tools.ensure, args=("pause",))
        waiter.start()
        hidden.rename(built)
        waiter.join(10)
        assert not waiter.is_alive()
    assert _builds(count) == 1


def test_a_failed_build_shows_what_the_compiler_said_and_leaves_nothing_to_find(count: Path, tmp_path: Path) -> None:
    tools = Toolchain(tmp_path / "cache", env={})
    with pytest.raises(StepFailed, match=r"building coredns failed\n  log: .*coredns\.log\n  \| no such package"):
        tools.ensure("coredns")
    assert tools.find("coredns") is None
    assert _builds(count) == 1


def test_envtest_binaries_are_used_as_they_are(count: Path, tmp_path: Path) -> None:
    assets = tmp_path / "assets"
    assets.mkdir()
    (assets / "kube-apiserver").write_text("")
    (assets / "kube-apiserver").chmod(0o755)
    tools = Toolchain(tmp_path / "cache", env={"KUBEBUILDER_ASSETS": str(assets)})
    assert tools.ensure("kube-apiserver") == assets / "kube-apiserver"
    assert tools.find("kubelet") is None
    assert _builds(count) == 0


def test_what_is_not_built_here_must_be_on_the_path(count: Path, tmp_path: Path) -> None:
    tools = Toolchain(tmp_path / "cache", env={})
    with pytest.raises(ClusterError, match="no-such-program is neither on the PATH"):
        tools.ensure("no-such-program")


def test_without_go_the_need_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    toolchain.go_version.cache_clear()
    with pytest.raises(ClusterError, match=r"Go 1\.21 or newer is needed"):
        Toolchain(tmp_path, env={}).find("kubelet")
    toolchain.go_version.cache_clear()


def test_the_hash_follows_the_inputs_of_the_program_and_no_others(count: Path, tmp_path: Path) -> None:
    for name in ("go.mod", "go.sum"):
        (tmp_path / name).write_text(name)
    for package in ("a", "b"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "main.go").write_text("package main")
    target = Target("a", "m", "./a", packages=1)
    before = inputs_hash(target, tmp_path)
    (tmp_path / "b" / "main.go").write_text("package main // changed")
    assert inputs_hash(Target("a", "m", "./a", packages=2), tmp_path) == before
    (tmp_path / "a" / "main.go").write_text("package main // changed")
    changed = inputs_hash(target, tmp_path)
    assert changed != before
    (tmp_path / "go.mod").write_text("changed")
    assert inputs_hash(target, tmp_path) != changed


def test_the_background_builder_hands_out_results_and_failures(count: Path, tmp_path: Path) -> None:
    background = Background(Toolchain(tmp_path / "cache", env={}), ["coredns", "pause"]).start()
    assert background.wait("pause", 30.0).name == "pause"
    with pytest.raises(StepFailed, match="building coredns failed"):
        background.wait("coredns", 30.0)
    assert background.remaining() == []


def test_modules_are_fetched_ahead_for_what_is_still_to_build(count: Path, tmp_path: Path) -> None:
    tools = Toolchain(tmp_path / "cache", env={})
    tools.ensure("pause")
    for program in ("pause", "loki", "no-such-program"):
        tools.fetch(program)
    fetched = Path(f"{count}.fetched").read_text().splitlines()
    assert [line.split()[-1] for line in fetched] == ["github.com/grafana/loki/v3/cmd/loki"]


def test_every_module_of_a_target_is_in_the_repository() -> None:
    sources = Path(toolchain.__file__).parent
    for target in TARGETS.values():
        assert (sources / target.module / "go.sum").is_file(), target
        if target.package.startswith("."):
            assert list((sources / target.module / target.package).glob("*.go")), target


def test_background_tells_how_far_the_running_build_is(tmp_path: Path) -> None:
    toolchain = Toolchain(tmp_path, {})
    heard: list[str] = []
    log = toolchain.log(TARGETS["loki"])
    log.parent.mkdir(parents=True)
    log.write_text("go: downloading example.org/a v1.0.0\nexample.org/a\nexample.org/b\n")

    Background(toolchain, ["loki"]).tell(heard.append)

    assert heard == ["building loki, 2 of at most 2157 packages compiled"]
