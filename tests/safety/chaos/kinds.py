"""The action types: the workload each needs, what is asked for, and what the workload says of how often it happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.e2e.support import eventually
from tests.safety.api import Api, path_of
from tests.safety.world import PLURALS, create

PAUSE_IMAGE = "iirp.io/pause:node"
"""The sandbox's own image: on every node of the embedded cluster, starts and ends at once."""
NAME = "web"
REVISION = "deployment.kubernetes.io/revision"

Body = dict[str, Any]


@dataclass(frozen=True)
class Room:
    """A namespace with one workload."""

    api: Api
    namespace: str
    kind: str

    def get(self) -> Body:
        """The workload."""
        return self.api.get(path_of("apps/v1", self.namespace, PLURALS[self.kind], NAME))

    def items(self, version: str, plural: str) -> list[Body]:
        """All of a kind here that are not on their way out."""
        found: list[Body] = self.api.get(path_of(version, self.namespace, plural))["items"]
        return [body for body in found if not body["metadata"].get("deletionTimestamp")]

    def ready(self) -> Body | None:
        """The workload, once its rollout is through."""
        body = self.get()
        status = body.get("status", {})
        seen = status.get("observedGeneration") == body["metadata"]["generation"]
        counts = ("updatedNumberScheduled", "numberAvailable") if self.kind == "DaemonSet" else (
            "updatedReplicas", "availableReplicas", "replicas",
        )  # fmt: skip
        return body if seen and all(status.get(key) == 1 for key in counts) else None


@dataclass(frozen=True)
class Kind:
    """``ask`` gives target and parameters of the action; ``wrong`` what is not as exactly one action leaves it."""

    name: str
    type: str
    workload: str
    ask: Callable[[Room], Body]
    wrong: Callable[[Room], str]
    claim: bool = False
    """The workload mounts a volume."""


def start(room: Room, claim: bool) -> None:
    """Create the workload and wait until it runs."""
    body = _body(room.namespace, room.kind)
    if claim:
        _volume(room)
        body["spec"]["template"]["spec"]["volumes"] = [{"name": NAME, "persistentVolumeClaim": {"claimName": NAME}}]
    create(room.api, body)
    eventually(room.ready, within=90, what=f"the {room.kind} to be ready", every=0.2)


def _volume(room: Room) -> None:
    """A folder of the node, as a claim; owned by the namespace, so that it goes with it."""
    size, name = {"storage": "1Mi"}, room.namespace
    uid = room.api.get(path_of("v1", "", "namespaces", name))["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "Namespace", "name": name, "uid": uid}
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": name}
    create(room.api, {
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name, "ownerReferences": [owner]},
        "spec": {
            **common, "capacity": size, "hostPath": {"path": f"/tmp/{name}", "type": "DirectoryOrCreate"},
            "persistentVolumeReclaimPolicy": "Retain",
        },
    })  # fmt: skip
    create(room.api, {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": NAME, "namespace": name},
        "spec": {**common, "volumeName": name, "resources": {"requests": size}},
    })  # fmt: skip


def _body(namespace: str, kind: str) -> Body:
    labels = {"app": NAME}
    pod = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "app", "image": PAUSE_IMAGE, "imagePullPolicy": "Never"}],
    }
    spec: Body = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    if kind != "DaemonSet":
        spec["replicas"] = 1
    if kind == "StatefulSet":
        spec["serviceName"] = NAME
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": NAME, "namespace": namespace}, "spec": spec}


def _target(body: Body, kind: str, version: str = "apps/v1") -> Body:
    metadata = body["metadata"]
    return {
        "apiVersion": version, "kind": kind, "namespace": metadata["namespace"], "name": metadata["name"],
        "uid": metadata["uid"],
    }  # fmt: skip


def _itself(room: Room) -> Body:
    return {"target": _target(room.get(), room.kind)}


def _to_two(room: Room) -> Body:
    return {**_itself(room), "scale": {"replicas": 2}}


