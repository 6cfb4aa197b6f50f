"""Pods that do not start: images, nodes, volumes, configuration, the runtime, the process itself."""

from __future__ import annotations

from analysis.contract import ChangeKind
from crds.v1alpha1.base import TargetRef
from tests.unit.analysis.rca.faults.shop import OLD_POD, TOO_BIG, Fault, event, rolled_out, told, written
from tests.unit.analysis.rca.world import ONSET, at, pod, rollout

SANDBOX = (
    "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox: "
    'plugin type="calico" failed (add): connection is unauthorized'
)
WAITING = pod(ready=False, phase="Pending", waiting_reason="ImagePullBackOff", waiting_message="not found")


def pending(why: str) -> dict:
    waits = pod(phase="Pending", ready=False, node="", unschedulable=why)
    return {"events": (event("FailedScheduling", why),), "pods": (OLD_POD, waits)}


UNBOUND = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"
CORDONED = "0/2 nodes are available: 2 node(s) were unschedulable. preemption: 0/2 nodes are available"
PARTLY = "0/2 nodes are available: 1 Insufficient memory, 1 node(s) were unschedulable."
ROOT = 'Error: container has runAsNonRoot and image will run as root (pod: "payments_shop", container: payments)'
CLAIM = event("ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found', "PersistentVolumeClaim/data")
NODE = TargetRef(api_version="v1", kind="Node", name="n1")

FAULTS = {
    "bad image": Fault(
        told(
            "ImagePullFailed",
            changes=(rollout(ONSET - 5),),
            pods=(pod(), WAITING),
            events=(event("Failed", "Failed to pull image"),),
        ),
        "BadImage",
    ),
    "registry down": Fault(
        told(
            "ImagePullFailed",
            pods=(WAITING,),
            neighbour_events=(event("Failed", "Failed to pull image x: connection refused", "Pod/checkout-1"),),
        ),
        "RegistryUnavailable",
    ),
    "quota made smaller": Fault(
        told(
            "PendingPods",
            events=(event("FailedCreate", "exceeded quota: pods"),),
            pods=(),
            changes=(written(ChangeKind.QUOTA, TargetRef(api_version="v1", kind="ResourceQuota", name="small")),),
        ),
        "QuotaExceeded",
    ),
    "no room": Fault(
        told("PendingPods", pods=(pod(phase="Pending", ready=False, unschedulable="0/1 nodes: insufficient cpu"),)),
        "Unschedulable",
    ),
    "network plugin that is not there": Fault(
        told(
            "PendingPods", events=(event("FailedCreatePodSandBox", SANDBOX),), pods=(pod(phase="Pending", ready=False),)
        ),
        "RuntimeFailing",
    ),
    "container runtime that hangs, here and elsewhere": Fault(
        told(
            "RolloutStalled",
            events=(event("Failed", "Error: context deadline exceeded"),),
            neighbour_events=(event("FailedCreatePodSandBox", SANDBOX, about="Pod/checkout-1"),),
            pods=(
                pod(ready=False, waiting_reason="CreateContainerError", waiting_message="context deadline exceeded"),
            ),
        ),
        "RuntimeFailing",
    ),
    "registry that hangs": Fault(
        told(
            "ImagePullFailed",
            events=(event("Failed", 'Failed to pull image "x": rpc error: context deadline exceeded'),),
            pods=(pod(ready=False, waiting_reason="ErrImagePull"),),
        ),
        "BadImage",
    ),
    "volume that is missing": Fault(
        told("FailedMount", events=(event("FailedMount", 'configmap "x" not found'),)), "MountFailed"
    ),
    "quota": Fault(
        told("PendingPods", events=(event("FailedCreate", "exceeded quota: pods"),), pods=()), "QuotaExceeded"
    ),
    "command that is not in the image": Fault(
        told(
            "CrashLoop",
            changes=(rollout(ONSET - 20),),
            pods=(
                pod(
                    ready=False,
                    waiting_reason="CrashLoopBackOff",
                    waiting_message="back-off",
                    last_termination_reason="StartError",
                    last_termination_at=at(ONSET),
                ),
            ),
            events=(
                event(
                    "Failed",
                    'failed to create containerd task: exec: "/no/such": stat /no/such: no such file or directory',
                ),
                event("BackOff", "Back-off restarting failed container"),
            ),
        ),
        "BadCommand",
    ),
    "job that fails": Fault(
        told(
            "JobFailed",
            lines={"error-lines": 6},
            events=(event("BackoffLimitExceeded", "Job has reached the specified backoff limit", "Job/payments"),),
        ),
        "JobFails",
    ),
    "job whose pod is killed for memory": Fault(
        told(
            "JobFailed",
            pods=(
                pod(ready=False, phase="Failed", last_termination_reason="OOMKilled", last_termination_at=at(ONSET)),
            ),
            events=(event("BackoffLimitExceeded", "Job has reached the specified backoff limit", "Job/payments"),),
        ),
        "SuddenAllocation",
    ),
    "init container that never ends since a rollout": Fault(
        told(
            "PendingPods",
            changes=(rolled_out("init container wait added"),),
            pods=(pod(ready=False, phase="Pending"),),
            events=(event("Started", "Container started"),),
        ),
        "BadRollout",
    ),
    "process that gives up": Fault(
        told("CrashLoop", pods=(pod(ready=False, waiting_reason="CrashLoopBackOff", waiting_message="back-off"),)),
        "CrashOnStart",
    ),
    "too big for any node since a rollout": Fault(
        told("RolloutStalled", changes=(rolled_out("cpu request 20m -> 64"),), **pending(TOO_BIG)), "Unschedulable"
    ),
    "claim without a volume": Fault(
        told("PendingPods", neighbour_events=(CLAIM,), **pending(UNBOUND)), "VolumeNotBound"
    ),
    "claim that a rollout names and nobody made": Fault(
        told(
            "RolloutStalled",
            changes=(rolled_out("volumes changed, volume mounts changed"),),
            **pending('0/1 nodes are available: persistentvolumeclaim "data" not found.'),
        ),
        "VolumeNotBound",
    ),
    "all nodes cordoned": Fault(
        told("PendingPods", changes=(written(ChangeKind.NODE, NODE),), **pending(CORDONED)), "NodesCordoned"
    ),
    "one node cordoned, and the other full": Fault(told("PendingPods", **pending(PARTLY)), "Unschedulable"),
    "image that runs as root": Fault(
        told(
            "PendingPods",
            changes=(rolled_out("image v1.8 -> v1.9"),),
            events=(event("Failed", ROOT),),
            pods=(
                OLD_POD,
                pod(phase="Pending", ready=False, waiting_reason="CreateContainerConfigError", waiting_message=ROOT),
            ),
        ),
        "UserNotAllowed",
    ),
    "pull secret that is wrong": Fault(
        told(
            "ImagePullFailed",
            changes=(rolled_out("image v1.8 -> v1.9"),),
            events=(event("Failed", 'Failed to pull image "r.example/pay:v2": 401 Unauthorized'),),
            pods=(OLD_POD, pod(phase="Pending", ready=False, waiting_reason="ErrImagePull")),
        ),
        "BadImage",
    ),
    "configuration that a rollout misses": Fault(
        told(
            "RolloutStalled",
            changes=(rolled_out("env CURRENCY added"),),
            pods=(
                OLD_POD,
                pod(
                    phase="Pending",
                    ready=False,
                    waiting_reason="CreateContainerConfigError",
                    waiting_message='configmap "currencies" not found',
                ),
            ),
            events=(event("Failed", 'Error: configmap "currencies" not found'),),
        ),
        "ConfigMissing",
    ),
}
