"""A quiet shop as `/v1/rca` sees it, and what can be told of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from analysis.config import DATA_ROOT
from analysis.contract import Change, ChangeKind, EventFact, PodState, RcaResponse, ServiceState, WorkloadState
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
        "client-errors-rose": (0.0, 0.0),
        "server-errors-rose": (0.0, 0.0),
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


def rolled_out(summary: str, second: float = ONSET - 40) -> Change:
    return rollout(second).model_copy(update={"summary": summary})


def looping(**changes) -> PodState:
    return pod(
        ready=False, restarts=5, waiting_reason="CrashLoopBackOff", waiting_message="back-off 40s restarting", **changes
    )


SLOW = {"payments": BeforeAfter(0.03, 1.9, "q"), "catalogue": BeforeAfter(0.02, 0.02, "q")}
FAILING = {"payments": BeforeAfter(0.0, 0.4, "q")}
DEAD = {"payments": BeforeAfter(0.0, 1.0, "q")}
ERRORS = {"own-errors-rose": (0.0, 0.9)}
OLD_POD = pod(name="payments-5f6c7d8e9f-zzzzz", uid="o")
KILLED = pod(restarts=3, last_termination_reason="OOMKilled", last_termination_at=at(ONSET))
TOO_BIG = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available"


class Fault(NamedTuple):
    """What is known of a fault, and the cause that has to be named first: its kind, and the name of its target."""

    facts: Facts
    kind: str
    target: str = "payments"
