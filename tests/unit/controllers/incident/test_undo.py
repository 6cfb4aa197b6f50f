"""A rollout that stalled is taken back by a plan of its own, which policy and people decide about; once."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.incident.chain import chain_of
from controllers.incident.decide import NewPlan, decide
from crds.v1alpha1.actionplan import ActionPlan, PlanState
from crds.v1alpha1.actions import Action, ActionType, RollbackParameters, ScaleParameters
from crds.v1alpha1.base import LocalRef
from crds.v1alpha1.execution import ActionPhase, ActionResult, Undo
from tests.unit.controllers.incident.builders import at, incident, plan, report

INCIDENT = incident()
ME = "system:serviceaccount:iirp-system:iirp-incident"
SCALE = Undo(scale=ScaleParameters(replicas=2))
BACK = Undo(rollback=RollbackParameters(replica_set="payments-new", revision=7))


def ended(
    reason: str = "RolloutStalled", undo: Undo | None = SCALE, phase: ActionPhase = ActionPhase.FAILED, **spec: Any
) -> ActionPlan:
    """A plan of one action that ended so."""
    made = plan(PlanState.FAILED if phase is ActionPhase.FAILED else PlanState.EXECUTED, executed=phase)
    target = made.spec.actions[0].target
    kind = ActionType.ROLLBACK if undo == BACK else ActionType.SCALE_DEPLOYMENT
    parameters: dict[str, Any] = (
        {"rollback": RollbackParameters(replica_set="payments-old", revision=6)}
        if undo == BACK
        else {"scale": ScaleParameters(replicas=5)}
    )
    action = Action(id="first", type=kind, target=target, **parameters)
    done = ActionResult(id="first", action_id="act-1", phase=phase, reason=reason, started_at=at(50), undo=undo)
    assert made.status.execution is not None
    execution = made.status.execution.model_copy(update={"phase": phase, "reason": reason, "actions": [done]})
    return made.model_copy(
        update={
            "spec": made.spec.model_copy(update={"actions": [action], **spec}),
            "status": made.status.model_copy(update={"execution": execution, "verification": None}),
        }
    )


def created(failed: ActionPlan, *more: ActionPlan) -> NewPlan | None:
    new = decide(chain_of(INCIDENT, [report()], [failed, *more], []), at(100), ME).create
    assert new is None or isinstance(new, NewPlan)
    return new


@pytest.mark.parametrize(
    ("undo", "reason", "words"),
    [
        (SCALE, "RolloutStalled", "Undo: Scale deploy/payments to 2"),
        (BACK, "RolloutTimeout", "Undo: Roll back deploy/payments to revision 7"),
    ],
)
def test_what_stalled_is_taken_back_by_a_plan_like_any_other(undo: Undo, reason: str, words: str) -> None:
    failed = ended(reason, undo)
    new = created(failed)
    assert new is not None
    assert (new.spec.summary, new.spec.requested_by) == (words, ME)
    assert new.spec.undoes == failed.ref()
    (action,) = new.spec.actions
    assert (action.scale, action.rollback) == (undo.scale, undo.rollback)
    assert action.target == failed.spec.actions[0].target
    assert new.name.endswith("-2")


@pytest.mark.parametrize(
    "failed",
    [
        ended("Overwritten"),
        ended("TargetGone"),
        ended(undo=None),
        ended("RolledOut", phase=ActionPhase.SUCCEEDED),
        ended(undoes=LocalRef(name="payments-leak-abcde-0", uid="u0")),
    ],
    ids=["overwritten", "gone", "nothing can", "succeeded", "was an undo itself"],
)
def test_nothing_else_is(failed: ActionPlan) -> None:
    assert created(failed) is None


def test_it_is_asked_for_once() -> None:
    failed = ended()
    new = created(failed)
    assert new is not None
    second = plan(number=2, created=80)
    undoing = second.model_copy(update={"spec": new.spec})
    assert created(failed, undoing) is None
