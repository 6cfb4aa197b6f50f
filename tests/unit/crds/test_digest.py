"""S4: what was approved differs in one byte from what would run, and does not run."""

from __future__ import annotations

import copy
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.digest import (
    ACTION_ID_ANNOTATION,
    RESTARTED_AT_ANNOTATION,
    action_id,
    canonical_json,
    plan_digest,
    target_digest,
)
from crds.v1alpha1.grants import grant_object_name, grant_resource_name
from tests.fakes.chain import deployment, plan_spec, restart, scale
from tests.fakes.workloads import OLD, POD, pause, replica_set, restart_pod, restart_set, rollback, scale_set


def plan(*actions: Any, uid: str = "11111111-2222-3333-4444-555555555555") -> ActionPlan:
    return ActionPlan.from_wire(
        {"metadata": {"name": "p-1", "namespace": "shop", "uid": uid}, "spec": plan_spec(*actions).to_wire()}
    )


def test_golden_digest() -> None:
    """A change of this value voids every approval in flight: bump FORMAT and say so in the changelog."""
    assert plan_digest(plan(), {"restart": deployment()}) == GOLDEN_RESTART
    assert plan_digest(plan(scale(3)), {"scale": deployment()}) == GOLDEN_SCALE


def test_golden_action_id_and_grants() -> None:
    identity = action_id("11111111-2222-3333-4444-555555555555", restart())
    assert identity == GOLDEN_ACTION
    assert grant_resource_name(restart(), identity) == f"restart.payments.{identity}"
    assert grant_resource_name(scale(3), identity) == f"scale.payments.3.{identity}"
    assert grant_object_name(identity) == f"iirp-grant-{identity}"
    assert grant_resource_name(restart_set("StatefulSet"), identity) == f"restart-statefulset.db.{identity}"
    assert grant_resource_name(restart_set("DaemonSet"), identity) == f"restart-daemonset.agent.{identity}"
    assert grant_resource_name(scale_set(4), identity) == f"scale-statefulset.db.4.{identity}"
    assert grant_resource_name(rollback(), identity) == f"rollback.payments.{OLD}.{identity}"
    assert grant_resource_name(pause(), identity) == f"pause.payments.{identity}"
    assert grant_resource_name(restart_pod(), identity) == f"delete-pod.{POD}.uid-pods-shop-{POD}"


@pytest.mark.parametrize(
    ("change", "voids"),
    [
        (lambda d, rs: d["spec"]["template"]["spec"]["containers"][0].update(image="x"), True),
        (lambda d, rs: d["metadata"].update(uid="another"), True),
        (lambda d, rs: rs["spec"]["template"]["spec"]["containers"][0].update(image="x"), True),
        (lambda d, rs: rs["metadata"].update(uid="another"), True),
        (lambda d, rs: d["spec"].update(replicas=9), False),
        (lambda d, rs: rs["spec"].update(replicas=9), False),
        (lambda d, rs: rs["metadata"]["annotations"].update({"deployment.kubernetes.io/revision": "9"}), False),
    ],
)
def test_a_rollback_is_about_both_templates(change: Any, voids: bool) -> None:
    body, kept = deployment(), replica_set()
    before = target_digest(rollback(), {**body, "related": {"replicaSet": kept}})
    change(body, kept)
    assert (target_digest(rollback(), {**body, "related": {"replicaSet": kept}}) != before) is voids
    assert target_digest(rollback(), body) != before, "without the ReplicaSet it is another digest"


def test_action_ids_differ_between_plans_and_actions() -> None:
    ids = {action_id(uid, restart(action_id=name)) for uid in ("u1", "u2") for name in ("a", "b")}
    assert len(ids) == 4


@pytest.mark.parametrize(
    ("path", "value", "voids_restart", "voids_scale"),
    [
        (("spec", "template", "spec", "containers", 0, "image"), "shop:v1.10", True, False),
        (("spec", "template", "spec", "containers", 0, "env", 0, "value"), "1", True, False),
        (("spec", "template", "metadata", "labels", "app"), "other", True, False),
        (("metadata", "uid"), "another", True, True),
        (("spec", "replicas"), 5, False, True),
        (("spec", "template", "metadata", "creationTimestamp"), None, False, False),
        (("metadata", "resourceVersion"), "99", False, False),
        (("metadata", "labels"), {"team": "x"}, False, False),
        (("status", "availableReplicas"), 0, False, False),
    ],
)
def test_what_of_the_live_target_counts(
    path: tuple[Any, ...], value: Any, voids_restart: bool, voids_scale: bool
) -> None:
    changed = deployment()
    place: Any = changed
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    for action, voids in ((restart(), voids_restart), (scale(3), voids_scale)):
        assert (target_digest(action, changed) != target_digest(action, deployment())) is voids


