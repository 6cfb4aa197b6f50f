"""A plan in place of another one: what may be chosen for each action, and the object to create. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from analysis.web.reader import Chain
from crds import API_VERSION
from crds.v1alpha1 import rollout
from crds.v1alpha1.actionplan import ActionPlan, ActionPlanSpec
from crds.v1alpha1.actions import SHAPES, Action, ActionType
from crds.v1alpha1.clip import clip
from crds.v1alpha1.labels import INCIDENT_LABEL

__all__ = ["ProposalError", "Revision", "choices", "open_plan", "revisions", "superseding", "wanted"]

MAX_REVISIONS = 20


class ProposalError(ValueError):
    """What was asked for cannot be a plan; says why, for people."""


@dataclass(frozen=True, slots=True)
class Revision:
    """An earlier pod template of a Deployment."""

    number: int
    replica_set: str
    images: str

    @property
    def value(self) -> str:
        """As the form sends it."""
        return f"{self.number}/{self.replica_set}"


def choices(action: Action) -> tuple[ActionType, ...]:
    """Types for the same target; its own first. Those whose parameter nobody could fill in are left out."""
    shape = action.shape
    others = (
        kind
        for kind, other in SHAPES.items()
        if (other.api_version, other.kind) == (shape.api_version, shape.kind)
        and kind is not action.type
        and other.parameter in {"", "scale", "rollback"}
    )
    return (action.type, *others)


def revisions(replica_sets: Sequence[Mapping[str, Any]], deployment_uid: str) -> tuple[Revision, ...]:
    """Revisions of one Deployment that can be gone back to, newest first; the one that runs is left out."""
    found = []
    for body in replica_sets:
        metadata = body.get("metadata") or {}
        owners = {owner.get("uid") for owner in metadata.get("ownerReferences") or ()}
        if deployment_uid in owners and (number := rollout.revision(body)):
            containers = ((body.get("spec") or {}).get("template") or {}).get("spec", {}).get("containers") or ()
            images = ", ".join(str(one.get("image", "")).rsplit("/", 1)[-1] for one in containers)
            found.append(Revision(number, str(metadata.get("name")), images))
    return tuple(sorted(found, key=lambda one: one.number, reverse=True)[1 : MAX_REVISIONS + 1])


def open_plan(chain: Chain, name: str) -> ActionPlan:
    """The plan of that name, if another one may still take its place. Raises ProposalError."""
    plan = next((one for one in chain.plans if one.metadata.name == name), None)
    if plan is None:
        raise ProposalError(f"The incident has no plan {name}.")
    if plan.status.execution is not None:
        raise ProposalError(f"{name} has begun already; it cannot be changed any more.")
    newer = next(
        (p.metadata.name for p in chain.plans if p.spec.supersedes and p.spec.supersedes.uid == plan.metadata.uid), ""
    )
    if newer:
        raise ProposalError(f"{newer} has taken the place of {name} already.")
    return plan


def wanted(plan: ActionPlan, form: Mapping[str, str]) -> tuple[Action, ...]:
    """The actions as the form has them: ``type.ID``, ``replicas.ID``, ``revision.ID`` (``NUMBER/REPLICASET``).

    Raises:
        ProposalError: a value is not of its kind, or nothing has changed.
    """
    actions = tuple(_wanted(action, form) for action in plan.spec.actions)
    if actions == tuple(plan.spec.actions):
        raise ProposalError("That is what the plan says already.")
    return actions


def superseding(chain: Chain, plan: ActionPlan, actions: Sequence[Action], requested_by: str) -> dict[str, Any]:
    """The object to create: like ``plan``, with other actions, asked for by a person, who can then not approve it."""
    was, now = ("; ".join(action.describe() for action in some) for some in (plan.spec.actions, actions))
    spec = ActionPlanSpec(
        incident_ref=plan.spec.incident_ref,
        report_ref=plan.spec.report_ref,
        supersedes=plan.ref(),
        requested_by=requested_by,
        cause_kind=plan.spec.cause_kind,
        cause=plan.spec.cause,
        confidence_percent=plan.spec.confidence_percent,
        actions=list(actions),
        summary=clip(ActionPlanSpec, "summary", now),
        expected_impact=clip(ActionPlanSpec, "expected_impact", f"changed by {requested_by}; it was: {was}"),
    )
    incident = chain.incident.metadata
    owner = {
        "apiVersion": API_VERSION, "kind": "Incident", "name": incident.name, "uid": incident.uid,
        "controller": True, "blockOwnerDeletion": False,
    }  # fmt: skip
    metadata = {
        "name": _next_name(incident.name, chain.plans),
        "namespace": incident.namespace,
        "labels": {INCIDENT_LABEL: incident.name},
        "ownerReferences": [owner],
    }
    return {"apiVersion": API_VERSION, "kind": "ActionPlan", "metadata": metadata, "spec": spec.to_wire()}


def _wanted(action: Action, form: Mapping[str, str]) -> Action:
    chosen = form.get(f"type.{action.id}", action.type.value)
    if chosen not in {kind.value for kind in choices(action)}:
        raise ProposalError(f"{chosen[:40]} is no action for {action.target.short()}.")
    kind = ActionType(chosen)
    parameter = SHAPES[kind].parameter
    body: dict[str, Any] = {"id": action.id, "type": kind.value, "target": action.target.to_wire()}
    if parameter == "scale":
        body["scale"] = {"replicas": form.get(f"replicas.{action.id}", "")}
    elif parameter == "rollback":
        number, _, replica_set = form.get(f"revision.{action.id}", "").partition("/")
        body["rollback"] = {"replicaSet": replica_set, "revision": number}
    elif parameter:
        body[parameter] = getattr(action, parameter).to_wire()
    try:
        return Action.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        raise ProposalError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from error


def _next_name(incident: str, plans: Sequence[ActionPlan]) -> str:
    pattern = re.compile(re.escape(incident) + r"-([0-9]{1,6})")
    numbers = [int(found[1]) for plan in plans if (found := pattern.fullmatch(plan.metadata.name))]
    return f"{incident}-{max(numbers, default=0) + 1}"
