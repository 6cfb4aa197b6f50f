"""Every fault that the demo can make, and some more, as `/v1/rca` sees it, with the cause that it has to name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from analysis.config import DATA_ROOT
from analysis.contract import Change, ChangeKind, EventFact, NodeState, RcaResponse, ServiceState, WorkloadState
from analysis.rca.catalogue import load_causes
from analysis.rca.facts import BeforeAfter, Counted, Facts, Measured
from analysis.rca.service import explain
from crds.v1alpha1.base import TargetRef
from tests.unit.analysis.rca.world import (
    ONSET,
    POD,
    SIBLINGS,
    TARGET,
    at,
    facts,
    logs,
    memory,
    neighbours,
    pod,
    request,
    rollout,
)
from tests.unit.analysis.shapes import flat, sampled

CAUSES = load_causes(DATA_ROOT / "causes")
CHECKOUT = TargetRef(kind="Deployment", namespace="shop", name="checkout", uid="uid-checkout")
SERVICE = TargetRef(api_version="v1", kind="Service", namespace="shop", name="payments")
CALM = memory({POD: sampled(flat()), **SIBLINGS})
SAME = BeforeAfter(8.0, 7.9, "sum(rate(http_requests_total[60s]))")


def workloads(payments: int = 2) -> tuple[WorkloadState, ...]:
    return (
        WorkloadState(target=TARGET, replicas=payments, ready=payments),
        WorkloadState(target=CHECKOUT, replicas=1, ready=1),
    )


def service(name: str = "payments", ready: int = 2, not_ready: int = 0, matches: tuple = (TARGET,)) -> ServiceState:
    return ServiceState(
        name=name,
        selector=f"app={name}",
        ready=ready,
        not_ready=not_ready,
        matches=matches,
        reference=f"/api/v1/namespaces/shop/services/{name}",
    )


def event(reason: str, message: str, about: str = f"Pod/{POD}", second: float = ONSET + 5) -> EventFact:
    return EventFact(
        at=at(second),
        type="Warning",
        reason=reason,
        message=message,
        object=about,
        reference=f"/api/v1/namespaces/shop/events/{reason.lower()}",
    )


def scaling(second: float = ONSET - 5) -> Change:
    return Change(
        kind=ChangeKind.SCALE,
        at=at(second),
        target=TARGET,
        actor="kubectl",
        summary="replicas set to 0",
        reference="/apis/apps/v1/namespaces/shop/deployments/payments",
    )


def written(kind: ChangeKind, target: TargetRef = TARGET, second: float = ONSET - 30) -> Change:
    """Something that a workload depends on, written shortly before the onset."""
    return Change(
        kind=kind,
        at=at(second),
        target=target,
        revision="4711",
        actor="kubectl-edit",
        summary=f"{kind.value} x written",
        reference=f"/api/v1/namespaces/shop/{kind.value.lower()}s/x",
    )


def told(kind: str, *, measured: dict[str, tuple[float, float]] | None = None, **given: Any) -> Facts:
    """Facts of a quiet shop but for what is given."""
    context = {
        name: given.pop(name) for name in ("upstream", "upstream_errors", "traffic", "neighbours") if name in given
    }
    lines = given.pop("lines", {})
    given.setdefault("services", (service(), service("checkout", 1, 0, (CHECKOUT,))))
    given.setdefault("workloads", workloads())
    quiet: dict[str, tuple[float, float]] = {
        "own-latency-rose": (0.02, 0.021),
        "own-errors-rose": (0.0, 0.0),
        "cpu-near-limit": (0.05, 0.05),
        "cpu-rose": (0.02, 0.02),
        "cpu-throttled": (0.0, 0.0),
        "volume-nearly-full": (0.1, 0.1),
        "volume-fills": (0.1, 0.1),
        "node-disk-nearly-full": (0.4, 0.4),
    } | (measured or {})
    found = facts(request(kind, **given), memory=CALM, logs=logs(), **{"upstream": {}, "traffic": SAME, **context})
    return replace(
        found,
        measured={name: (Measured("", *pair),) for name, pair in quiet.items()},
        counted={name: Counted("{} |~ x", 0, 300, count, 60) for name, count in lines.items()},
        queries=dict.fromkeys(quiet, "up"),
    )


def explained(given: Facts) -> RcaResponse:
    return explain(CAUSES, given)[0]


SANDBOX = (
    "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox: "
    'plugin type="calico" failed (add): connection is unauthorized'
)
SLOW = {"payments": BeforeAfter(0.03, 1.9, "q"), "catalogue": BeforeAfter(0.02, 0.02, "q")}
FAILING = {"payments": BeforeAfter(0.0, 0.4, "q")}
DEAD = {"payments": BeforeAfter(0.0, 1.0, "q")}
WAITING = pod(ready=False, phase="Pending", waiting_reason="ImagePullBackOff", waiting_message="not found")
FAULTS: dict[str, tuple[Facts, str, str]] = {
    "bad rollout": (
        told(
            "HighErrorRate",
            measured={"own-errors-rose": (0.0, 0.3)},
            lines={"error-lines": 40},
            changes=(rollout(ONSET - 40),),
        ),
        "BadRollout",
        "payments",
    ),
    "bad rollout that makes it slow": (
        told("HighLatency", measured={"own-latency-rose": (0.02, 1.1)}, changes=(rollout(ONSET - 40),)),
        "BadRollout",
        "payments",
    ),
    "bad rollout of a callee": (
        told("HighErrorRate", target=CHECKOUT, upstream_errors=FAILING, changes=(rollout(ONSET - 40),)),
        "BadRollout",
        "payments",
    ),
    "bad rollout that crashes": (
        told(
            "CrashLoop",
            changes=(rollout(ONSET - 40),),
            pods=(pod(ready=False, waiting_reason="CrashLoopBackOff", waiting_message="back-off 40s"),),
        ),
        "BadRollout",
        "payments",
    ),
    "bad image": (
        told(
            "ImagePullFailed",
            changes=(rollout(ONSET - 5),),
            pods=(pod(), WAITING),
            events=(event("Failed", "Failed to pull image"),),
        ),
        "BadImage",
        "payments",
    ),
    "registry down": (
        told(
            "ImagePullFailed",
            pods=(WAITING,),
            neighbour_events=(event("Failed", "Failed to pull image x: connection refused", "Pod/checkout-1"),),
        ),
        "RegistryUnavailable",
        "payments",
    ),
    "slow dependency, seen by its caller": (
        told("HighLatency", target=CHECKOUT, upstream=SLOW, measured={"own-latency-rose": (0.03, 1.9)}),
        "DependencySlow",
        "payments",
    ),
    "slow dependency itself": (
        told("HighLatency", measured={"own-latency-rose": (0.02, 1.9)}),
        "InternalLatency",
        "payments",
    ),
    "errors, where they are made": (
        told("HighErrorRate", measured={"own-errors-rose": (0.0, 0.3)}, lines={"error-lines": 40}),
        "InternalErrors",
        "payments",
    ),
    "errors, seen by a caller": (
        told("HighErrorRate", target=CHECKOUT, upstream_errors=FAILING, measured={"own-errors-rose": (0.0, 0.3)}),
        "DependencyFailing",
        "payments",
    ),
    "configuration written, and errors since": (
        told(
            "HighErrorRate",
            measured={"own-errors-rose": (0.0, 0.3)},
            lines={"error-lines": 40},
            changes=(written(ChangeKind.CONFIG),),
        ),
        "ConfigChange",
        "payments",
    ),
    "configuration written, and it ends at each start": (
        told(
            "CrashLoop",
            pods=(pod(ready=False, waiting_reason="CrashLoopBackOff", waiting_message="back-off"),),
            changes=(written(ChangeKind.CONFIG),),
        ),
        "ConfigChange",
        "payments",
    ),
    "configuration written, and calls fail at the caller alone": (
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
    "configuration written, and a callee that fails by chance": (
        told(
            "HighErrorRate",
            target=CHECKOUT,
            upstream_errors=FAILING,
            neighbours=neighbours(checkout=1.0, payments=1.0),
            measured={"own-errors-rose": (0.0, 0.4)},
            changes=(written(ChangeKind.CONFIG, CHECKOUT),),
        ),
        "DependencyFailing",
        "payments",
    ),
    "configuration of another workload written": (
        told(
            "HighErrorRate",
            measured={"own-errors-rose": (0.0, 0.3)},
            lines={"error-lines": 40},
            changes=(written(ChangeKind.CONFIG, CHECKOUT),),
        ),
        "InternalErrors",
        "payments",
    ),
    "network policy that cuts off its callers": (
        told(
            "HighErrorRate",
            target=CHECKOUT,
            upstream_errors=FAILING,
            lines={"upstream-error-lines": 40},
            measured={"own-errors-rose": (0.0, 0.3)},
            changes=(written(ChangeKind.NETWORK_POLICY),),
        ),
        "NetworkPolicyChange",
        "payments",
    ),
    "network policy that cuts itself off": (
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
    "metrics that nobody serves any more": (
        told("AbsentSeries", measured={"not-scraped": (2.0, 0.0), "nobody-scraped": (8.0, 6.0)}),
        "MetricsEndpointDown",
        "payments",
    ),
    "metrics that nobody serves since a rollout": (
        told(
            "AbsentSeries",
            measured={"not-scraped": (2.0, 0.0), "nobody-scraped": (8.0, 6.0)},
            changes=(rollout(ONSET - 40),),
        ),
        "MetricsEndpointDown",
        "payments",
    ),
    "a network policy that shuts the scraper out": (
        told(
            "AbsentSeries",
            measured={"not-scraped": (2.0, 0.0), "nobody-scraped": (8.0, 6.0)},
            changes=(written(ChangeKind.NETWORK_POLICY),),
        ),
        "NetworkPolicyChange",
        "payments",
    ),
    "quota made smaller": (
        told(
            "PendingPods",
            events=(event("FailedCreate", "exceeded quota: pods"),),
            pods=(),
            changes=(written(ChangeKind.QUOTA, TargetRef(api_version="v1", kind="ResourceQuota", name="small")),),
        ),
        "QuotaExceeded",
        "payments",
    ),
    "scaled to zero": (
        told("ScaledToZero", workloads=workloads(0), services=(service(ready=0),), changes=(scaling(),), pods=()),
        "ScaledToZero",
        "payments",
    ),
    "scaled to zero, seen as a Service without endpoints": (
        told(
            "ZeroEndpoints",
            target=SERVICE,
            workloads=workloads(0),
            services=(service(ready=0),),
            changes=(scaling(),),
            pods=(),
        ),
        "ScaledToZero",
        "payments",
    ),
    "scaled to zero, seen by a caller": (
        told(
            "HighErrorRate",
            target=CHECKOUT,
            upstream=DEAD,
            upstream_errors=DEAD,
            workloads=workloads(0),
            services=(service(ready=0),),
            changes=(scaling(),),
            measured={"own-errors-rose": (0.0, 1.0)},
        ),
        "ScaledToZero",
        "payments",
    ),
    "selector that matches nothing": (
        told("ZeroEndpoints", target=SERVICE, services=(service(ready=0, matches=()),)),
        "SelectorMismatch",
        "payments",
    ),
    "Service that leads to a port without a listener, seen by a caller": (
        told(
            "HighErrorRate",
            target=CHECKOUT,
            upstream_errors=FAILING,
            services=(
                service().model_copy(update={"unserved": "port 8080 leads to 9999; the pods declare http 8080"}),
            ),
            measured={"own-errors-rose": (0.0, 1.0)},
            lines={"upstream-error-lines": 300, "error-lines": 300},
        ),
        "ServicePortMismatch",
        "payments",
    ),
    "Service that was deleted, seen by a caller": (
        told(
            "HighErrorRate",
            target=CHECKOUT,
            upstream_errors=FAILING,
            services=(service("checkout", matches=(CHECKOUT,)),),
            measured={"own-errors-rose": (0.0, 1.0)},
            lines={"name-lookup-fails": 300, "upstream-error-lines": 300, "error-lines": 300},
        ),
        "ServiceMissing",
        "payments",
    ),
    "pods that are not ready": (
        told(
            "ZeroEndpoints",
            target=SERVICE,
            services=(service(ready=0, not_ready=2),),
            pods=(pod(ready=False),),
            events=(event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"),),
        ),
        "ProbeFailing",
        "payments",
    ),
    "busy loop": (
        told(
            "CPUThrottling",
            measured={"cpu-near-limit": (0.05, 0.97), "cpu-rose": (0.02, 0.48), "cpu-throttled": (0.0, 0.9)},
        ),
        "CPUSaturation",
        "payments",
    ),
    "busy loop, seen as latency": (
        told(
            "HighLatency",
            measured={"cpu-near-limit": (0.05, 0.97), "cpu-throttled": (0.0, 0.9), "own-latency-rose": (0.02, 0.8)},
        ),
        "CPUSaturation",
        "payments",
    ),
    "disk that fills": (
        told("DiskFilling", measured={"volume-fills": (0.2, 0.8), "volume-nearly-full": (0.2, 0.8)}),
        "DiskFill",
        "payments",
    ),
    "node under pressure": (
        told("Evicted", nodes=(NodeState(name="n1", ready=True, problems=("MemoryPressure since 12:00: short",)),)),
        "NodeUnwell",
        "payments",
    ),
    "no room": (
        told("PendingPods", pods=(pod(phase="Pending", ready=False, unschedulable="0/1 nodes: insufficient cpu"),)),
        "Unschedulable",
        "payments",
    ),
    "network plugin that is not there": (
        told(
            "PendingPods", events=(event("FailedCreatePodSandBox", SANDBOX),), pods=(pod(phase="Pending", ready=False),)
        ),
        "RuntimeFailing",
        "payments",
    ),
    "container runtime that hangs, here and elsewhere": (
        told(
            "RolloutStalled",
            events=(event("Failed", "Error: context deadline exceeded"),),
            neighbour_events=(event("FailedCreatePodSandBox", SANDBOX, about="Pod/checkout-1"),),
            pods=(
                pod(ready=False, waiting_reason="CreateContainerError", waiting_message="context deadline exceeded"),
            ),
        ),
        "RuntimeFailing",
        "payments",
    ),
    "registry that hangs": (
        told(
            "ImagePullFailed",
            events=(event("Failed", 'Failed to pull image "x": rpc error: context deadline exceeded'),),
            pods=(pod(ready=False, waiting_reason="ErrImagePull"),),
        ),
        "BadImage",
        "payments",
    ),
    "volume that is missing": (
        told("FailedMount", events=(event("FailedMount", 'configmap "x" not found'),)),
        "MountFailed",
        "payments",
    ),
    "quota": (
        told("PendingPods", events=(event("FailedCreate", "exceeded quota: pods"),), pods=()),
        "QuotaExceeded",
        "payments",
    ),
    "name that does not resolve": (
        told("CrashLoop", lines={"name-lookup-fails": 12}, pods=(pod(ready=False, waiting_reason="CrashLoopBackOff"),)),
        "NameLookupFails",
        "payments",
    ),
    "command that is not in the image": (
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
        "payments",
    ),
    "job that fails": (
        told(
            "JobFailed",
            lines={"error-lines": 6},
            events=(event("BackoffLimitExceeded", "Job has reached the specified backoff limit", "Job/payments"),),
        ),
        "JobFails",
        "payments",
    ),
    "process that gives up": (
        told("CrashLoop", pods=(pod(ready=False, waiting_reason="CrashLoopBackOff", waiting_message="back-off"),)),
        "CrashOnStart",
        "payments",
    ),
    "limit that a rollout has lowered": (
        told(
            "OOMKilled",
            changes=(rollout(ONSET - 5).model_copy(update={"summary": "memory limit 128Mi -> 7Mi"}),),
            pods=(pod(restarts=1, last_termination_reason="OOMKilled", last_termination_at=at(ONSET)),),
        ),
        "MemoryLimitLowered",
        "payments",
    ),
    "kill after a rollout that raised the limit": (
        told(
            "OOMKilled",
            changes=(rollout(ONSET - 5).model_copy(update={"summary": "memory limit 64Mi -> 128Mi"}),),
            pods=(pod(restarts=1, last_termination_reason="OOMKilled", last_termination_at=at(ONSET)),),
        ),
        "SuddenAllocation",
        "payments",
    ),
    "allocation between two samples, and requests that are repeated after the kill": (
        told(
            "OOMKilled",
            traffic=BeforeAfter(8.0, 14.0, "q"),
            pods=(pod(restarts=1, last_termination_reason="OOMKilled", last_termination_at=at(ONSET)),),
        ),
        "SuddenAllocation",
        "payments",
    ),
    "load": (
        told(
            "HighLatency",
            traffic=BeforeAfter(8.0, 30.0, "q"),
            measured={"cpu-near-limit": (0.3, 0.98), "own-latency-rose": (0.02, 0.9)},
        ),
        "TrafficGrowth",
        "payments",
    ),
}
