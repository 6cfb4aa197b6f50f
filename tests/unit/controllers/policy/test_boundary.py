"""What changed since the revision that a rollback goes back to makes a person decide."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.kube.errors import Forbidden, KubeError
from controllers.kube.resources import CLAIMS, CONFIG_MAPS, CUSTOM_RESOURCE_DEFINITIONS, JOBS
from controllers.policy.boundary import Crossing, references
from tests.fakes.chain import NS
from tests.fakes.kube import FakeKube
from tests.fakes.workloads import OLD, rollback
from tests.unit.controllers.policy.test_action_types import World, decide_with

BEFORE, SINCE = "2026-01-02T01:00:00Z", "2026-01-02T02:30:00Z"
BORN, FOLLOWED = "2026-01-01T00:00:00Z", "2026-01-02T02:00:00Z"
HELM = {"meta.helm.sh/release-name": "shop"}


def prepare(kube: FakeKube) -> None:
    """deploy/payments of release shop, which names a ConfigMap, a Secret and a claim in both revisions."""
    deployment = kube.objects["deployments", NS, "payments"]
    deployment["metadata"]["annotations"].update(HELM)
    old, new = (kube.objects["replicasets", NS, name] for name in (OLD, "payments-7d9e"))
    old["metadata"]["creationTimestamp"], new["metadata"]["creationTimestamp"] = BORN, FOLLOWED
    for body in (deployment, old, new):
        spec = body["spec"]["template"]["spec"]
        spec["containers"][0]["envFrom"] = [{"configMapRef": {"name": "settings"}}]
        spec["volumes"] = [
            {"name": "tls", "secret": {"secretName": "tls"}},
            {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
        ]
    for resource, name in ((CONFIG_MAPS, "settings"), (CLAIMS, "data")):
        kube.add_raw(resource, body_of(name, BEFORE))


def body_of(name: str, at: str, **metadata: Any) -> dict[str, Any]:
    managed = [{"manager": "helm", "time": at}, {"manager": "controller", "time": SINCE, "subresource": "status"}]
    return {
        "metadata": {"name": name, "namespace": NS, "creationTimestamp": BORN, "managedFields": managed, **metadata},
        "spec": {},
    }


def template(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world["deployments", NS, "payments"]["spec"]["template"]["spec"]
    return found


def test_a_boundary_that_nothing_crossed_leaves_it_to_the_policies() -> None:
    assert decide_with(rollback(), prepare)[:2] == ("AutoLowRisk", "AllowedByPolicy")


CROSSED: dict[str, tuple[Any, str]] = {
    "a changed ConfigMap": (
        lambda kube: kube.add_raw(CONFIG_MAPS, body_of("settings", SINCE)),
        "ConfigMap settings changed at 2026-01-02 02:30:00Z",
    ),
    "a changed claim": (
        lambda kube: kube.add_raw(CLAIMS, body_of("data", SINCE)),
        "PersistentVolumeClaim data changed at 2026-01-02 02:30:00Z",
    ),
    "a ConfigMap that only the new revision names": (
        lambda kube: template(kube.objects)["containers"][0]["envFrom"].append({"configMapRef": {"name": "flags"}}),
        "ConfigMap flags is used by the present revision only",
    ),
    "a Secret that only the old one names": (
        lambda kube: template(kube.objects)["volumes"].pop(0),
        "Secret tls is used by the earlier revision only",
    ),
    "a migration by its name": (
        lambda kube: kube.add_raw(JOBS, body_of("payments-db-migrate-7", SINCE, creationTimestamp=SINCE)),
        "Job payments-db-migrate-7 ran since",
    ),
    "a migration by its hook": (
        lambda kube: kube.add_raw(
            JOBS, body_of("prepare", SINCE, creationTimestamp=SINCE, annotations={"helm.sh/hook": "pre-upgrade"})
        ),
        "Job prepare ran since",
    ),
    "a Job of the same release": (
        lambda kube: kube.add_raw(JOBS, body_of("prepare", SINCE, creationTimestamp=SINCE, annotations=HELM)),
        "Job prepare ran since",
    ),
    "a definition of the same release": (
        lambda kube: kube.add_raw(CUSTOM_RESOURCE_DEFINITIONS, body_of("carts.shop.io", SINCE, annotations=HELM)),
        "CustomResourceDefinition carts.shop.io changed since",
    ),
}


@pytest.mark.parametrize(("change", "message"), list(CROSSED.values()), ids=list(CROSSED))
def test_what_crossed_makes_a_person_decide(change: Any, message: str) -> None:
    def both(kube: FakeKube) -> None:
        prepare(kube)
        change(kube)

    tier, reason, told = decide_with(rollback(), both)
    assert (tier, reason) == ("HumanApproval", "ApprovalRequired")
    assert message in told
    assert "rollback-boundary" in told


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (1, "one 1"),
        (4, "one 1; one 2; one 3; one 4"),
        (5, "one 1; one 2; one 3; one 4; and 1 more"),
        (9, "one 1; one 2; one 3; one 4; and 5 more"),
    ],
)
def test_of_many_changes_the_first_four_are_told_and_the_rest_counted(number: int, told: str) -> None:
    assert Crossing(tuple(f"one {n}" for n in range(1, number + 1))).message() == told


NOT_CROSSED: dict[str, Any] = {
    "another namespace's ConfigMap": lambda kube: kube.add_raw(CONFIG_MAPS, body_of("others", SINCE)),
    "a backup Job": lambda kube: kube.add_raw(JOBS, body_of("backup-7", SINCE, creationTimestamp=SINCE)),
    "a migration of before": lambda kube: kube.add_raw(JOBS, body_of("migrate-6", BEFORE)),
    "our own diagnostic": lambda kube: kube.add_raw(
        JOBS, body_of("migrate", SINCE, creationTimestamp=SINCE, annotations={"iirp.io/action-id": "act-1"})
    ),
    "a definition of another release": lambda kube: kube.add_raw(
        CUSTOM_RESOURCE_DEFINITIONS, body_of("x.other.io", SINCE, annotations={"meta.helm.sh/release-name": "other"})
    ),
}


@pytest.mark.parametrize("change", list(NOT_CROSSED.values()), ids=list(NOT_CROSSED))
def test_what_has_nothing_to_do_with_it_does_not(change: Any) -> None:
    def both(kube: FakeKube) -> None:
        prepare(kube)
        change(kube)

    assert decide_with(rollback(), both)[0] == "AutoLowRisk"


@pytest.mark.parametrize("plural", ["configmaps", "persistentvolumeclaims", "jobs", "customresourcedefinitions"])
def test_what_cannot_be_read_makes_a_person_decide(plural: str) -> None:
    def blind(kube: FakeKube) -> None:
        prepare(kube)

        def fail(verb: str, kind: str, *_: str) -> KubeError | None:
            return Forbidden("Forbidden", "no") if kind == plural else None

        kube.fail = fail

    tier, _, told = decide_with(rollback(), blind)
    assert tier == "HumanApproval"
    assert "may not be read, so changes of it are not known" in told


def test_a_revision_that_could_not_start_is_refused() -> None:
    def gone(kube: FakeKube) -> None:
        prepare(kube)
        del kube.objects["configmaps", NS, "settings"]

    tier, reason, told = decide_with(rollback(), gone)
    assert (tier, reason) == ("Forbidden", "RevisionWouldNotStart")
    assert "needs ConfigMap settings" in told


def test_a_revision_that_was_taken_up_again_counts_from_its_own_birth() -> None:
    """The newer revision's ReplicaSet is older than that of the revision to go back to: its birth says nothing."""

    def reused(kube: FakeKube) -> None:
        prepare(kube)
        kube.objects["replicasets", NS, "payments-7d9e"]["metadata"]["creationTimestamp"] = "2025-12-01T00:00:00Z"

    assert "ConfigMap settings changed at 2026-01-02 01:00:00Z" in decide_with(rollback(), reused)[2]


def test_every_way_to_name_something_is_found() -> None:
    spec = {
        "volumes": [
            {"name": "a", "configMap": {"name": "cm-volume", "optional": True}},
            {"name": "b", "projected": {"sources": [{"configMap": {"name": "cm-p"}}, {"secret": {"name": "s-p"}}]}},
        ],
        "initContainers": [{"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "s-key"}}}]}],
        "containers": [
            {"envFrom": [{"secretRef": {"name": "s-env"}}]},
            {"env": [{"name": "Y", "valueFrom": {"configMapKeyRef": {"name": "cm-key"}}}, {"name": "Z", "value": "z"}]},
        ],
        "imagePullSecrets": [{"name": "pull"}],
    }
    found = references({"spec": spec})
    assert found.configs == {"cm-volume": False, "cm-p": True, "cm-key": True}
    assert found.secrets == {"s-p": True, "s-key": True, "s-env": True, "pull": False}
