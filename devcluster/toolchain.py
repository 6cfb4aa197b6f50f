"""Builds the cluster's programs from Go modules once, and finds them afterwards.

Binaries live under `<cache>/bin/<program>-<hash of its inputs, flags and Go version>/`. An interrupted build resumes
through Go's own build cache; builds take turns by a lock file, and who waited finds the result.
Programs under `KUBEBUILDER_ASSETS` (the envtest convention) are used as they are.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from devcluster.errors import ClusterError, StepFailed
from devcluster.paths import cache_dir, search_path

__all__ = ["TARGETS", "Background", "Target", "Toolchain"]

logger = logging.getLogger(__name__)

_SOURCES = Path(__file__).parent
_BUILD_TIMEOUT = 3600.0
_LOCK_INTERVAL = 0.5
# Without debug information: nobody debugs these here, and the compiler is a sixth faster.
_FLAGS = ("-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false")
_KUBE_PACKAGE = "k8s.io/component-base/version"


@dataclass(frozen=True, slots=True)
class Target:
    """A program to build: where its module lies, which package, and under which further names it is called."""

    name: str
    module: str
    package: str
    tags: str = ""
    ldflags: str = ""
    aliases: tuple[str, ...] = ()
    packages: int = 0
    """How many packages it has, for the progress display; what is cached already is not compiled again."""


_PROMETHEUS = "github.com/prometheus/prometheus/cmd"
_PROMETHEUS_TAGS = "remove_all_sd enable_kubernetes_sd"
_TARGETS = (
    Target("pause", "tools", "./pause", packages=60),
    Target(
        "kube", "tools", "./kube", packages=2565,
        ldflags=f"-X {_KUBE_PACKAGE}.gitVersion=v1.36.3 -X {_KUBE_PACKAGE}.gitMajor=1 -X {_KUBE_PACKAGE}.gitMinor=36",
        aliases=("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"),
    ),
    Target("coredns", "tools", "./coredns", packages=790),
    Target("prometheus", "tools", f"{_PROMETHEUS}/prometheus", tags=_PROMETHEUS_TAGS, packages=1241),
    Target("loki", "tools", "github.com/grafana/loki/v3/cmd/loki", packages=2157),
    Target("helm", "tools", "helm.sh/helm/v4/cmd/helm", packages=1033),
    Target("promtool", "tools", f"{_PROMETHEUS}/promtool", tags=_PROMETHEUS_TAGS, packages=1091),
    Target("node_exporter", "tools", "github.com/prometheus/node_exporter", packages=358),
    Target("otelcol", "otelcol", ".", packages=1223),
    Target("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", packages=975),
    Target(
        "helm-unittest", "helm-unittest", "github.com/helm-unittest/helm-unittest/cmd/helm-unittest", packages=559,
    ),
)  # fmt: skip
TARGETS: Mapping[str, Target] = {target.name: target for target in _TARGETS}
_BY_ALIAS = {alias: target.name for target in _TARGETS for alias in target.aliases}


class Toolchain:
    """Where programs are and how they come to be."""

    def __init__(self, cache: Path | None = None, env: Mapping[str, str] = os.environ) -> None:
        self._cache = cache or cache_dir(env)
        self._assets = Path(env["KUBEBUILDER_ASSETS"]) if env.get("KUBEBUILDER_ASSETS") else None

    def find(self, program: str) -> Path | None:
        """The executable when it is there already; never builds."""
        if self._assets is not None and os.access(self._assets / program, os.X_OK):
            return self._assets / program
        target = TARGETS.get(_BY_ALIAS.get(program, program))
        if target is not None:
            path = self._folder(target) / program
            return path if os.access(path, os.X_OK) else None
        found = shutil.which(program, path=search_path())
        return Path(found) if found else None

    def ensure(self, program: str, note: Callable[[str], None] = lambda _: None) -> Path:
        """The executable, built if need be; `note` hears how far the build is.

        Raises StepFailed with the build's log, or ClusterError without a Go.
        """
        target = TARGETS.get(_BY_ALIAS.get(program, program))
        while (path := self.find(program)) is None:
            if target is None:
                raise ClusterError(f"{program} is neither on the PATH nor something that is built here")
            # One build at a time, over all callers: two would compile what they share twice, on the same few cores.
            with _turn(self._cache / "bin" / ".build.lock", target.name) as other:
                if other is None:
                    self._build_if_missing(target, program, note)
            if other is not None:
                self.tell(other, note)
                time.sleep(_LOCK_INTERVAL)
        return path

    def fetch(self, program: str) -> None:
        """Downloads the modules that a program's build will need, no others. A failure is the build's to report."""
        target = TARGETS.get(_BY_ALIAS.get(program, program))
        if target is None or self.find(program) is not None:
            return
        command = ["go", "list", "-deps", "-tags", target.tags, target.package]
        try:
            subprocess.run(
                command, cwd=_SOURCES / target.module, env={**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"},
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_BUILD_TIMEOUT, check=False,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            logger.info("could not fetch the modules of %s ahead: %s", program, error)

    def log(self, target: Target) -> Path:
        """What the compiler said."""
        return self._folder(target) / f"{target.name}.log"

    def _folder(self, target: Target) -> Path:
        return self._cache / "bin" / f"{target.name}-{inputs_hash(target, _SOURCES / target.module)}"

    def _build_if_missing(self, target: Target, program: str, note: Callable[[str], None]) -> None:
        if self.find(program) is None:  # whose turn it was before may have built it
            self._build(target, note)
            if self.find(program) is None:
                raise ClusterError(f"the build of {program} left no executable in {self._folder(target)}")

    def _build(self, target: Target, note: Callable[[str], None]) -> None:
        folder = self._folder(target)
        unfinished = folder / f".{target.name}.unfinished"
        ldflags = f"-s -w {target.ldflags}".strip()
        command = ["go", "build", "-v", *_FLAGS, "-tags", target.tags, "-ldflags", ldflags, "-o", str(unfinished)]
        folder.mkdir(parents=True, exist_ok=True)
        begun = time.monotonic()
        with self.log(target).open("w") as log:
            # A lazier garbage collector: the compiler is bound by it on two cores, and memory is there.
            env = {**os.environ, "CGO_ENABLED": "0", "GOGC": "400", "GOWORK": "off"}
            where = _SOURCES / target.module
            process = subprocess.Popen([*command, target.package], cwd=where, env=env, stdout=log, stderr=log)
        try:
            code = self._follow(process, target, note)
        finally:
            process.kill()  # an interrupted caller leaves no compiler behind; harmless after the end
            process.wait()
        if code != 0:
            raise StepFailed(f"building {target.name} failed", self.log(target))
        for alias in target.aliases:
            link = folder / alias
            link.unlink(missing_ok=True)
            link.symlink_to(target.name)
        unfinished.replace(folder / target.name)
        logger.info("built %s in %.0f s", target.name, time.monotonic() - begun)

    def _follow(self, process: subprocess.Popen[bytes], target: Target, note: Callable[[str], None]) -> int:
        deadline = time.monotonic() + _BUILD_TIMEOUT
        while time.monotonic() < deadline:
            try:
                return process.wait(timeout=1.0)
            except subprocess.TimeoutExpired:
                self.tell(target.name, note)
        raise StepFailed(f"building {target.name} took longer than {_BUILD_TIMEOUT:.0f} s", self.log(target))

    def tell(self, building: str, note: Callable[[str], None]) -> None:
        """How far a build is, this process's or another one's, from what the compiler wrote."""
        target = TARGETS.get(_BY_ALIAS.get(building, building))
        if target is not None and self.log(target).is_file():
            lines = self.log(target).read_text(errors="replace").splitlines()
            compiled = sum(not line.startswith("go: ") for line in lines)
            note(f"building {target.name}, {compiled} of at most {target.packages} packages compiled")


class Background:
    """Builds programs one after the other in a thread, in the order of need, while others are used already."""

    def __init__(self, toolchain: Toolchain, programs: Iterable[str]) -> None:
        self._toolchain = toolchain
        self._wanted = list(programs)
        self._done = {name: threading.Event() for name in self._wanted}
        self._errors: dict[str, Exception] = {}

    def start(self) -> Background:
        """Begins; returns itself. While one program compiles, the modules of the next ones are downloaded."""
        for work in (self._run, self._fetch):
            threading.Thread(target=work, name=f"toolchain{work.__name__}", daemon=True).start()
        return self

    def wait(self, program: str, timeout: float = _BUILD_TIMEOUT) -> Path:
        """The executable as soon as it is built; raises what its build raised."""
        if not self._done[program].wait(timeout):
            raise ClusterError(f"{program} was not built within {timeout:.0f} s")
        if (error := self._errors.get(program)) is not None:
            raise error
        return self._toolchain.ensure(program)

    def remaining(self) -> list[str]:
        """What is not built yet, in order."""
        return [name for name in self._wanted if not self._done[name].is_set()]

    def tell(self, note: Callable[[str], None]) -> None:
        """How far the build is that runs now; silent when all is built."""
        for building in self.remaining()[:1]:
            self._toolchain.tell(building, note)

    def _fetch(self) -> None:
        for name in self._wanted[1:]:
            self._toolchain.fetch(name)

    def _run(self) -> None:
        for name in self._wanted:
            try:
                self._toolchain.ensure(name)
            except (ClusterError, OSError, subprocess.SubprocessError) as error:
                self._errors[name] = error
            self._done[name].set()


def inputs_hash(target: Target, module: Path) -> str:
    """Twelve hex digits over what goes into a program: its module's versions, its own sources, flags, compiler."""
    inputs = (go_version(), _FLAGS, target.name, target.package, target.tags, target.ldflags, target.aliases)
    digest = hashlib.sha256(repr(inputs).encode())
    sources = sorted((module / target.package).glob("*.go")) if target.package.startswith(".") else []
    for path in (module / "go.mod", module / "go.sum", *sources):
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


@cache
def go_version() -> str:
    """Such as `go1.26.5 linux/amd64`. Raises ClusterError when there is no usable Go."""
    try:
        done = subprocess.run(["go", "version"], capture_output=True, text=True, timeout=120, check=True)
    except (FileNotFoundError, subprocess.SubprocessError) as error:
        raise ClusterError(
            "Go 1.21 or newer is needed to build the cluster's programs; see https://go.dev/dl"
        ) from error
    return done.stdout.removeprefix("go version ").strip()


@contextmanager
def _turn(path: Path, builds: str) -> Iterator[str | None]:
    """Takes the lock if it is free and yields None; else yields what its holder builds. The kernel releases it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield path.read_text()
            return
        file.truncate(0)
        file.write(builds)
        file.flush()
        yield None
