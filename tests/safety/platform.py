"""The least that can be judged: a cluster, the chart without telemetry, and the controllers that decide and act."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml

from demo.driver.kubectl import Kubectl
from demo.driver.ready import wait_ready
from demo.platform import PLATFORM_NAMESPACE, RELEASE
from demo.platform import down as remove
from devcluster import select
from devcluster.paths import state_dir
from devcluster.toolchain import Toolchain
from images.build import Builder, Built
from images.catalogue import IMAGES
from images.layers import project_root

CONTROLLERS = ("incident", "policy", "approval", "execution")
"""Those of the chain that need no external side; the others' ServiceAccounts are there and are tried as thieves."""
HELM_TIMEOUT = 180.0
READY_TIMEOUT = 240.0


def up(name: str, admission: str = "") -> Path:
    """Bring cluster and platform up, from wherever they are; the administrator's kubeconfig is returned.

    ``admission`` is the chart's ``admission.mode``; empty leaves a release as it is.
    """
    provider = select.create(name)
    provider.up()
    kubectl = Kubectl(provider.kubeconfig())
    images = {key: Builder().build(IMAGES[key]) for key in ("controllers", "shop")}
    nodes = kubectl.json("get", "nodes")["items"]
    there = {name for node in nodes for image in node["status"].get("images", []) for name in image.get("names") or []}
    missing = [image.archive for image in images.values() if image.reference not in there]
    if missing:
        provider.load_images(missing)
    install(kubectl, images["controllers"], admission)
    wait_ready(kubectl, PLATFORM_NAMESPACE, READY_TIMEOUT)
    return provider.kubeconfig()


def exists(name: str) -> bool:
    """Whether there is a cluster of that name already."""
    return any(record.name == name for record in select.known())


def down(name: str) -> None:
    """Take the cluster away."""
    remove(name)


def values(controllers: Built) -> dict[str, Any]:
    """Chart values of a release of our own: no telemetry, no external side, every namespace is looked at."""
    return {
        "image": _image(controllers),
        "telemetry": {"enabled": False},
        "policies": {"install": False},
        "controllers": {name: {"enabled": False} for name in ("detection", "rca", "feedback")},
    }


def _image(built: Built) -> dict[str, str]:
    return {"repository": built.repository, "tag": built.tag}


def install(kubectl: Kubectl, controllers: Built, admission: str) -> None:
    """`helm upgrade --install`; raises RuntimeError with Helm's own words."""
    helm, where = (
        str(Toolchain().ensure("helm")),
        [f"--kubeconfig={kubectl.kubeconfig}", f"--namespace={PLATFORM_NAMESPACE}"],
    )
    there = _run([helm, "get", "values", RELEASE, *where]).returncode == 0
    file = state_dir() / "safety" / "values.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    # A release of somebody else's (`make e2e`, say) keeps its values: it gets this source's code, and nothing else.
    chosen = {"image": _image(controllers)} if there else values(controllers)
    if admission:
        chosen["admission"] = {"mode": admission}
    file.write_text(yaml.safe_dump(chosen), encoding="utf-8")
    kept = ["--reset-then-reuse-values"] if there else ["--create-namespace"]
    chart = str(project_root() / "charts/iirp")
    done = _run([helm, "upgrade", "--install", RELEASE, chart, *where, *kept, f"--values={file}"])
    if done.returncode != 0:
        raise RuntimeError(f"helm upgrade --install {RELEASE}: {(done.stderr or done.stdout).strip()[-2000:]}")


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=HELM_TIMEOUT, check=False)
