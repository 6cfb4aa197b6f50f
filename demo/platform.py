"""The whole platform on one cluster: cluster, external side, images, chart. `up` converges from wherever things are.

The demo uses it, and so do the end-to-end tests.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import yaml

from demo.driver.errors import DemoFailed
from demo.driver.kubectl import Kubectl
from demo.driver.ready import wait_ready
from demo.driver.shop import NAMESPACE as SHOP
from demo.driver.shop import Shop
from devcluster import select
from devcluster.embedded.provider import EmbeddedProvider
from devcluster.errors import ClusterError
from devcluster.paths import state_dir
from devcluster.progress import Progress
from devcluster.provider import Provider
from devcluster.toolchain import Background, Toolchain
from external.plane import ExternalPlane
from images.build import Builder, Built
from images.catalogue import IMAGES
from images.layers import project_root

__all__ = [
    "PLATFORM_NAMESPACE",
    "PROGRAMS",
    "RELEASE",
    "Platform",
    "chart_values",
    "down",
    "missing_programs",
    "node_logs",
    "up",
]

T = TypeVar("T")

RELEASE = "iirp"
PLATFORM_NAMESPACE = "iirp-system"
PROGRAMS = ("pause", "kubelet", "coredns", "prometheus", "loki", "helm", "otelcol", "node_exporter")
"""Built from Go modules where they are not there yet, in the order of need."""
STEPS = ("images on the node", "external side", "chart", "platform ready")
_NOT_LOADED = ("analysis", "notifications")
"""The demo runs the one beside the cluster, and tells nobody."""
_STATIC = ("prometheus", "otelcol", "node-exporter")
_HELM_TIMEOUT = 180.0
_BUILD_INTERVAL = 1.0
_READY_TIMEOUT = 180.0


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform that is up."""

    name: str
    kubeconfig: Path
    local_url: str
    """As this machine sees it: for the browser."""
    ca_file: Path
    state_dir: Path
    external: ExternalPlane
    images: Mapping[str, Built]
    provider: Provider

    @property
    def kubectl(self) -> Kubectl:
        """As the cluster's administrator."""
        return Kubectl(self.kubeconfig)


def missing_programs(toolchain: Toolchain | None = None) -> list[str]:
    """What has to be built first; that takes minutes, once per machine."""
    tools = toolchain or Toolchain()
    return [program for program in PROGRAMS if tools.find(program) is None]


def up(
    name: str,
    *,
    progress: Progress | None = None,
    values: Sequence[Path] = (),
    meanwhile: Callable[[Kubectl, Mapping[str, Built]], None] | None = None,
) -> Platform:
    """Brings everything up; `values` are further Helm values files, the last one wins.

    `meanwhile` is called as soon as the images are on the node, while the rest of the platform starts. Builds run
    beside the cluster's start. Raises ClusterError, ExternalError or DemoFailed, each naming the step, its log and
    what to do.
    """
    provider = select.create(name)
    programs = Background(Toolchain(), PROGRAMS).start()
    images = _start_images(programs)
    provider.up()
    progress = progress or Progress(STEPS)
    kubectl = Kubectl(provider.kubeconfig())
    plane = ExternalPlane(name, kubeconfig=provider.kubeconfig())
    external = _later(partial(_external, plane, provider, programs))
    with progress.step("images on the node"):
        _say_builds(programs, progress)
        built = {image: future.result() for image, future in images.items()}
        _load(provider, kubectl, built)
    if meanwhile is not None:
        meanwhile(kubectl, built)
    with progress.step("external side"):
        external.result()
    with progress.step("chart"):
        Shop(kubectl).namespace()
        programs.wait("helm")
        _install(kubectl, plane, chart_values(built, node_logs(provider)), values)
        plane.connect()
    with progress.step("platform ready"):
        wait_ready(kubectl, PLATFORM_NAMESPACE, _READY_TIMEOUT)
    return _platform(plane, provider, built)


def _platform(plane: ExternalPlane, provider: Provider, built: Mapping[str, Built]) -> Platform:
    name = plane.layout.name
    return Platform(
        name=name,
        kubeconfig=provider.kubeconfig(),
        local_url=plane.urls.local_gateway,
        ca_file=plane.ca_file,
        state_dir=folder(name),
        external=plane,
        images=built,
        provider=provider,
    )


def down(name: str) -> None:
    """Removes everything that `up` made, whatever state it is in; on a cluster that was there before, only that."""
    try:
        provider = select.load(name)
    except ClusterError:
        provider = None
    if provider is not None and not _ours(provider):
        _uninstall(Kubectl(provider.kubeconfig()))
    ExternalPlane(name).down(delete_data=True)
    if provider is not None:
        provider.down()
    shutil.rmtree(folder(name), ignore_errors=True)


