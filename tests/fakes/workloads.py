"""Workloads of every kind that actions can have as their target, as the API server serves them."""

from __future__ import annotations

import copy
from typing import Any

from controllers.kube.resources import DAEMONSETS, POD_TEMPLATES, PODS, REPLICASETS, STATEFULSETS
from crds.v1alpha1.actions import (
    Action,
    ActionType,
    JobParameters,
    JobTemplate,
    OwnerKind,
    OwnerParameters,
    RollbackParameters,
    ScaleParameters,
)
from crds.v1alpha1.base import TargetRef
from tests.fakes.chain import NS, PLATFORM, deployment, target
from tests.fakes.kube import FakeKube

Body = dict[str, Any]
OLD = "payments-5f6c"
"""ReplicaSet of the revision before."""
POD = "payments-7d9e-abcde"


def stateful_set(name: str = "db", *, replicas: int = 3, **spec: Any) -> Body:
    """A StatefulSet whose rollout is through."""
    body = deployment(name, replicas=replicas, serviceName=name, **spec)
    body["metadata"]["uid"] = f"uid-statefulsets-{NS}-{name}"
    body["status"] |= {"currentRevision": "db-1", "updateRevision": "db-1"}
    return body


def daemon_set(name: str = "agent", *, nodes: int = 4, **spec: Any) -> Body:
    """A DaemonSet whose rollout is through."""
    body = deployment(name, **spec)
    body["metadata"]["uid"] = f"uid-daemonsets-{NS}-{name}"
    del body["spec"]["replicas"]
    counts = ("desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable", "numberReady")
    body["status"] = {"observedGeneration": 1, **dict.fromkeys(counts, nodes)}
    return body


def replica_set(name: str = OLD, *, revision: int = 6, image: str = "shop:v1.8", replicas: int = 0) -> Body:
    """A ReplicaSet of deploy/payments."""
    owner = deployment()
    template = copy.deepcopy(owner["spec"]["template"])
    template["metadata"]["labels"]["pod-template-hash"] = name.rpartition("-")[2]
    template["spec"]["containers"][0]["image"] = image
    return {
        "metadata": {
            "name": name,
            "namespace": NS,
            "uid": f"uid-replicasets-{NS}-{name}",
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
            "ownerReferences": [
                {"kind": "Deployment", "name": "payments", "uid": owner["metadata"]["uid"], "controller": True}
            ],
        },
        "spec": {"replicas": replicas, "template": template},
        "status": {"observedGeneration": 1, "replicas": replicas, "readyReplicas": replicas},
    }


def pod(name: str = POD) -> Body:
    """A pod of the present ReplicaSet of deploy/payments."""
    present = replica_set("payments-7d9e", revision=7, image="shop:v1.9", replicas=2)
    template = present["spec"]["template"]
    owner = {"kind": "ReplicaSet", "name": "payments-7d9e", "uid": present["metadata"]["uid"], "controller": True}
    return {
        "metadata": {
            "name": name,
            "namespace": NS,
            "uid": f"uid-pods-{NS}-{name}",
            "labels": template["metadata"]["labels"],
            "ownerReferences": [owner],
        },
        "spec": {**template["spec"], "nodeName": "node-1"},
        "status": {"phase": "Running"},
    }


def add_all(kube: FakeKube) -> None:
    """One of each, beside deploy/payments."""
    kube.add_raw(STATEFULSETS, stateful_set())
    kube.add_raw(DAEMONSETS, daemon_set())
    kube.add_raw(REPLICASETS, replica_set())
    kube.add_raw(REPLICASETS, replica_set("payments-7d9e", revision=7, image="shop:v1.9", replicas=2))
    kube.add_raw(PODS, pod())
    kube.add_raw(POD_TEMPLATES, job_template())


def settle(kube: FakeKube) -> None:
    """What the controllers of workloads do, to the end."""
    for (plural, _, _), body in kube.objects.items():
        if plural in ("deployments", "statefulsets", "daemonsets"):
            status = body["status"]
            status["observedGeneration"] = body["metadata"]["generation"]
            wanted = body["spec"].get("replicas")
            if wanted is not None:
                status |= dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas", "readyReplicas"), wanted)
    end_jobs(kube)


