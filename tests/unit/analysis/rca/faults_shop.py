"""Faults of a small shop that the demo does not make: admission, volumes, names, certificates, probes, replicas."""

from __future__ import annotations

from dataclasses import replace

from analysis.contract import Change, ChangeKind, PodState, WorkloadState
from analysis.rca.facts import BeforeAfter, Facts
from crds.v1alpha1.base import TargetRef
from tests.unit.analysis.rca.faults import (
    CHECKOUT,
    DEAD,
    FAILING,
    SERVICE,
    SLOW,
    event,
    scaling,
    service,
    told,
    workloads,
    written,
)
from tests.unit.analysis.rca.world import ONSET, TARGET, at, logs, pod, rollout

REPLICA_SET = "ReplicaSet/payments-7c9d8f6b5d"
ERRORS = {"own-errors-rose": (0.0, 0.9)}
OLD_POD = pod(name="payments-5f6c7d8e9f-zzzzz", uid="o")


def rolled_out(summary: str, second: float = ONSET - 40) -> Change:
    return rollout(second).model_copy(update={"summary": summary})


def refused(why: str) -> dict:
    """A ReplicaSet whose pods the API server does not take."""
    return {"events": (event("FailedCreate", f"Error creating: {why}", REPLICA_SET),), "pods": ()}


def pending(why: str) -> dict:
    waits = pod(phase="Pending", ready=False, node="", unschedulable=why)
    return {"events": (event("FailedScheduling", why),), "pods": (OLD_POD, waits)}


def looping(**changes) -> PodState:
    return pod(
        ready=False, restarts=5, waiting_reason="CrashLoopBackOff", waiting_message="back-off 40s restarting", **changes
    )


