"""A Service that selects nothing, or somebody else's pods."""

from __future__ import annotations

import pytest

from analysis.contract import WorkloadState
from crds.v1alpha1.base import TargetRef
from tests.unit.analysis.rca.faults.shop import CHECKOUT, FAILING, explained, service, told, workloads
from tests.unit.analysis.rca.world import TARGET

CATALOGUE = TargetRef(kind="Deployment", namespace="shop", name="catalogue", uid="uid-catalogue")
GREEN = TargetRef(kind="Deployment", namespace="shop", name="payments-green", uid="uid-green")
ALL = (*workloads(), WorkloadState(target=CATALOGUE, replicas=1, ready=1))


@pytest.mark.parametrize(
    ("matches", "all_workloads", "others", "first"),
    [
        pytest.param(
            (CATALOGUE,), ALL, (service("catalogue", 1, 0, (CATALOGUE,)),), "SelectorMismatch", id="elsewhere"
        ),
        pytest.param((), ALL, (), "SelectorMismatch", id="nowhere"),
        pytest.param((TARGET,), ALL, (), "DependencyFailing", id="right"),
        pytest.param(
            (GREEN,),
            (*workloads(), WorkloadState(target=GREEN, replicas=1, ready=1)),
            (),
            "DependencyFailing",
            id="another colour of the same, which no Service has for its own",
        ),
        pytest.param(
            (CATALOGUE,),
            ALL,
            (service("catalogue", 1, 0, (CATALOGUE,)), service("payments-v2", 1, 0, (TARGET,))),
            "DependencyFailing",
            id="its workload is reached by another name",
        ),
    ],
)
def test_a_service_that_sends_elsewhere_is_the_cause(
    matches: tuple[TargetRef, ...], all_workloads: tuple[WorkloadState, ...], others: tuple, first: str
) -> None:
    given = told(
        "HighErrorRate",
        target=CHECKOUT,
        upstream_errors=FAILING,
        workloads=all_workloads,
        services=(service("payments", 1, 0, matches), *others),
        measured={"own-errors-rose": (0.0, 1.0)},
    )
    report = explained(given).root_causes
    assert report[0].kind == first
    if first == "SelectorMismatch":
        assert (report[0].target.kind, report[0].target.name) == ("Service", "payments")