def end_jobs(kube: FakeKube, outcome: str = "Complete", said: str = "12.0 MiB  journal") -> None:
    """What the Job controller and a kubelet do, to the end."""
    for (plural, _, name), body in list(kube.objects.items()):
        if plural == "jobs" and not body.get("status"):
            why = {"reason": "DeadlineExceeded", "message": "Job was active longer than specified deadline"}
            body["status"] = {
                "conditions": [{"type": outcome, "status": "True", **(why if outcome == "Failed" else {})}]
            }
            ended = [{"name": "look", "state": {"terminated": {"exitCode": 0, "message": said}}}]
            owner = {"kind": "Job", "name": name, "uid": body["metadata"]["uid"], "controller": True}
            labels = {"batch.kubernetes.io/job-name": name}
            metadata = {"name": f"{name}-x", "namespace": NS, "labels": labels, "ownerReferences": [owner]}
            kube.add_raw(PODS, {"metadata": metadata, "spec": {}, "status": {"containerStatuses": ended}})


def restart_set(kind: str = "StatefulSet") -> Action:
    """A typed restart of sts/db or ds/agent."""
    name = {"StatefulSet": "db", "DaemonSet": "agent"}[kind]
    types = {"StatefulSet": ActionType.RESTART_STATEFUL_SET, "DaemonSet": ActionType.RESTART_DAEMON_SET}
    return Action(id="restart", type=types[kind], target=_ref(kind, name))


def scale_set(replicas: int) -> Action:
    """A typed scale of sts/db."""
    scale = ScaleParameters(replicas=replicas)
    return Action(id="scale", type=ActionType.SCALE_STATEFUL_SET, target=_ref("StatefulSet", "db"), scale=scale)


def rollback(replica_set_name: str = OLD, revision: int = 6) -> Action:
    """A typed rollback of deploy/payments."""
    to = RollbackParameters(replica_set=replica_set_name, revision=revision)
    return Action(id="rollback", type=ActionType.ROLLBACK, target=target(), rollback=to)


def pause() -> Action:
    """A typed pause of deploy/payments."""
    return Action(id="pause", type=ActionType.PAUSE_ROLLOUT, target=target())


def restart_pod(name: str = POD, owner: str = "payments-7d9e") -> Action:
    """A typed restart of one pod."""
    ref = TargetRef(api_version="v1", kind="Pod", namespace=NS, name=name, uid=f"uid-pods-{NS}-{name}")
    by = OwnerParameters(kind=OwnerKind.REPLICA_SET, name=owner)
    return Action(id="pod", type=ActionType.RESTART_POD, target=ref, owner=by)


def job_template() -> Body:
    """The reviewed pod of a look at a volume."""
    container = {"name": "look", "image": "iirp/controllers:1", "args": ["disk-usage"]}
    volume = {"name": "subject", "persistentVolumeClaim": {"claimName": "subject", "readOnly": True}}
    template = {
        "metadata": {"labels": {"app.kubernetes.io/name": "iirp-job-disk-usage"}},
        "spec": {"restartPolicy": "Never", "containers": [container], "volumes": [volume]},
    }
    return {"metadata": {"name": "iirp-job-disk-usage", "namespace": PLATFORM}, "template": template}


def look(claim: str = "journal") -> Action:
    """A typed look at a volume of deploy/payments."""
    job = JobParameters(template=JobTemplate.DISK_USAGE, claim=claim)
    return Action(id="look", type=ActionType.RUN_JOB, target=target(), job=job)


def mount(kube: FakeKube, claim: str = "journal") -> None:
    """Gives the pods of deploy/payments a volume."""
    spec = kube.objects["deployments", NS, "payments"]["spec"]["template"]["spec"]
    spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}, {"name": "tmp", "emptyDir": {}}]


def _ref(kind: str, name: str) -> TargetRef:
    return TargetRef(kind=kind, namespace=NS, name=name, uid=f"uid-{kind.lower()}s-{NS}-{name}")