def test_our_own_restart_does_not_void() -> None:
    """With and without other annotations, a restart leaves the digest as it was."""
    for others in ({}, {"prometheus.io/scrape": "true"}):
        before = deployment()
        if others:
            before["spec"]["template"]["metadata"]["annotations"] = dict(others)
        after = copy.deepcopy(before)
        marks = {ACTION_ID_ANNOTATION: "act-1", RESTARTED_AT_ANNOTATION: "2026-01-01T00:00:00Z"}
        after["spec"]["template"]["metadata"]["annotations"] = others | marks
        assert target_digest(restart(), before) == target_digest(restart(), after)


def test_another_template_annotation_voids() -> None:
    after = deployment()
    after["spec"]["template"]["metadata"]["annotations"] = {"checksum/config": "1"}
    assert target_digest(restart(), deployment()) != target_digest(restart(), after)


def test_absent_replicas_mean_one() -> None:
    one, absent = deployment(replicas=1), deployment(replicas=1)
    del absent["spec"]["replicas"]
    assert target_digest(scale(3), one) == target_digest(scale(3), absent)


def test_key_order_does_not_matter() -> None:
    assert canonical_json({"b": 1, "a": [{"d": "é", "c": None}]}) == '{"a":[{"c":null,"d":"é"}],"b":1}'.encode()


def test_a_missing_target_has_a_digest_of_its_own() -> None:
    assert plan_digest(plan(), {"restart": None}) != plan_digest(plan(), {"restart": deployment()})


ALPHABET = string.ascii_letters + string.digits


def strings_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all non-empty strings."""
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in strings_in(item, (*path, key))]
    if isinstance(value, list):
        return [found for index, item in enumerate(value) for found in strings_in(item, (*path, index))]
    return [path] if isinstance(value, str) and value else []


def mutate(body: Any, path: tuple[Any, ...], index: int, letter: str) -> bool:
    place = body
    for part in path[:-1]:
        place = place[part]
    text = place[path[-1]]
    position = index % len(text)
    place[path[-1]] = text[:position] + letter + text[position + 1 :]
    return bool(place[path[-1]] != text)


@settings(max_examples=400, deadline=None)
@given(st.data(), st.integers(0, 200), st.sampled_from(ALPHABET))
def test_one_changed_byte_of_the_template_changes_the_digest(data: st.DataObject, index: int, letter: str) -> None:
    body = deployment()
    path = data.draw(st.sampled_from(strings_in(body["spec"]["template"], ("spec", "template"))))
    changed = mutate(body, path, index, letter)
    assert (target_digest(restart(), body) != target_digest(restart(), deployment())) is changed


@settings(max_examples=400, deadline=None)
@given(st.data(), st.integers(0, 200), st.sampled_from("0123456789abcdefXYZ"))
def test_one_changed_byte_of_the_plan_changes_the_digest(data: st.DataObject, index: int, letter: str) -> None:
    wire = plan_spec(restart(), scale(3)).to_wire()
    paths = [path for path in strings_in(wire) if path[-1] not in ("type", "kind", "apiVersion", "id", "causeKind")]
    changed = mutate(wire, data.draw(st.sampled_from(paths)), index, letter)
    metadata = {"name": "p-1", "namespace": "shop", "uid": "u"}
    live = {"restart": deployment(), "scale": deployment()}
    original = ActionPlan.from_wire({"metadata": metadata, "spec": plan_spec(restart(), scale(3)).to_wire()})
    try:
        other = ActionPlan.from_wire({"metadata": metadata, "spec": wire})
    except ValueError:
        return  # not a plan that the API server would hold
    assert (plan_digest(other, live) != plan_digest(original, live)) is changed


GOLDEN_RESTART = "sha256:ce87fbf2cf5ff1bed10ee59f65eb65ac1dd67ca805e1e1cfa313c6b20d8db6d2"
GOLDEN_SCALE = "sha256:21cc36ccba93f91b9aa2539d8063d202d32fb9ad7330a29f3b683375d6e00be3"
GOLDEN_ACTION = "act-458412980330c9dc"
