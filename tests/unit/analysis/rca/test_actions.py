"""What is recommended against a cause, and when nothing is."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.contract import WorkloadState
from analysis.rca.actions import restart_pod
from tests.unit.analysis.rca.faults import FAULTS
from tests.unit.analysis.rca.faults.shop import (
    CHECKOUT,
    DEAD,
    event,
    explained,
    scaling,
    told,
    workloads,
)
from tests.unit.analysis.rca.world import ONSET, TARGET, pod, rollout


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
    best = explained(FAULTS[fault].facts).recommended_actions[0]
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
    found = explained(FAULTS["allocation between two samples, and requests that are repeated after the kill"].facts)
    assert "TrafficGrowth" in {one.kind for one in found.root_causes if not one.refuted}
    assert found.recommended_actions == ()
