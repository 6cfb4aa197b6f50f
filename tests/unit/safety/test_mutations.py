"""S4: an approved plan that differs in one field from what was approved does not run. 1,000 generated differences."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, event, given, reject, seed, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from controllers.kube.resources import DEPLOYMENTS
from crds.v1alpha1.actionplan import ActionPlan
from tests.fakes.chain import NS, PLAN, Clock, deployment, ready_plan, restart, scale
from tests.fakes.workloads import look, pause, restart_pod, restart_set, rollback, scale_set
from tests.unit.controllers.execution.world import World, run
from tests.unit.safety.amount import amount

PLANS = {
    "restart": (restart(),),
    "scale": (scale(3),),
    "scale-then-restart": (scale(3), restart()),
    "rollback": (rollback(),),
    "pause": (pause(),),
    "run-job": (look(),),
    "restart-pod": (restart_pod(),),
    "restart-statefulset": (restart_set("StatefulSet"),),
    "restart-daemonset": (restart_set("DaemonSet"),),
    "scale-statefulset": (scale_set(2),),
}
TYPES = ["RestartDeployment", "ScaleDeployment", "Rollback"]
WORDS = ["", "checkout", "payments", "db", "agent", NS, "kube-system", *TYPES]
UIDS = [f"uid-deployments-{NS}-checkout", f"uid-deployments-{NS}-payments", "x"]
Path = tuple[str | int, ...]


def prepared(name: str) -> tuple[World, Clock]:
    """An approved plan, its targets, and a second Deployment that somebody might like to be meant instead."""
    clock = Clock()
    world = World(clock)
    ready_plan(world, *PLANS[name])
    world.add_raw(DEPLOYMENTS, deployment("checkout"))
    return world, clock


def paths(value: Any, prefix: Path = ()) -> Iterator[Path]:
    """Every field and every entry, inner ones included."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*prefix, key)
        yield from paths(inner, (*prefix, key))


def at(body: Any, path: Path) -> Any:
    for key in path:
        body = body[key]
    return body


@st.composite
def changed(draw: st.DrawFn, value: Any) -> Any:
    """Another value of the same kind, or none at all."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return draw(st.integers(-1, 60).filter(lambda n: n != value))
    if isinstance(value, str):
        position = draw(st.integers(0, max(0, len(value) - 1)))
        near = [value[:position] + "x" + value[position + 1 :], value + "x", value[:-1], value.upper(), value + " "]
        return draw(st.sampled_from([word for word in [*near, *WORDS, *UIDS] if word != value]))
    if isinstance(value, list):
        return draw(st.sampled_from([[], value * 2, value[::-1] + value[:1]]))
    return draw(st.sampled_from([{}, {**value, "name": "checkout"}, {**value, "extra": "x"}]))


@cache
def approved(name: str) -> dict[str, Any]:
    """The plan as stored."""
    body: dict[str, Any] = prepared(name)[0].objects["actionplans", NS, PLAN]
    return body


@st.composite
def mutants(draw: st.DrawFn) -> tuple[str, str, dict[str, Any]]:
    """Which plan, what was changed, and the plan afterwards."""
    name = draw(st.sampled_from(sorted(PLANS)))
    body = copy.deepcopy(approved(name))
    part = {"spec": body["spec"], "metadata": {"uid": body["metadata"]["uid"]}}
    path = draw(st.sampled_from(list(paths(part))).filter(lambda found: found[0] != found[-1]))
    holder, last = at(body, path[:-1]), path[-1]
    if draw(st.integers(0, 3)) == 0 and isinstance(holder, dict) and last != "uid":
        del holder[last]
        return name, f"without {path}", body
    holder[last] = draw(changed(holder[last]))
    return name, f"{path} = {holder[last]!r}", body


@pytest.mark.parametrize("name", PLANS)
def test_s4_unchanged_it_runs(name: str) -> None:
    world, clock = prepared(name)
    for _ in range(8):
        run(world, clock)
    assert world.effects, "else the refusals below would prove nothing"


@seed(4)
@settings(max_examples=amount(1000), deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(mutants())
def test_s4_changed_in_one_field_it_does_not_run(mutant: tuple[str, str, dict[str, Any]]) -> None:
    name, what, body = mutant
    world, clock = prepared(name)
    before = world.get(ActionPlan, NS, PLAN)
    try:
        after = ActionPlan.from_wire(body)
    except (ValidationError, ValueError):
        reject()  # the client refuses to read it at all
    # A field that says what was the default already is the same plan in other words.
    assume((after.spec, after.metadata.uid) != (before.spec, before.metadata.uid))
    event(name)
    world.objects["actionplans", NS, PLAN] = body
    for _ in range(2):
        run(world, clock)
    assert world.effects == [], what
