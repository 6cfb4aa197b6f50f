"""Faults that a change brought: rollouts, configuration, network policies, limits, replicas."""

from __future__ import annotations

from analysis.contract import Change, ChangeKind, WorkloadState
from tests.unit.analysis.rca.faults.shop import (
    CHECKOUT,
    ERRORS,
    FAILING,
    KILLED,
    TOO_BIG,
    Fault,
    event,
    looping,
    rolled_out,
    scaling,
    told,
    workloads,
    written,
)
from tests.unit.analysis.rca.world import ONSET, TARGET, at, neighbours, pod, rollout

SCALED_DOWN = event(
    "ScalingReplicaSet", "Scaled down replica set payments-7c9d8f6b5d from 3 to 1", "Deployment/payments", ONSET - 5
)
ONE_LEFT = (WorkloadState(target=TARGET, replicas=1, ready=1), *workloads()[1:])
TOOK_AWAY = scaling().model_copy(update={"summary": "replicas set to 1"})

STATEFUL = TARGET.model_copy(update={"kind": "StatefulSet"})
OLDER = pod(name="payments-0", uid="p-0", revision="payments-5f6c7d8e9f")
BEHIND = looping(name="payments-1", uid="p-1", revision="payments-7c9d8f6b5d")


def stateful(summary: str, second: float = ONSET - 40) -> Change:
    """As the rca controller tells the rollout of a StatefulSet."""
    path = "/apis/apps/v1/namespaces/shop/controllerrevisions"
    return rolled_out(summary, second).model_copy(
        update={
            "target": STATEFUL,
            "reference": f"{path}/payments-7c9d8f6b5d",
            "previous_reference": f"{path}/payments-5f6c7d8e9f",
        }
    )


