"""Services with nobody behind them, and pods that are not ready."""

from __future__ import annotations

from tests.unit.analysis.rca.faults.shop import (
    CHECKOUT,
    DEAD,
    FAILING,
    OLD_POD,
    SERVICE,
    Fault,
    event,
    looping,
    rolled_out,
    scaling,
    service,
    told,
    workloads,
)
from tests.unit.analysis.rca.world import pod

LIVENESS = (
    event("Unhealthy", 'Liveness probe failed: Get "http://10.0.0.7:8080/healthz": context deadline exceeded'),
    event("Killing", "Container payments failed liveness probe, will be restarted"),
    event("BackOff", "Back-off restarting failed container payments in pod"),
)
READINESS = event("Unhealthy", 'Readiness probe failed: Get "http://10.0.0.7:8080/readyz": context deadline exceeded')

FAULTS = {
    "scaled to zero": Fault(
        told("ScaledToZero", workloads=workloads(0), services=(service(ready=0),), changes=(scaling(),), pods=()),
        "ScaledToZero",
    ),
    "scaled to zero, seen as a Service without endpoints": Fault(
        told(
            "ZeroEndpoints",
            target=SERVICE,
            workloads=workloads(0),
            services=(service(ready=0),),
            changes=(scaling(),),
            pods=(),
        ),
        "ScaledToZero",
    ),
    "scaled to zero, seen by a caller": Fault(
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
    ),
    "workload that was deleted": Fault(
        told(
            "ZeroEndpoints",
            target=SERVICE,
            services=(service(ready=0, matches=()),),
            neighbour_events=(event("Killing", "Stopping container payments", "Pod/payments-7d-x2x4z"),),
            pods=(),
        ),
        "WorkloadDeleted",
    ),
    "workload that was deleted, seen by a caller": Fault(
        told(
            "HighErrorRate",
            target=CHECKOUT,
            upstream=DEAD,
            upstream_errors=DEAD,
            services=(service(ready=0, matches=()),),
            neighbour_events=(event("Killing", "Stopping container payments", "Pod/payments-7d-x2x4z"),),
            measured={"own-errors-rose": (0.0, 1.0)},
        ),
        "WorkloadDeleted",
    ),
    "another workload that was deleted meanwhile": Fault(
        told(
            "HighErrorRate",
            lines={"error-lines": 40},
            neighbour_events=(event("Killing", "Stopping container report", "Pod/report-7d-x2x4z"),),
            measured={"own-errors-rose": (0.0, 0.6)},
        ),
        "InternalErrors",
    ),
    "selector that matches nothing": Fault(
        told("ZeroEndpoints", target=SERVICE, services=(service(ready=0, matches=()),)), "SelectorMismatch"
    ),
    "Service that leads to a port without a listener, seen by a caller": Fault(
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
    ),
    "Service that was deleted, seen by a caller": Fault(
        told(
            "HighErrorRate",
            target=CHECKOUT,
            upstream_errors=FAILING,
            services=(service("checkout", matches=(CHECKOUT,)),),
            measured={"own-errors-rose": (0.0, 1.0)},
            lines={"name-lookup-fails": 300, "upstream-error-lines": 300, "error-lines": 300},
        ),
        "ServiceMissing",
    ),
    "pods that are not ready": Fault(
        told(
            "ZeroEndpoints",
            target=SERVICE,
            services=(service(ready=0, not_ready=2),),
            pods=(pod(ready=False),),
            events=(event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"),),
        ),
        "ProbeFailing",
    ),
    "liveness probe that ends what is only slow": Fault(
        told("CrashLoop", pods=(looping(),), events=LIVENESS, services=(service(ready=0, not_ready=1),)), "ProbeFailing"
    ),
    "readiness probe that times out": Fault(
        told(
            "ZeroEndpoints",
            target=SERVICE,
            pods=(pod(ready=False),),
            events=(READINESS,),
            services=(service(ready=0, not_ready=1),),
        ),
        "ProbeFailing",
    ),
    "liveness probe that a rollout made too strict": Fault(
        told("CrashLoop", pods=(looping(),), events=LIVENESS, changes=(rolled_out("livenessProbe changed"),)),
        "BadRollout",
    ),
    "readiness probe that a rollout made too strict": Fault(
        told(
            "NotReady",
            pods=(OLD_POD, pod(ready=False)),
            events=(READINESS,),
            changes=(rolled_out("readinessProbe changed"),),
        ),
        "BadRollout",
    ),
}
