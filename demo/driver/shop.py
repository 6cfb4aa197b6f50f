"""The shop in the cluster: deployed from `demo/manifests`, broken and healed through each pod's admin port."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from demo.driver.errors import DemoFailed
from demo.driver.kubectl import Kubectl
from demo.driver.ready import wait_ready

__all__ = ["NAMESPACE", "Shop", "manifests", "moved", "with_image"]

NAMESPACE = "shop"
_MANIFESTS = Path(__file__).resolve().parent.parent / "manifests"
_PLACEHOLDER = "localhost/iirp/shop:demo"
_ADMIN_PORT = 9090
_READY_TIMEOUT = 120.0


def manifests(folder: Path = _MANIFESTS) -> list[dict[str, Any]]:
    """All objects, in the order of the file names."""
    return [
        document
        for path in sorted(folder.glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
        if document
    ]


def with_image(objects: list[dict[str, Any]], reference: str) -> list[dict[str, Any]]:
    """The same objects with the shop's image by its content's tag, so that new code is a new rollout."""
    text = json.dumps(objects).replace(json.dumps(_PLACEHOLDER), json.dumps(reference))
    changed: list[dict[str, Any]] = json.loads(text)
    return changed


def moved(objects: list[dict[str, Any]], namespace: str) -> list[dict[str, Any]]:
    """The same objects in another namespace: the services find each other by their short names."""
    changed = []
    for item in objects:
        metadata = dict(item["metadata"])
        metadata["name" if item["kind"] == "Namespace" else "namespace"] = namespace
        changed.append({**item, "metadata": metadata})
    return changed


class Shop:
    """What the demo does to the shop."""

    def __init__(self, kubectl: Kubectl, namespace: str = NAMESPACE) -> None:
        self._kubectl = kubectl
        self._namespace = namespace

    def namespace(self) -> None:
        """Only the namespace: the chart needs it to be there for the executor's RoleBinding."""
        first = [entry for entry in manifests() if entry["kind"] == "Namespace"]
        self._apply(moved(first, self._namespace))

    def deploy(self, image: str) -> None:
        """Everything; converges what is there."""
        self._apply(moved(with_image(manifests(), image), self._namespace))

    def wait(self) -> None:
        """Until every Deployment is available and its rollout over."""
        wait_ready(self._kubectl, self._namespace, _READY_TIMEOUT)

    def deployments(self) -> list[str]:
        """Names, from the manifests."""
        return [entry["metadata"]["name"] for entry in manifests() if entry["kind"] == "Deployment"]

    def pods(self, workload: str) -> list[str]:
        """Names of a workload's running pods that are not about to go."""
        selector = f"app.kubernetes.io/name={workload}"
        found = self._kubectl.json("get", "pods", "-n", self._namespace, "-l", selector)["items"]
        return [
            pod["metadata"]["name"]
            for pod in found
            if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
        ]

    def break_it(self, workload: str, fault: str, parameters: dict[str, float], only: int | None = None) -> list[str]:
        """Switches a fault on in every pod of a workload (or the first `only`), through the API server's pod proxy.

        Returns the pods.
        """
        pods = self.pods(workload)[:only]
        if not pods:
            raise DemoFailed(f"switching {fault} on", f"{workload} has no running pod", self._look(workload))
        for pod in pods:
            self._kubectl.run("create", "--raw", self._path(pod, fault), "-f", "-", stdin=json.dumps(parameters))
        return pods

    def heal(self) -> bool:
        """Replaces the pods of each workload that an earlier, interrupted run left broken. True when there was one."""
        broken = [name for name in self.deployments() if any(self.faults(pod) for pod in self.pods(name))]
        for name in broken:
            self._kubectl.run("rollout", "restart", f"deployment/{name}", "-n", self._namespace)
        if broken:
            self.wait()
        return bool(broken)

    def fix(self, workload: str, fault: str) -> None:
        """Switches a fault off in every running pod of a workload; silent where it is off or the pod is gone."""
        for pod in self.pods(workload):
            self._kubectl.attempt("delete", "--raw", self._path(pod, fault))

    def load(self, rate: float) -> None:
        """How many requests per second the visitors send from now on."""
        for pod in self.pods("load"):
            path = f"{self._admin(pod)}/load"
            self._kubectl.run("create", "--raw", path, "-f", "-", stdin=json.dumps({"rate": rate}))

    def faults(self, pod: str) -> dict[str, Any]:
        """The faults that are on in a pod; none when the pod does not answer."""
        done = self._kubectl.attempt("get", "--raw", self._path(pod))
        return dict(json.loads(done.stdout)) if done.returncode == 0 else {}

    def _apply(self, objects: list[dict[str, Any]]) -> None:
        listing = {"apiVersion": "v1", "kind": "List", "items": objects}
        self._kubectl.run(
            "apply", "--server-side", "--force-conflicts", "--field-manager=iirp-demo", "-f", "-",
            stdin=json.dumps(listing), timeout=60,
        )  # fmt: skip

    def _path(self, pod: str, fault: str = "") -> str:
        path = f"{self._admin(pod)}/fault"
        return f"{path}/{fault}" if fault else path

    def _admin(self, pod: str) -> str:
        return f"/api/v1/namespaces/{self._namespace}/pods/{pod}:{_ADMIN_PORT}/proxy"

    def _look(self, workload: str) -> str:
        return self._kubectl.shown(
            "describe", "pods", "-n", self._namespace, "-l", f"app.kubernetes.io/name={workload}"
        )
