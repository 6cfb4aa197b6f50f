"""A person's own incident and plan against a real Deployment: the shortest way into the chain."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import yaml

from crds.v1alpha1.base import format_time
from tests.e2e.support import Cluster, eventually

APPROVER = "alice"
API = "iirp.io/v1alpha1"
ADMIN_PORT = 9090


def deployment(name: str, image: str, replicas: int = 1, memory_mib: int = 96) -> dict[str, Any]:
    """A small real Deployment: one of the shop's services."""
    labels = {"app.kubernetes.io/name": name}
    container = {
        "name": "app",
        "image": image,
        "args": ["catalogue"],
        "imagePullPolicy": "IfNotPresent",
        "resources": {"requests": {"cpu": "5m", "memory": "32Mi"}, "limits": {"memory": f"{memory_mib}Mi"}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "automountServiceAccountToken": False,
                    "terminationGracePeriodSeconds": 1,
                    "containers": [container],
                },
            },
        },
    }


@dataclass(frozen=True)
class Story:
    """One namespace with one Deployment, one declared incident and one proposed plan."""

    cluster: Cluster
    namespace: str
    image: str
    name: str = "web"

    def deploy(self, *apps: str, memory_mib: int) -> None:
        """Services of the shop, each of one pod, ready."""
        for app in apps:
            self.apply(deployment(app, self.image, memory_mib=memory_mib))
        for app in apps:
            self.cluster.ok("rollout", "status", f"deploy/{app}", "-n", self.namespace, "--timeout=150s", timeout=180)

    def leak(self, app: str, mib_per_second: float) -> None:
        """Switch a memory leak on in every pod of a service, by its admin port."""
        for pod in self.cluster.list("pods", self.namespace, f"app.kubernetes.io/name={app}"):
            where = f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}:{ADMIN_PORT}/proxy/fault/leak"
            self.cluster.ok("create", "--raw", where, "-f", "-", stdin=json.dumps({"mib_per_second": mib_per_second}))

    def broken_before(self, replicas: int = 2) -> Story:
        """A healthy Deployment whose first revision never becomes ready, and gives up after 20 s."""
        body = deployment(self.name, self.image, replicas)
        body["spec"]["progressDeadlineSeconds"] = 20
        container = body["spec"]["template"]["spec"]["containers"][0]
        container["command"] = ["/no-such-program"]  # one that starts and ends would be available for a moment
        self.apply(body)
        eventually(lambda: self.restarts() == 1, within=30, what="the first revision")
        del container["command"]
        self.apply(body)
        self.rolled_out()
        return self

    def begin(self, replicas: int = 1) -> Story:
        """Deploy the workload, and declare an incident of it."""
        self.apply(deployment(self.name, self.image, replicas))
        self.rolled_out()
        return self.declare()

    def declare(self) -> Story:
        """Let ``alice`` approve here, and declare the incident."""
        self.let_alice_approve()
        now = format_time(datetime.now(UTC))
        self.apply(
            {
                "apiVersion": API,
                "kind": "Incident",
                "metadata": {"name": self.name},
                "spec": {
                    "fingerprint": "0123456789abcdef",
                    "type": "Declared",
                    "scope": "Workload",
                    "target": self.target(),
                    "startedAt": now,
                    "detectedAt": now,
                    "detectedBy": {"rule": "declared", "confidencePercent": 100},
                    "severity": "low",
                    "summary": "declared by a person",
                },
            }
        )
        return self

    def rolled_out(self) -> None:
        """Wait until the Deployment's rollout is through."""
        self.cluster.ok("rollout", "status", f"deploy/{self.name}", "-n", self.namespace, "--timeout=150s", timeout=180)

    def mount(self, claim: str) -> None:
        """Give the Deployment a volume: a folder of the node that goes with the namespace."""
        space = self.cluster.get("namespace", self.namespace) or {}
        owner = {"apiVersion": "v1", "kind": "Namespace", "name": self.namespace, "uid": space["metadata"]["uid"]}
        common = {"accessModes": ["ReadWriteOnce"], "storageClassName": self.namespace}
        size = {"storage": "1Mi"}
        metadata = {"name": self.namespace, "ownerReferences": [owner]}
        path = {"path": f"/tmp/{self.namespace}", "type": "DirectoryOrCreate"}
        spec = {**common, "capacity": size, "hostPath": path, "persistentVolumeReclaimPolicy": "Retain"}
        self.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec})
        spec = {**common, "volumeName": self.namespace, "resources": {"requests": size}}
        self.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": claim}, "spec": spec})
        volumes = [{"name": claim, "persistentVolumeClaim": {"claimName": claim}}]
        patch = json.dumps({"spec": {"template": {"spec": {"volumes": volumes}}}})
        self.cluster.ok("patch", "deployment", self.name, "-n", self.namespace, "-p", patch)
        self.rolled_out()

    def let_alice_approve(self) -> None:
        """Bind the role with the verb ``approve`` in this namespace."""
        self.apply(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": "approvers"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "iirp-approver"},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": APPROVER}],
            }
        )

    def apply(self, body: dict[str, Any], **options: Any) -> str:
        """Create or update an object in this namespace."""
        return self.cluster.ok("apply", "-n", self.namespace, "-f", "-", stdin=yaml.safe_dump(body), **options)

    def live(self) -> dict[str, Any]:
        """The Deployment as it is now."""
        body = self.cluster.get("deployment", self.name, self.namespace)
        assert body is not None
        return body

    def target(self) -> dict[str, str]:
        """Reference to the live Deployment."""
        live = self.live()
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "namespace": self.namespace,
            "name": self.name,
            "uid": live["metadata"]["uid"],
        }

    def plan(self, suffix: str = "1", action: dict[str, Any] | None = None, requester: str = "") -> str:
        """Propose a plan (a restart unless told otherwise), as the administrator or ``requester``; returns its name."""
        incident = self.cluster.get("incident", self.name, self.namespace)
        assert incident is not None
        name = f"{self.name}-{suffix}"
        body = {"id": "a1", "type": "RestartDeployment", "target": self.target(), **(action or {})}
        self.apply(
            {
                "apiVersion": API,
                "kind": "ActionPlan",
                "metadata": {
                    "name": name,
                    "labels": {"iirp.io/incident": self.name},
                    "ownerReferences": [
                        {"apiVersion": API, "kind": "Incident", "name": self.name, "uid": incident["metadata"]["uid"]}
                    ],
                },
                "spec": {
                    "incidentRef": {"name": self.name, "uid": incident["metadata"]["uid"]},
                    "requestedBy": requester or self.cluster.whoami(),
                    "causeKind": "Declared",
                    "confidencePercent": 100,
                    "summary": f"{body['type']} deploy/{self.name}",
                    "actions": [body],
                },
            },
            **({"as_user": requester} if requester else {}),
        )
        return name

    def state(self, kind: str, name: str, *states: str, within: float = 60) -> dict[str, Any]:
        """Wait until the object's ``status.state`` is one of ``states``."""
        return self.cluster.wait_state(kind, name, self.namespace, states, within)

    def decide(self, name: str, verdict: str, reason: str = "seen", as_user: str = APPROVER) -> Any:
        """``kubectl annotate`` as a person, exactly as the documentation says."""
        return self.cluster.kubectl(
            "annotate", "approval", name, "-n", self.namespace,
            f"iirp.io/decision={verdict}", f"iirp.io/reason={reason}",
            as_user=as_user,
        )  # fmt: skip

    def restarts(self) -> int:
        """How many ReplicaSets the Deployment has had: 1 means that nothing was restarted."""
        return len(self.cluster.list("replicasets", self.namespace, f"app.kubernetes.io/name={self.name}"))

    def grants(self) -> list[dict[str, Any]]:
        """Roles that let the executor act in this namespace right now."""
        roles = self.cluster.list("roles", self.namespace)
        return [role for role in roles if role["metadata"]["name"].startswith("iirp-grant-")]

    def no_grants_left(self, within: float = 60) -> None:
        """Wait until every grant is gone."""
        eventually(lambda: not self.grants(), within=within, what="grants to be withdrawn")