def folder(name: str) -> Path:
    """What the demo itself keeps: values, people's kubeconfigs."""
    return state_dir() / "demo" / name


def node_logs(provider: Provider) -> list[str]:
    """Log files of kubelet and container runtime on the node; empty where the journal has them."""
    if not isinstance(provider, EmbeddedProvider):
        return []
    logs = provider.kubeconfig().parent / "logs"
    return [str(logs / "kubelet.log"), str(logs / "containerd.log")]


def chart_values(built: Mapping[str, Built], logs: Sequence[str]) -> dict[str, Any]:
    """What the chart has to know of this cluster: the images by their content's tag, and the node's log files."""

    def reference(name: str) -> dict[str, str]:
        return {"repository": built[name].repository, "tag": built[name].tag}

    telemetry = {"prometheus": "prometheus", "otelcol": "otelcol", "nodeExporter": "node-exporter"}
    return {
        "image": reference("controllers"),
        "telemetry": {
            "images": {key: reference(name) for key, name in telemetry.items()},
            "logs": {"node": {"files": list(logs)}},
        },
    }


def _start_images(programs: Background) -> dict[str, Future[Built]]:
    """Python images at once, for they wait for the network; the others when their program is built."""
    builder = Builder()

    def static(name: str) -> Built:
        programs.wait({"node-exporter": "node_exporter"}.get(name, name))
        return builder.build(IMAGES[name])

    def work(name: str) -> Callable[[], Built]:
        return partial(static, name) if name in _STATIC else partial(builder.build, IMAGES[name])

    return {name: _later(work(name)) for name in IMAGES if name not in _NOT_LOADED}


def _later(work: Callable[[], T]) -> Future[T]:
    """Runs in a thread that does not keep the command alive when something else has failed."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # it is raised again where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, name="image", daemon=True).start()
    return future


def _load(provider: Provider, kubectl: Kubectl, built: Mapping[str, Built]) -> None:
    """Only what no node has yet: tags are content hashes, so a known name is the same image."""
    nodes = kubectl.json("get", "nodes")["items"]
    there = [
        {name for image in node["status"].get("images", []) for name in image.get("names") or []} for node in nodes
    ]
    wanted = [image for image in built.values() if not all(image.reference in names for names in there)]
    if wanted:
        provider.load_images([image.archive for image in wanted])


def _external(plane: ExternalPlane, provider: Provider, programs: Background) -> None:
    for program in ("prometheus", "loki"):
        programs.wait(program)
    plane.up(addresses=[_host_address(provider)])


def _say_builds(programs: Background, progress: Progress) -> None:
    """Until everything is built, a line whenever the next program's turn has come."""
    said: list[str] = []
    while remaining := programs.remaining():
        if remaining != said:
            rest = f"; then {', '.join(remaining[1:])}" if remaining[1:] else ""
            progress.say(f"building {remaining[0]} from Go modules, once per machine{rest}")
            said = remaining
        programs.tell(progress.note)
        time.sleep(_BUILD_INTERVAL)


def _host_address(provider: Provider) -> str:
    status = provider.status()
    if status.host_address is None:
        raise ClusterError(
            f"how pods of the {status.provider} cluster reach this machine is not known: "
            "start the external side by hand (iirp external up --address …) and install the chart with its values"
        )
    return status.host_address


def _install(kubectl: Kubectl, plane: ExternalPlane, chart: Mapping[str, Any], values: Sequence[Path]) -> None:
    own = folder(plane.layout.name) / "values.yaml"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(yaml.safe_dump(dict(chart), sort_keys=False))
    files = [plane.values_file, Path(__file__).parent / "values.yaml", own, *values]
    command = [
        str(Toolchain().ensure("helm")), "upgrade", "--install", RELEASE, str(project_root() / "charts/iirp"),
        f"--kubeconfig={kubectl.kubeconfig}", f"--namespace={PLATFORM_NAMESPACE}", "--create-namespace",
        *(f"--values={file}" for file in files),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=_HELM_TIMEOUT, check=False)
    if done.returncode != 0:
        raise DemoFailed("helm upgrade --install iirp", (done.stderr or done.stdout).strip()[-2000:])


def _ours(provider: Provider) -> bool:
    """Whether taking the cluster down takes everything in it away."""
    return provider.status().provider != "existing"


def _uninstall(kubectl: Kubectl) -> None:
    subprocess.run(
        [
            str(Toolchain().ensure("helm")), "uninstall", RELEASE, f"--kubeconfig={kubectl.kubeconfig}",
            f"--namespace={PLATFORM_NAMESPACE}", "--ignore-not-found", "--wait",
        ],
        capture_output=True, timeout=_HELM_TIMEOUT, check=False,
    )  # fmt: skip
    kubectl.attempt("delete", "namespace", SHOP, PLATFORM_NAMESPACE, "--ignore-not-found", timeout=120)