LIMIT_RANGE = 'pods "payments-x" is forbidden: maximum memory usage per Container is 512Mi, but limit is 2Gi'
POD_SECURITY = 'pods "payments-x" is forbidden: violates PodSecurity "restricted:latest": privileged'
DENIED = 'admission webhook "validate.kyverno.svc-fail" denied the request: image tag latest is not allowed'
UNREACHABLE = (
    'Internal error occurred: failed calling webhook "validate.kyverno.svc-fail": failed to call webhook: Post '
    '"https://kyverno-svc.kyverno.svc:443/validate?timeout=10s": dial tcp 10.96.0.9:443: connect: connection refused'
)
NO_ACCOUNT = (
    'pods "payments-x" is forbidden: error looking up service account shop/payer: serviceaccount "payer" not found'
)
EXCEEDED = 'pods "payments-x" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=6, limited: pods=6'
TOO_BIG = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available"
UNBOUND = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"
CORDONED = "0/2 nodes are available: 2 node(s) were unschedulable. preemption: 0/2 nodes are available"
PARTLY = "0/2 nodes are available: 1 Insufficient memory, 1 node(s) were unschedulable."
LIVENESS = (
    event("Unhealthy", 'Liveness probe failed: Get "http://10.0.0.7:8080/healthz": context deadline exceeded'),
    event("Killing", "Container payments failed liveness probe, will be restarted"),
    event("BackOff", "Back-off restarting failed container payments in pod"),
)
READINESS = event("Unhealthy", 'Readiness probe failed: Get "http://10.0.0.7:8080/readyz": context deadline exceeded')
ROOT = 'Error: container has runAsNonRoot and image will run as root (pod: "payments_shop", container: payments)'
SCALED_DOWN = event(
    "ScalingReplicaSet", "Scaled down replica set payments-7c9d8f6b5d from 3 to 1", "Deployment/payments", ONSET - 5
)
CLAIM = event("ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found', "PersistentVolumeClaim/data")
EMPTY_DIR = 'Usage of EmptyDir volume "tmp" exceeds the limit "256Mi". '
KILLED = pod(restarts=3, last_termination_reason="OOMKilled", last_termination_at=at(ONSET))
NODE = TargetRef(api_version="v1", kind="Node", name="n1")

ADMISSION: dict[str, tuple[Facts, str, str]] = {
    f"{name}, {'in a rollout' if changes else 'all of a sudden'}": (
        told(kind, changes=changes, **refused(why)), cause, "payments"
    )
    for name, why, cause in (
        ("a LimitRange", LIMIT_RANGE, "AdmissionDenied"),
        ("Pod Security", POD_SECURITY, "AdmissionDenied"),
        ("a policy", DENIED, "AdmissionDenied"),
        ("a webhook that is down", UNREACHABLE, "WebhookUnavailable"),
        ("a ServiceAccount that is missing", NO_ACCOUNT, "ConfigMissing"),
        ("a quota", EXCEEDED, "QuotaExceeded"),
    )
    for kind, changes in (
        ("QuotaExceeded" if name == "a quota" else "PodsRefused", ()),
        ("RolloutStalled", (rolled_out("image v1.8 -> v1.9"),)),
    )
}  # fmt: skip

PLACEMENT: dict[str, tuple[Facts, str, str]] = {
    "too big for any node since a rollout": (
        told("RolloutStalled", changes=(rolled_out("cpu request 20m -> 64"),), **pending(TOO_BIG)),
        "Unschedulable", "payments",
    ),
    "claim without a volume": (
        told("PendingPods", neighbour_events=(CLAIM,), **pending(UNBOUND)), "VolumeNotBound", "payments"
    ),
    "claim that a rollout names and nobody made": (
        told("RolloutStalled", changes=(rolled_out("volumes changed, volume mounts changed"),),
             **pending('0/1 nodes are available: persistentvolumeclaim "data" not found.')),
        "VolumeNotBound", "payments",
    ),
    "all nodes cordoned": (
        told("PendingPods", changes=(written(ChangeKind.NODE, NODE),), **pending(CORDONED)), "NodesCordoned", "payments"
    ),
    "one node cordoned, and the other full": (told("PendingPods", **pending(PARTLY)), "Unschedulable", "payments"),
    "image that runs as root": (
        told("PendingPods", changes=(rolled_out("image v1.8 -> v1.9"),), events=(event("Failed", ROOT),),
             pods=(OLD_POD, pod(phase="Pending", ready=False, waiting_reason="CreateContainerConfigError",
                                waiting_message=ROOT))),
        "UserNotAllowed", "payments",
    ),
    "pull secret that is wrong": (
        told("ImagePullFailed", changes=(rolled_out("image v1.8 -> v1.9"),),
             events=(event("Failed", 'Failed to pull image "r.example/pay:v2": 401 Unauthorized'),),
             pods=(OLD_POD, pod(phase="Pending", ready=False, waiting_reason="ErrImagePull"))),
        "BadImage", "payments",
    ),
    "more written into an emptyDir than allowed": (
        told("Evicted", events=(event("Evicted", EMPTY_DIR),), pods=(OLD_POD,)), "StorageLimitExceeded", "payments"
    ),
    "configuration that a rollout misses": (
        told("RolloutStalled", changes=(rolled_out("env CURRENCY added"),),
             pods=(OLD_POD, pod(phase="Pending", ready=False, waiting_reason="CreateContainerConfigError",
                                waiting_message='configmap "currencies" not found')),
             events=(event("Failed", 'Error: configmap "currencies" not found'),)),
        "ConfigMissing", "payments",
    ),
}  # fmt: skip

CALLS: dict[str, tuple[Facts, str, str]] = {
    "name that no server knows": (
        told("HighErrorRate", target=CHECKOUT, upstream_errors=DEAD, measured=ERRORS,
             lines={"name-lookup-fails": 300, "error-lines": 300}),
        "NameLookupFails", "checkout",
    ),
    "name that a callee cannot resolve, told on by its caller": (
        told("HighErrorRate", target=CHECKOUT, upstream_errors=FAILING,
             measured=ERRORS | {"callees-answer-errors": (0.0, 0.4)}, lines={"name-lookup-fails": 300}),
        "DependencyFailing", "payments",
    ),
    "names that resolve slowly or not at all": (
        told("HighLatency", target=CHECKOUT, upstream=SLOW, measured={"own-latency-rose": (0.03, 1.9)},
             lines={"name-lookup-fails": 300, "no-name-server": 300}),
        "NameLookupFails", "checkout",
    ),
    "wrong host since a rollout": (
        told("HighErrorRate", measured=ERRORS, lines={"name-lookup-fails": 300},
             changes=(rolled_out("env BANK_HOST bank -> bnak"),)),
        "BadRollout", "payments",
    ),
    "network policy that shuts the name servers out": (
        told("HighErrorRate", target=CHECKOUT, upstream_errors=DEAD, measured=ERRORS,
             lines={"name-lookup-fails": 300, "no-name-server": 300},
             changes=(written(ChangeKind.NETWORK_POLICY, CHECKOUT),)),
        "NetworkPolicyChange", "checkout",
    ),
    "certificate of a callee that has expired": (
        told("HighErrorRate", target=CHECKOUT, upstream_errors=DEAD, measured=ERRORS,
             lines={"certificate-fails": 300, "error-lines": 300}),
        "CertificateInvalid", "checkout",
    ),
    "certificate without which it does not start": (
        told("CrashLoop", pods=(looping(),), lines={"certificate-fails": 9}), "CertificateInvalid", "payments"
    ),
    "password that was changed on the other side": (
        told("CrashLoop", pods=(looping(),), lines={"credentials-refused": 12}), "CredentialsRefused", "payments"
    ),
    "callee whose pods all crash, seen by its caller": (
        told(
            "HighErrorRate",
            target=CHECKOUT,
            upstream_errors=DEAD,
            measured=ERRORS,
            services=(service(ready=0, not_ready=2), service("checkout", 1, 0, (CHECKOUT,))),
        ),
        "DependencyDown",
        "payments",
    ),
    "database that is scaled to zero, without which nothing starts": (
        replace(
            told(
                "CrashLoop",
                target=CHECKOUT,
                pods=(looping(),),
                workloads=workloads(0),
                services=(service(ready=0), service("checkout", 0, 1, (CHECKOUT,))),
            ),
            logs=logs(("dial tcp payments.shop.svc:5432: connect: connection refused", 9)),
        ),
        "ScaledToZero",
        "payments",
    ),
    "database that is not ready, without which nothing starts": (
        replace(
            told(
                "CrashLoop",
                target=CHECKOUT,
                pods=(looping(),),
                services=(service(ready=0, not_ready=1), service("checkout", 0, 1, (CHECKOUT,))),
            ),
            logs=logs(("Error: connect ECONNREFUSED payments:5432", 9)),
        ),
        "DependencyDown",
        "payments",
    ),
    "pool without a free connection": (
        told("HighErrorRate", measured=ERRORS, lines={"connections-exhausted": 300, "error-lines": 300}),
        "ConnectionsExhausted", "payments",
    ),
    "pool that a slow callee holds": (
        told("HighLatency", target=CHECKOUT, upstream=SLOW, measured={"own-latency-rose": (0.03, 1.9)},
             lines={"connections-exhausted": 300}),
        "DependencySlow", "payments",
    ),
    "pool that requests waited for": (
        told("HighLatency", measured={"own-latency-rose": (0.03, 5.0)}, lines={"connections-exhausted": 300}),
        "ConnectionsExhausted", "payments",
    ),
}  # fmt: skip

PROCESSES: dict[str, tuple[Facts, str, str]] = {
    "liveness probe that ends what is only slow": (
        told("CrashLoop", pods=(looping(),), events=LIVENESS, services=(service(ready=0, not_ready=1),)),
        "ProbeFailing", "payments",
    ),
    "liveness probe that a rollout made too strict": (
        told("CrashLoop", pods=(looping(),), events=LIVENESS, changes=(rolled_out("livenessProbe changed"),)),
        "BadRollout", "payments",
    ),
    "readiness probe that a rollout made too strict": (
        told("NotReady", pods=(OLD_POD, pod(ready=False)), events=(READINESS,),
             changes=(rolled_out("readinessProbe changed"),)),
        "BadRollout", "payments",
    ),
    "readiness probe that times out": (
        told("ZeroEndpoints", target=SERVICE, pods=(pod(ready=False),), events=(READINESS,),
             services=(service(ready=0, not_ready=1),)),
        "ProbeFailing", "payments",
    ),
    "init container killed for memory": (
        told("OOMKilled", pods=(looping(last_termination_reason="OOMKilled", last_termination_at=at(ONSET)),),
             changes=(rolled_out("container migrate added (r.example/migrate:1)"),)),
        "BadRollout", "payments",
    ),
    "new version that needs more memory than it may have": (
        told("OOMKilled", pods=(KILLED,), changes=(rolled_out("image v1.8 -> v1.9"),)), "BadRollout", "payments"
    ),
    "kill long after a rollout": (
        told("OOMKilled", pods=(KILLED,), changes=(rolled_out("image v1.8 -> v1.9", ONSET - 500),)),
        "SuddenAllocation", "payments",
    ),
    "configuration written, and a checksum that rolled the pods": (
        told("HighErrorRate", measured=ERRORS, lines={"error-lines": 40},
             changes=(written(ChangeKind.CONFIG, second=ONSET - 60),
                      rolled_out("annotations checksum/config changed", ONSET - 58))),
        "ConfigChange", "payments",
    ),
    "configuration written, and pods restarted by hand": (
        told("HighErrorRate", measured=ERRORS, lines={"error-lines": 40},
             changes=(written(ChangeKind.CONFIG, second=ONSET - 60), rolled_out("restarted", ONSET - 20))),
        "ConfigChange", "payments",
    ),
    "another Secret, told by its checksum alone": (
        told("HighErrorRate", measured=ERRORS, lines={"error-lines": 40},
             changes=(rolled_out("annotations checksum/secret changed"),)),
        "BadRollout", "payments",
    ),
    "bad rollout of which one pod runs and another finds no room": (
        told(
            "HighErrorRate",
            measured=ERRORS,
            lines={"error-lines": 40},
            changes=(rolled_out("image v1.8 -> v1.9"),),
            pods=(
                pod(revision="payments-7c9d8f6b5d"),
                pod(name="payments-7c9d8f6b5d-pppp1", phase="Pending", ready=False, unschedulable=TOO_BIG),
            ),
        ),
        "BadRollout",
        "payments",
    ),
    "bad rollout of a callee, while another pod of the caller finds no room": (
        told(
            "HighErrorRate",
            target=CHECKOUT,
            upstream_errors=FAILING,
            changes=(rolled_out("image v1.8 -> v1.9"),),
            pods=(pod(), pod(name="checkout-7c9d8f6b5d-pppp1", phase="Pending", ready=False, unschedulable=TOO_BIG)),
        ),
        "BadRollout",
        "payments",
    ),
    "bad rollout whose first pod waited for its volume for a moment": (
        told("HighErrorRate", measured=ERRORS, lines={"error-lines": 40}, changes=(rolled_out("image v1.8 -> v1.9"),),
             events=(event("FailedMount", "timed out waiting for the condition", second=ONSET - 20),
                     event("FailedScheduling", TOO_BIG, second=ONSET + 5))),
        "BadRollout", "payments",
    ),
}  # fmt: skip

ONE_LEFT = (WorkloadState(target=TARGET, replicas=1, ready=1), *workloads()[1:])
TOOK_AWAY = scaling().model_copy(update={"summary": "replicas set to 1"})
REPLICAS: dict[str, tuple[Facts, str, str]] = {
    "replicas taken away": (
        told("HighLatency", workloads=ONE_LEFT, changes=(TOOK_AWAY,), events=(SCALED_DOWN,),
             measured={"own-latency-rose": (0.02, 0.8), "cpu-near-limit": (0.3, 0.97), "cpu-rose": (0.1, 0.4)}),
        "ScaledDown", "payments",
    ),
    "an autoscaler at its maximum": (
        told("HighLatency", traffic=BeforeAfter(8.0, 30.0, "q"),
             measured={"own-latency-rose": (0.02, 0.8), "cpu-near-limit": (0.3, 0.97)}),
        "TrafficGrowth", "payments",
    ),
    "replicas added, and a busy loop": (
        told("CPUThrottling", changes=(TOOK_AWAY.model_copy(update={"summary": "replicas set to 2"}),),
             events=(SCALED_DOWN.model_copy(update={"message": "Scaled up replica set payments-7c9d from 1 to 2"}),),
             measured={"cpu-near-limit": (0.05, 0.97), "cpu-rose": (0.02, 0.48), "cpu-throttled": (0.0, 0.9)}),
        "CPUSaturation", "payments",
    ),
}  # fmt: skip

SHOP_FAULTS = {**ADMISSION, **PLACEMENT, **CALLS, **PROCESSES, **REPLICAS}
