"""Every fault that the demo can make, and some more: the first cause is the one that was put in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from analysis.config import DATA_ROOT
from analysis.contract import Change, ChangeKind, EventFact, NodeState, RcaResponse, ServiceState, WorkloadState
from analysis.rca.actions import restart_pod
from analysis.rca.catalogue import load_causes
from analysis.rca.facts import BeforeAfter, Counted, Facts, Measured
from analysis.rca.rank import shown
from analysis.rca.service import explain
from crds.v1alpha1.base import TargetRef
from tests.unit.analysis.rca.world import ONSET, POD, SIBLINGS, TARGET, at, facts, logs, memory, pod, request, rollout
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
    context = {name: given.pop(name) for name in ("upstream", "upstream_errors", "traffic") if name in given}
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


@pytest.mark.parametrize("fault", FAULTS)
def test_the_first_cause_is_the_fault(fault: str) -> None:
    given, kind, target = FAULTS[fault]
    first = explained(given).root_causes[0]
    assert (first.kind, first.target.name, first.refuted) == (kind, target, False), [
        (one.kind, one.confidence_percent, one.refuted) for one in explained(given).root_causes
    ]
    assert first.confidence_percent >= 40
    assert first.evidence
    assert first.refuters


@pytest.mark.parametrize("fault", FAULTS)
def test_alternatives_are_there_and_what_was_ruled_out_says_why(fault: str) -> None:
    others = explained(FAULTS[fault][0]).root_causes[1:]
    refuted = [one for one in others if one.refuted]
    assert [one.refuted for one in others] == sorted(one.refuted for one in others)
    assert all(any(refuter.refuted and refuter.result for refuter in one.refuters) for one in refuted)


REFUSED = event("Unhealthy", "Readiness probe failed: connection refused", second=ONSET - 80)
ERRORS = {"measured": {"own-errors-rose": (0.0, 0.3)}, "lines": {"error-lines": 40}}


@pytest.mark.parametrize(
    ("early", "ready", "there"),
    [(REFUSED, True, False), (REFUSED, False, True), (REFUSED.model_copy(update={"at": at(ONSET + 5)}), True, True)],
)
def test_a_pod_that_was_slow_to_start_before_the_onset_is_no_cause(
    early: EventFact, *, ready: bool, there: bool
) -> None:
    found = explained(told("HighErrorRate", events=(early,), pods=(pod(ready=ready),), **ERRORS))
    standing = {one.kind for one in found.root_causes if not one.refuted}
    assert ("ProbeFailing" in standing) is there


@pytest.mark.parametrize(
    ("unread", "kind"),
    [("configmaps", "ConfigChange"), ("networkpolicies", "NetworkPolicyChange"), ("resourcequotas", "QuotaExceeded")],
)
def test_what_the_platform_may_not_read_is_neither_claimed_nor_ruled_out(unread: str, kind: str) -> None:
    (cause,) = [one for one in CAUSES.causes if one.kind == kind]
    probes = {"config-changed", "network-policy-changed", "quota-changed"} & set(cause.probes())
    given = told("HighErrorRate", **ERRORS)
    for name in probes:
        assert CAUSES.run(name, given).answer is False
        assert (
            CAUSES.run(name, replace(given, request=given.request.model_copy(update={"unread": (unread,)}))).answer
            is None
        )
    assert probes


def test_what_could_not_be_looked_at_is_not_told_as_if_it_were_so() -> None:
    found = explained(replace(told("HighErrorRate", **ERRORS), measured={}))
    unseen = [one.summary for one in found.root_causes if not one.refuted and not one.evidence]
    assert unseen
    assert all("not excluded" in one for one in unseen)


@pytest.mark.parametrize(("standing", "refuted", "shown_refuted"), [(6, 3, 2), (4, 1, 1), (1, 9, 4), (7, 0, 0)])
def test_what_it_was_not_has_its_place_beside_what_it_may_be(standing: int, refuted: int, shown_refuted: int) -> None:
    one = explained(FAULTS["bad rollout"][0]).root_causes[0]
    found = shown([one] * standing, [one.model_copy(update={"refuted": True})] * refuted)
    assert len(found) == min(5, standing + refuted)
    assert [cause.refuted for cause in found[-shown_refuted or len(found) :]] == [True] * shown_refuted


@pytest.mark.parametrize("fault", FAULTS)
def test_the_same_facts_give_the_same_bytes(fault: str) -> None:
    assert explained(FAULTS[fault][0]).model_dump_json() == explained(FAULTS[fault][0]).model_dump_json()


def test_what_was_scaled_to_zero_is_scaled_back_to_what_it_was() -> None:
    message = "Scaled down replica set payments-7c9d8f6b5d from 3 to 0"
    (action,) = explained(
        told(
            "HighErrorRate",
            target=CHECKOUT,
            upstream_errors=DEAD,
            workloads=workloads(0),
            changes=(scaling(),),
            neighbour_events=(event("ScalingReplicaSet", message, "Deployment/payments", ONSET - 5),),
        )
    ).recommended_actions
    assert action.action.describe() == "Scale deploy/payments to 3"
    assert action.action.target.uid == TARGET.uid


@pytest.mark.parametrize("fault", ["bad rollout", "bad rollout that crashes", "bad image"])
def test_what_began_with_a_rollout_is_rolled_back_to_the_revision_before(fault: str) -> None:
    best = explained(FAULTS[fault][0]).recommended_actions[0]
    assert best.action.describe() == "Roll back deploy/payments to revision 6"
    assert best.action.rollback is not None
    assert best.action.rollback.replica_set == "payments-5f6c"
    assert best.action.target.uid == TARGET.uid


@pytest.mark.parametrize(
    ("claims", "asked"),
    [(("journal",), "journal"), ((), None), (("journal", "scratch"), None), (("x" * 129,), None)],
    ids=["one", "none", "which of two", "a name too long"],
)
def test_a_disk_that_fills_is_looked_into_where_it_is_clear_which(claims: tuple[str, ...], asked: str | None) -> None:
    full = {"volume-fills": (0.2, 0.8), "volume-nearly-full": (0.2, 0.8)}
    payments = WorkloadState(target=TARGET, replicas=2, ready=2, claims=claims)
    actions = explained(told("DiskFilling", measured=full, workloads=(payments,))).recommended_actions
    found = [one.action.job.claim for one in actions if one.action.job is not None]
    assert found == ([asked] if asked else [])


def test_without_a_revision_to_go_back_to_no_rollback_is_proposed() -> None:
    oldest = rollout(ONSET - 40).model_copy(update={"previous_revision": "", "previous_reference": ""})
    measured = {"own-errors-rose": (0.0, 0.3)}
    found = explained(told("HighErrorRate", measured=measured, lines={"error-lines": 40}, changes=(oldest,)))
    assert found.root_causes[0].kind == "BadRollout"
    assert all(one.action.rollback is None for one in found.recommended_actions)


def test_where_detection_saw_the_signals_point_counts_for_the_dependency() -> None:
    given = told("HighErrorRate", target=CHECKOUT, upstream_errors=FAILING)
    incident = given.request.incident.model_copy(update={"origin": TARGET})
    pointed = replace(given, request=given.request.model_copy(update={"incident": incident}))
    before, after = (explained(one).root_causes[0] for one in (given, pointed))
    assert (after.kind, after.target.name) == ("DependencyFailing", "payments")
    assert after.confidence_percent > before.confidence_percent
    assert "signals-point-elsewhere" in {one.id for one in after.evidence}


def test_a_type_that_no_cause_names_is_looked_at_by_all() -> None:
    assert explained(told("SomethingNew", upstream=SLOW, target=CHECKOUT)).root_causes[0].kind == "DependencySlow"


def test_merged_signals_bring_their_causes_along() -> None:
    given = told("ZeroEndpoints", target=TARGET)
    asked = given.request.model_copy(
        update={"incident": given.request.incident.model_copy(update={"signals": ("MemoryLeak",)})}
    )
    found = explained(replace(facts(asked), measured=given.measured))
    assert found.root_causes[0].kind == "MemoryLeak"


def test_when_nothing_fits_nothing_is_claimed() -> None:
    found = explained(
        told("HighErrorRate", target=CHECKOUT, upstream=SLOW | {"payments": BeforeAfter(0.03, 0.03, "q")})
    )
    assert all(one.refuted or one.confidence_percent < 15 for one in found.root_causes), [
        (one.kind, one.confidence_percent) for one in found.root_causes
    ]
    assert found.recommended_actions == ()


def test_missing_data_lowers_the_confidence() -> None:
    given = told("HighErrorRate", measured={"own-errors-rose": (0.0, 0.3)}, lines={"error-lines": 40})
    blind = replace(given, counted={}, logs=None)
    assert explained(blind).root_causes[0].confidence_percent < explained(given).root_causes[0].confidence_percent


@pytest.mark.parametrize(
    ("changes", "less"),
    [
        ((rollout(ONSET - 700),), "long before the onset"),
        (tuple(rollout(ONSET - 40 - 60 * n, str(12 - n)) for n in range(8)), "changes all the time"),
        ((rollout(ONSET - 40).model_copy(update={"summary": "annotations team changed"}),), "touched little"),
    ],
)
def test_a_change_that_says_less_is_blamed_less(changes: tuple[Change, ...], less: str) -> None:
    def confidence(*listed: Change) -> int:
        given = told("HighErrorRate", measured={"own-errors-rose": (0.0, 0.3)}, changes=listed)
        return next(one.confidence_percent for one in explained(given).root_causes if one.kind == "BadRollout")

    assert confidence(*changes) < confidence(rollout(ONSET - 40)), less


SICK = {"name": "payments-b", "uid": "b", "ready": False, "revision": "payments-7c9d"}


@pytest.mark.parametrize(
    ("pods", "restarted"),
    [
        ((pod(), pod(**SICK)), "payments-b"),
        ((pod(), pod(name="c", uid="c"), pod(**SICK)), "payments-b"),
        ((pod(**SICK),), ""),
        ((pod(ready=False), pod(**SICK)), ""),
        ((pod(), pod(name="c", uid="c")), ""),
        ((pod(), pod(**SICK | {"revision": ""})), ""),
        ((pod(), pod(**SICK | {"phase": "Pending"})), ""),
    ],
)
def test_one_sick_pod_of_several_is_restarted_alone(pods: tuple[Any, ...], restarted: str) -> None:
    found = restart_pod(told("HighErrorRate", pods=pods), TARGET)
    assert (found.target.name if found is not None else "") == restarted
    if found is not None and found.owner is not None:
        assert (found.target.uid, found.owner.name) == ("b", "payments-7c9d")


def test_where_nothing_helps_against_the_likely_cause_no_plan_is_made_against_another() -> None:
    found = explained(FAULTS["allocation between two samples, and requests that are repeated after the kill"][0])
    assert "TrafficGrowth" in {one.kind for one in found.root_causes if not one.refuted}
    assert found.recommended_actions == ()
