"""Rollouts of StatefulSets and DaemonSets are told like a Deployment's, from the ControllerRevisions that they keep."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.contract import Change, ChangeKind
from controllers.rca.changes import changes_of
from controllers.rca.revisions import revision_of
from crds.v1alpha1.base import Window
from tests.unit.controllers.detection.pods import pod
from tests.unit.controllers.incident.builders import TARGET, at
from tests.unit.controllers.rca.workload import controller_revision, deployment, managed

WINDOW = Window(start=at(-1800), end=at(0))
KINDS = pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])


def run(kind: str, body: dict[str, Any], *kept: dict[str, Any]) -> tuple[Change, ...]:
    return changes_of(TARGET.model_copy(update={"kind": kind}), body, kept, WINDOW)


@KINDS
def test_a_rollout_says_what_changed_when_and_by_whom(kind: str) -> None:
    body = deployment(managed=[managed("argocd", -106, {"f:template": {}})])
    (change,) = run(
        kind, body, controller_revision(11, "pay:v1.9", at(-105)), controller_revision(9, "pay:v1.8", at(-9000))
    )
    assert (change.kind, change.target.kind) == (ChangeKind.ROLLOUT, kind)
    assert (change.revision, change.previous_revision, change.actor, change.at) == ("11", "9", "argocd", at(-105))
    assert change.summary == "image v1.8 -> v1.9"
    assert change.reference == "/apis/apps/v1/namespaces/shop/controllerrevisions/payments-11"
    assert change.previous_reference.endswith("/controllerrevisions/payments-9")


@KINDS
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"env": [{"name": "DB_HOST", "value": "db-2"}]}, "env DB_HOST added (db-2)"),
        ({"resources": {"limits": {"memory": "64Mi"}}}, "memory limit none -> 64Mi"),
        ({"command": ["/bin/nothing"]}, "command changed"),
    ],
)
def test_what_else_a_rollout_may_change(kind: str, fields: dict[str, Any], words: str) -> None:
    kept = controller_revision(1, "pay:v1", at(-9000)), controller_revision(2, "pay:v1", at(-60), **fields)
    assert [one.summary for one in run(kind, deployment(), *kept)] == [words]


@KINDS
def test_a_rollback_is_dated_by_when_the_revision_got_its_number(kind: str) -> None:
    """Kubernetes keeps one ControllerRevision for each template, and gives it the newest number when it comes back."""
    before = controller_revision(8, "pay:v1.8", at(-9000), numbered=at(-50))
    changes = run(kind, deployment(), controller_revision(7, "pay:v1.9", at(-900)), before)
    assert (changes[-1].revision, changes[-1].at) == ("8", at(-50))
    assert changes[-1].summary == "rolled back to an earlier template: image v1.9 -> v1.8"


@KINDS
def test_the_first_revision_is_a_creation(kind: str) -> None:
    (born,) = run(kind, deployment(created=-101), controller_revision(1, "pay:v1.8", at(-100)))
    assert born.summary == "created"


def test_the_scaling_of_a_stateful_set_is_read_from_itself() -> None:
    scaled = managed("kubectl", -60, {"f:replicas": {}}, subresource="scale")
    (change,) = run("StatefulSet", deployment(managed=[scaled]))
    assert change.reference == "/apis/apps/v1/namespaces/shop/statefulsets/payments"


def _with(container: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [container]}}}}


@pytest.mark.parametrize(
    "data",
    [
        None,
        "a text",
        {},
        {"spec": []},
        {"spec": {"template": {"metadata": {"annotations": ["x"]}, "spec": {"containers": []}}}},
        {"spec": {"template": {"spec": {"containers": {"name": "app"}}}}},
        _with("app"),
        _with({"image": "pay:v9"}),
        _with({"name": ["app"]}),
        _with({"name": "app", "image": 9}),
        _with({"name": "app", "env": [7]}),
        _with({"name": "app", "env": {"name": "A"}}),
        _with({"name": "app", "resources": {"limits": "64Mi"}}),
    ],
)
def test_data_that_hold_no_pod_template_are_no_revision(data: Any) -> None:
    """The API server takes any data, and any owner, from whoever may create a ControllerRevision."""
    odd = controller_revision(12, "pay:v9", at(-50)) | {"data": data}
    kept = controller_revision(11, "pay:v1.9", at(-105)), controller_revision(10, "pay:v1.8", at(-9000))
    assert [one.revision for one in run("StatefulSet", deployment(), *kept, odd)] == ["11"]


@pytest.mark.parametrize("number", [None, 0, -1, "²", 10**30, True])
def test_a_number_that_is_none_hides_no_other_change(number: Any) -> None:
    odd = controller_revision(12, "pay:v9", at(-50)) | {"revision": number}
    kept = controller_revision(11, "pay:v1.9", at(-105)), controller_revision(10, "pay:v1.8", at(-9000))
    assert [one.revision for one in run("StatefulSet", deployment(), *kept, odd)] == ["11"]


@pytest.mark.parametrize(
    ("owner", "label", "name"),
    [
        (("ReplicaSet", "payments-5f"), "", "payments-5f"),
        (("StatefulSet", "payments"), "payments-7c9d8f6b5d", "payments-7c9d8f6b5d"),
        (("DaemonSet", "payments"), "7c9d8f6b5d", "payments-7c9d8f6b5d"),
        (("DaemonSet", "payments"), "", ""),
        (("Job", "payments"), "", ""),
        (None, "", ""),
    ],
)
def test_a_pod_says_which_revision_it_was_made_from(owner: tuple[str, str] | None, label: str, name: str) -> None:
    body = pod(owner=owner)
    body["metadata"]["labels"] = {"controller-revision-hash": label} if label else {}
    assert revision_of(body) == name
