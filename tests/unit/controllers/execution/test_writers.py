"""Writers change between approval and dispatch: the executor asks again."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.kube.errors import Forbidden
from controllers.kube.resources import APPLICATIONS, HPAS
from crds.v1alpha1.execution import ActionPhase
from tests.fakes.chain import NS, scale
from tests.unit.controllers.arbitration.world import HEALS, TRACKED, application, entry, hpa
from tests.unit.controllers.execution.world import World, prepared, run, stored


def autoscaler(world: World) -> None:
    world.add_raw(HPAS, hpa() | {"metadata": {"name": "payments", "namespace": NS}})


def _delivered(world: World, body: Any) -> None:
    metadata = stored(world, "deployments", "payments")["metadata"]
    metadata |= {"annotations": TRACKED, "managedFields": [entry("argocd-controller")]}
    world.add_raw(APPLICATIONS, dict(body))


def argo_heals(world: World) -> None:
    _delivered(world, HEALS.body)


def argo_by_hand(world: World) -> None:
    _delivered(world, application().body)


@pytest.mark.parametrize("came", [autoscaler, argo_heals])
def test_a_writer_that_came_since_refuses_the_scale(came: Any) -> None:
    world, clock = prepared(scale(3))
    came(world)
    assert run(world, clock) == "Done"
    assert world.execution is not None
    assert (world.execution.phase, world.execution.reason) == (ActionPhase.REFUSED, "WouldBeReverted")
    assert world.effects == []


@pytest.mark.parametrize("came", [argo_by_hand])
def test_a_writer_that_leaves_it_alone_does_not(came: Any) -> None:
    world, clock = prepared(scale(3))
    came(world)
    run(world, clock)
    assert len(world.effects) == 1


def test_what_the_executor_may_not_read_was_a_persons_decision_and_stops_nothing() -> None:
    world, clock = prepared(scale(3))
    refuse = world.fail
    world.fail = lambda verb, plural, namespace, name: (
        Forbidden("Forbidden", "no") if plural == "scaledobjects" else refuse(verb, plural, namespace, name)
    )
    run(world, clock)
    assert len(world.effects) == 1


def test_our_own_scale_is_not_taken_for_somebody_elses() -> None:
    world, clock = prepared(scale(3))
    run(world, clock)
    run(world, clock)
    assert len(world.effects) == 1
