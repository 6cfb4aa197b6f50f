"""CPU, memory, disks and nodes."""

from __future__ import annotations

from analysis.contract import NodeState
from analysis.rca.facts import BeforeAfter
from tests.unit.analysis.rca.faults.shop import KILLED, OLD_POD, Fault, event, rolled_out, told
from tests.unit.analysis.rca.world import ONSET, at, pod, rollout

EMPTY_DIR = 'Usage of EmptyDir volume "tmp" exceeds the limit "256Mi". '

FAULTS = {
    "busy loop": Fault(
        told(
            "CPUThrottling",
            measured={"cpu-near-limit": (0.05, 0.97), "cpu-rose": (0.02, 0.48), "cpu-throttled": (0.0, 0.9)},
        ),
        "CPUSaturation",
    ),
    "busy loop, seen as latency": Fault(
        told(
            "HighLatency",
            measured={"cpu-near-limit": (0.05, 0.97), "cpu-throttled": (0.0, 0.9), "own-latency-rose": (0.02, 0.8)},
        ),
        "CPUSaturation",
    ),
    "disk that fills": Fault(
        told("DiskFilling", measured={"volume-fills": (0.2, 0.8), "volume-nearly-full": (0.2, 0.8)}), "DiskFill"
    ),
    "node under pressure": Fault(
        told("Evicted", nodes=(NodeState(name="n1", ready=True, problems=("MemoryPressure since 12:00: short",)),)),
        "NodeUnwell",
    ),
    "kill after a rollout that raised the limit": Fault(
        told(
            "OOMKilled",
            changes=(rollout(ONSET - 5).model_copy(update={"summary": "memory limit 64Mi -> 128Mi"}),),
            pods=(pod(restarts=1, last_termination_reason="OOMKilled", last_termination_at=at(ONSET)),),
        ),
        "SuddenAllocation",
    ),
    "allocation between two samples, and requests that are repeated after the kill": Fault(
        told(
            "OOMKilled",
            traffic=BeforeAfter(8.0, 14.0, "q"),
            pods=(pod(restarts=1, last_termination_reason="OOMKilled", last_termination_at=at(ONSET)),),
        ),
        "SuddenAllocation",
    ),
    "more written into an emptyDir than allowed": Fault(
        told("Evicted", events=(event("Evicted", EMPTY_DIR),), pods=(OLD_POD,)), "StorageLimitExceeded"
    ),
    "kill long after a rollout": Fault(
        told("OOMKilled", pods=(KILLED,), changes=(rolled_out("image v1.8 -> v1.9", ONSET - 500),)), "SuddenAllocation"
    ),
}
