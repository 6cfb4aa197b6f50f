"""Where one run happens: a namespace of its own, opted in to actions, with its own policy and mostly its own shop."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from demo.driver.kubectl import Kubectl
from demo.driver.ready import wait_ready
from demo.driver.shop import Shop, manifests, moved, with_image
from demo.scenario.model import Setup
from demo.scenario.words import filled_in
from rbac.grant import namespace_bindings

__all__ = ["APPROVER", "LABEL", "Place"]

APPROVER = "alice"
"""The user who approves where a scenario says so."""

LABEL = "iirp.io/scenario"
_CLUSTER_SCOPED = frozenset(
    {
        "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "IngressClass", "Namespace", "Node",
        "PersistentVolume", "PriorityClass", "RuntimeClass", "StorageClass", "ActionPolicy",
    }
)  # fmt: skip
_MANAGER = "iirp-scenario"

Wire = dict[str, Any]


@dataclass
class Place:
    """Made by `prepare`, gone after `remove`. `words` are the placeholders that manifests may use."""

    kubectl: Kubectl
    namespace: str
    image: str
    platform_namespace: str
    node: str = ""
    kubelet_root: str = "/var/lib/kubelet"
    _made: list[Wire] = field(default_factory=list)

    @property
    def shop(self) -> Shop:
        """The shop in this namespace, or whatever runs its image here."""
        return Shop(self.kubectl, self.namespace)

    @property
    def words(self) -> Mapping[str, str]:
        """What manifests may refer to."""
        return {
            "namespace": self.namespace,
            "image": self.image,
            "node": self.node,
            "kubelet": self.kubelet_root,
        }

    def prepare(self, setup: Setup) -> None:
        """Everything that there is before anything happens, and waits until it is ready."""
        labels = {LABEL: self.namespace, "pod-security.kubernetes.io/enforce": setup.pod_security}
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": labels}}
        self._send([space])
        bindings = namespace_bindings(self.namespace, self.platform_namespace)
        self._send([*bindings, _policy(self.namespace), _approver(self.namespace)])
        if setup.shop:
            objects = moved(with_image(manifests(), self.image), self.namespace)
            self._send([item for item in objects if item["kind"] != "Namespace"])
        if setup.manifests:
            self.apply(setup.manifests)
        wait_ready(self.kubectl, self.namespace, setup.ready)

    def apply(self, objects: Sequence[Wire]) -> None:
        """Applies manifests here; what has no namespace of its own gets this one."""
        self._send([self._placed(self.filled(item)) for item in objects])

    def filled(self, value: Any) -> Any:
        """With the placeholders replaced; DemoFailed for one that is not known."""
        return filled_in(value, self.words, self._uid)

    def remove(self) -> None:
        """Without waiting: the namespace goes, and what was made outside it."""
        outside = [item for item in self._made if item["kind"] in _CLUSTER_SCOPED and item["kind"] != "Namespace"]
        self.kubectl.attempt("delete", "namespace", self.namespace, "--ignore-not-found", "--wait=false")
        if outside:
            listing = json.dumps({"apiVersion": "v1", "kind": "List", "items": outside})
            self.kubectl.attempt("delete", "-f", "-", "--ignore-not-found", "--wait=false", stdin=listing)

    def _uid(self, reference: str) -> str:
        return self.kubectl.run("get", reference, "-n", self.namespace, "-o", "jsonpath={.metadata.uid}")

    def _placed(self, item: Wire) -> Wire:
        metadata = {**item.get("metadata", {})}
        metadata["labels"] = {**metadata.get("labels", {}), LABEL: self.namespace}
        if item.get("kind") not in _CLUSTER_SCOPED:
            metadata.setdefault("namespace", self.namespace)
        return {**item, "metadata": metadata}

    def _send(self, objects: Sequence[Wire]) -> None:
        self._made += objects
        listing = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl.run(
            "apply", "--server-side", "--force-conflicts", f"--field-manager={_MANAGER}", "-f", "-",
            stdin=json.dumps(listing), timeout=60,
        )  # fmt: skip


def _policy(namespace: str) -> Wire:
    """What is forbidden without it needs one person's approval with it."""
    rule = {
        "name": "a-person-approves",
        "match": {"namespaces": [namespace]},
        "tier": "HumanApproval",
        "requiredApprovals": 1,
        "expiresAfter": "30m",
    }
    metadata = {"name": namespace, "labels": {LABEL: namespace}}
    return {"apiVersion": "iirp.io/v1alpha1", "kind": "ActionPolicy", "metadata": metadata, "spec": {"rules": [rule]}}


def _approver(namespace: str) -> Wire:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "scenario-approver", "namespace": namespace},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "iirp-approver"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": APPROVER}],
    }