FAULTS = {
    "a StatefulSet's rollout with a bad image": Fault(
        told(
            "ImagePullFailed",
            target=STATEFUL,
            changes=(stateful("image v1.8 -> v1.9", ONSET - 5),),
            pods=(OLDER, BEHIND.model_copy(update={"waiting_reason": "ImagePullBackOff", "phase": "Pending"})),
            events=(event("Failed", "Failed to pull image", "Pod/payments-1"),),
        ),
        "BadImage",
    ),
    "a StatefulSet's rollout with an env that breaks it": Fault(
        told(
            "HighErrorRate",
            target=STATEFUL,
            measured={"own-errors-rose": (0.0, 0.4), "server-errors-rose": (0.0, 0.4)},
            lines={"error-lines": 40},
            changes=(stateful("env DB_HOST db-1 -> db-2"),),
            pods=(OLDER, pod(name="payments-1", uid="p-1", revision="payments-7c9d8f6b5d")),
        ),
        "BadRollout",
    ),
    "a StatefulSet's rollout that crashes, and a pod that waits for a node since": Fault(
        told(
            "CrashLoop",
            target=STATEFUL,
            changes=(stateful("env DB_HOST db-1 -> db-2"),),
            pods=(OLDER, BEHIND),
            events=(event("FailedScheduling", TOO_BIG, "Pod/payments-2"),),
        ),
        "BadRollout",
    ),
    "bad rollout": Fault(
        told(
            "HighErrorRate",
            measured={"own-errors-rose": (0.0, 0.3)},
            lines={"error-lines": 40},
            changes=(rollout(ONSET - 40),),
        ),
        "BadRollout",
    ),
    "bad rollout that makes it slow": Fault(
        told("HighLatency", measured={"own-latency-rose": (0.02, 1.1)}, changes=(rollout(ONSET - 40),)), "BadRollout"
    ),
    "bad rollout of a callee": Fault(
        told("HighErrorRate", target=CHECKOUT, upstream_errors=FAILING, changes=(rollout(ONSET - 40),)), "BadRollout"
    ),
    "bad rollout that crashes": Fault(
        told(
            "CrashLoop",
            changes=(rollout(ONSET - 40),),
            pods=(pod(ready=False, waiting_reason="CrashLoopBackOff", waiting_message="back-off 40s"),),
        ),
        "BadRollout",
    ),
    "configuration written, and errors since": Fault(
        told(
            "HighErrorRate",
            measured={"own-errors-rose": (0.0, 0.3)},
            lines={"error-lines": 40},
            changes=(written(ChangeKind.CONFIG),),
        ),
        "ConfigChange",
    ),
    "configuration written, and it ends at each start": Fault(
        told(
            "CrashLoop",
            pods=(pod(ready=False, waiting_reason="CrashLoopBackOff", waiting_message="back-off"),),
            changes=(written(ChangeKind.CONFIG),),
        ),
        "ConfigChange",
    ),
    "configuration written, and calls fail at the caller alone": Fault(
        told(
            "HighErrorRate",
            target=CHECKOUT,
            upstream_errors=FAILING,
            neighbours=neighbours(checkout=1.0, payments=0.05),
            measured={"own-errors-rose": (0.0, 0.4)},
            changes=(written(ChangeKind.CONFIG, CHECKOUT),),
        ),
        "ConfigChange",
        "checkout",
    ),
    "network policy that cuts off its callers": Fault(
        told(
            "HighErrorRate",
            target=CHECKOUT,
            upstream_errors=FAILING,
            lines={"upstream-error-lines": 40},
            measured={"own-errors-rose": (0.0, 0.3)},
            changes=(written(ChangeKind.NETWORK_POLICY),),
        ),
        "NetworkPolicyChange",
    ),
    "network policy that cuts itself off": Fault(
        told(
            "HighErrorRate",
            target=CHECKOUT,
            upstream_errors=FAILING,
            measured={"own-errors-rose": (0.0, 0.3)},
            changes=(written(ChangeKind.NETWORK_POLICY, CHECKOUT),),
        ),
        "NetworkPolicyChange",
        "checkout",
    ),
    "a network policy that shuts the scraper out": Fault(
        told(
            "AbsentSeries",
            measured={"not-scraped": (2.0, 0.0), "nobody-scraped": (8.0, 6.0)},
            changes=(written(ChangeKind.NETWORK_POLICY),),
        ),
        "NetworkPolicyChange",
    ),
    "limit that a rollout has lowered": Fault(
        told(
            "OOMKilled",
            changes=(rollout(ONSET - 5).model_copy(update={"summary": "memory limit 128Mi -> 7Mi"}),),
            pods=(pod(restarts=1, last_termination_reason="OOMKilled", last_termination_at=at(ONSET)),),
        ),
        "MemoryLimitLowered",
    ),
    "init container killed for memory": Fault(
        told(
            "OOMKilled",
            pods=(looping(last_termination_reason="OOMKilled", last_termination_at=at(ONSET)),),
            changes=(rolled_out("container migrate added (r.example/migrate:1)"),),
        ),
        "BadRollout",
    ),
    "new version that needs more memory than it may have": Fault(
        told("OOMKilled", pods=(KILLED,), changes=(rolled_out("image v1.8 -> v1.9"),)), "BadRollout"
    ),
    "configuration written, and a checksum that rolled the pods": Fault(
        told(
            "HighErrorRate",
            measured=ERRORS,
            lines={"error-lines": 40},
            changes=(
                written(ChangeKind.CONFIG, second=ONSET - 60),
                rolled_out("annotations checksum/config changed", ONSET - 58),
            ),
        ),
        "ConfigChange",
    ),
    "configuration written, and pods restarted by hand": Fault(
        told(
            "HighErrorRate",
            measured=ERRORS,
            lines={"error-lines": 40},
            changes=(written(ChangeKind.CONFIG, second=ONSET - 60), rolled_out("restarted", ONSET - 20)),
        ),
        "ConfigChange",
    ),
    "another Secret, told by its checksum alone": Fault(
        told(
            "HighErrorRate",
            measured=ERRORS,
            lines={"error-lines": 40},
            changes=(rolled_out("annotations checksum/secret changed"),),
        ),
        "BadRollout",
    ),
    "bad rollout of which one pod runs and another finds no room": Fault(
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
    ),
    "bad rollout of a callee, while another pod of the caller finds no room": Fault(
        told(
            "HighErrorRate",
            target=CHECKOUT,
            upstream_errors=FAILING,
            changes=(rolled_out("image v1.8 -> v1.9"),),
            pods=(pod(), pod(name="checkout-7c9d8f6b5d-pppp1", phase="Pending", ready=False, unschedulable=TOO_BIG)),
        ),
        "BadRollout",
    ),
    "bad rollout whose first pod waited for its volume for a moment": Fault(
        told(
            "HighErrorRate",
            measured=ERRORS,
            lines={"error-lines": 40},
            changes=(rolled_out("image v1.8 -> v1.9"),),
            events=(
                event("FailedMount", "timed out waiting for the condition", second=ONSET - 20),
                event("FailedScheduling", TOO_BIG, second=ONSET + 5),
            ),
        ),
        "BadRollout",
    ),
    "replicas taken away": Fault(
        told(
            "HighLatency",
            workloads=ONE_LEFT,
            changes=(TOOK_AWAY,),
            events=(SCALED_DOWN,),
            measured={"own-latency-rose": (0.02, 0.8), "cpu-near-limit": (0.3, 0.97), "cpu-rose": (0.1, 0.4)},
        ),
        "ScaledDown",
    ),
    "replicas added, and a busy loop": Fault(
        told(
            "CPUThrottling",
            changes=(TOOK_AWAY.model_copy(update={"summary": "replicas set to 2"}),),
            events=(SCALED_DOWN.model_copy(update={"message": "Scaled up replica set payments-7c9d from 1 to 2"}),),
            measured={"cpu-near-limit": (0.05, 0.97), "cpu-rose": (0.02, 0.48), "cpu-throttled": (0.0, 0.9)},
        ),
        "CPUSaturation",
    ),
}
