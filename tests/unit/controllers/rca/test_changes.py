from __future__ import annotations

from analysis.contract import Change, ChangeKind
from controllers.rca.changes import changes_of
from crds.v1alpha1.base import Window
from tests.unit.controllers.incident.builders import TARGET, at
from tests.unit.controllers.rca.workload import deployment, managed, replica_set

WINDOW = Window(start=at(-1800), end=at(0))


def run(body: dict[str, object], *sets: dict[str, object]) -> tuple[Change, ...]:
    return changes_of(TARGET, body, sets, WINDOW)


def test_a_rollout_says_what_changed_when_and_by_whom() -> None:
    body = deployment(
        managed=[managed("argocd", -106, {"f:template": {}}), managed("kubectl", -9000, {"f:template": {}})]
    )
    (change,) = run(body, replica_set(6, "pay:v1.8", at(-9000)), replica_set(7, "pay:v1.9", at(-105)))
    assert change.kind is ChangeKind.ROLLOUT
    assert (change.revision, change.actor, change.at) == ("7", "argocd", at(-105))
    assert change.summary == "image v1.8 -> v1.9"
    assert change.reference.endswith("/replicasets/payments-7")


def test_only_the_window_counts_and_the_order_is_that_of_time() -> None:
    sets = [replica_set(n, f"pay:v{n}", at(-4000 + n * 1000)) for n in (3, 1, 2)]
    assert [item.revision for item in run(deployment(), *sets)] == ["3"]


def test_a_rollback_is_dated_by_the_deployment_and_named_as_such() -> None:
    body = deployment(progressed=at(-50))
    changes = run(body, replica_set(7, "pay:v1.9", at(-900)), replica_set(8, "pay:v1.8", at(-9000)))
    assert changes[-1].at == at(-50)
    assert changes[-1].summary == "rolled back to an earlier template: image v1.9 -> v1.8"


def test_the_oldest_kept_revision_is_a_change_only_if_it_was_the_first() -> None:
    assert run(deployment(), replica_set(6, "pay:v1.8", at(-100))) == ()
    (born,) = run(deployment(created=-101), replica_set(1, "pay:v1.8", at(-100)))
    assert born.summary == "created"


def test_scaling_through_the_subresource_is_a_change_and_a_full_apply_is_not() -> None:
    hpa = managed("kube-controller-manager", -60, {"f:replicas": {}}, subresource="scale")
    full = managed("kubectl", -50, {"f:replicas": {}, "f:template": {}})
    (change,) = run(deployment(managed=[hpa, full]))
    assert (change.kind, change.actor, change.summary) == (
        ChangeKind.SCALE,
        "kube-controller-manager",
        "replicas set to 2",
    )


def test_a_revision_that_is_no_number_hides_no_other_change() -> None:
    odd = replica_set(7, "pay:v1.9", at(-105))
    odd["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "\u00b2"
    hpa = managed("kube-controller-manager", -60, {"f:replicas": {}}, subresource="scale")
    assert [change.kind for change in run(deployment(managed=[hpa]), odd)] == [ChangeKind.SCALE]