def _to_first(room: Room) -> Body:
    """A second revision, and back to the first."""
    (first,) = room.items("apps/v1", "replicasets")
    container = {"name": "app", "env": [{"name": "BUILD", "value": "2"}]}
    change = {"spec": {"template": {"spec": {"containers": [container]}}}}
    path = path_of("apps/v1", room.namespace, "deployments", NAME)
    assert room.api.send("PATCH", path, body=change, patch="strategic").code == 200
    eventually(room.ready, within=90, what="the second revision", every=0.2)
    back = {"replicaSet": first["metadata"]["name"], "revision": int(first["metadata"]["annotations"][REVISION])}
    return {**_itself(room), "rollback": back}


def _one_pod(room: Room) -> Body:
    (pod,) = room.items("v1", "pods")
    (owner,) = pod["metadata"]["ownerReferences"]
    return {"target": _target(pod, "Pod", "v1"), "owner": {"kind": owner["kind"], "name": owner["name"]}}


def _its_volume(room: Room) -> Body:
    return {**_itself(room), "job": {"template": "disk-usage", "claim": NAME}}


def _expect(seen: Body, wanted: Body) -> str:
    return "" if seen == wanted else f"the workload says {seen}; once would be {wanted}"


def _restarted(room: Room) -> str:
    plural = "replicasets" if room.kind == "Deployment" else "controllerrevisions"
    seen = {"generation": room.get()["metadata"]["generation"], plural: len(room.items("apps/v1", plural))}
    return _expect(seen, {"generation": 2, plural: 2})


def _scaled(room: Room) -> str:
    body = room.get()
    seen = {"generation": body["metadata"]["generation"], "replicas": body["spec"]["replicas"]}
    return _expect(seen, {"generation": 2, "replicas": 2})


def _rolled_back(room: Room) -> str:
    body = room.get()
    (container,) = body["spec"]["template"]["spec"]["containers"]
    seen = {
        "generation": body["metadata"]["generation"], "env": container.get("env"),
        "revision": body["metadata"]["annotations"][REVISION], "sets": len(room.items("apps/v1", "replicasets")),
    }  # fmt: skip
    return _expect(seen, {"generation": 3, "env": None, "revision": "3", "sets": 2})


def _paused(room: Room) -> str:
    body = room.get()
    return _expect(
        {"generation": body["metadata"]["generation"], "paused": body["spec"].get("paused")},
        {"generation": 2, "paused": True},
    )


def _replaced(room: Room) -> str:
    """How often a pod went is told by the audit log; here: one runs, and nothing else was changed."""
    seen = {"generation": room.get()["metadata"]["generation"], "pods": len(room.items("v1", "pods"))}
    return _expect(seen, {"generation": 1, "pods": 1})


def _looked_at(room: Room) -> str:
    seen = {"generation": room.get()["metadata"]["generation"], "jobs": len(room.items("batch/v1", "jobs"))}
    return _expect(seen, {"generation": 1, "jobs": 1})


_ALL = (
    Kind("restart", "RestartDeployment", "Deployment", _itself, _restarted),
    Kind("scale", "ScaleDeployment", "Deployment", _to_two, _scaled),
    Kind("rollback", "Rollback", "Deployment", _to_first, _rolled_back),
    Kind("pause", "PauseRollout", "Deployment", _itself, _paused),
    Kind("restart-pod", "RestartPod", "Deployment", _one_pod, _replaced),
    Kind("run-job", "RunJob", "Deployment", _its_volume, _looked_at, claim=True),
    Kind("restart-sts", "RestartStatefulSet", "StatefulSet", _itself, _restarted),
    Kind("scale-sts", "ScaleStatefulSet", "StatefulSet", _to_two, _scaled),
    Kind("restart-ds", "RestartDaemonSet", "DaemonSet", _itself, _restarted),
)
KINDS = {kind.name: kind for kind in _ALL}
