"""Typed actions that would address the causes."""

from __future__ import annotations

import math

from analysis.rca.catalogue import ActionSpec, Cause
from analysis.rca.facts import Facts
from analysis.words import line
from crds.v1alpha1.actions import Action, ActionType, ScaleParameters
from crds.v1alpha1.rcareport import RecommendedAction, RootCause

MAX_ACTIONS = 4
MAX_REPLICAS = 50
MIN_CONFIDENCE = 40
"""Below this a cause is not worth an action."""


def recommend(causes: tuple[Cause, ...], found: tuple[RootCause, ...], facts: Facts) -> tuple[RecommendedAction, ...]:
    """Actions for the causes that stand, best first. Nothing for targets that no action type fits."""
    if facts.target.kind != "Deployment" or facts.target.api_version != "apps/v1" or not facts.target.uid:
        return ()
    specs = {cause.kind: cause.actions for cause in causes}
    actions = [
        action
        for cause in found
        if not cause.refuted and cause.confidence_percent >= MIN_CONFIDENCE
        for spec in specs.get(cause.kind, ())
        if (action := _action(spec, cause, facts)) is not None
    ]
    actions.sort(key=lambda one: (-one.confidence_percent, one.action.type.value))
    return tuple(actions[:MAX_ACTIONS])


def _action(spec: ActionSpec, cause: RootCause, facts: Facts) -> RecommendedAction | None:
    scale = None
    if spec.type == "ScaleDeployment":
        replicas = wanted_replicas(facts)
        if replicas is None:
            return None
        scale = ScaleParameters(replicas=replicas)
    action = Action(
        id="restart-1" if spec.type == "RestartDeployment" else "scale-1",
        type=ActionType(spec.type),
        target=facts.target,
        scale=scale,
    )
    share = cause.confidence_percent * spec.confidence_factor
    return RecommendedAction(cause_id=cause.id, action=action, why=line(spec.why), confidence_percent=round(share))


def wanted_replicas(facts: Facts) -> int | None:
    """Replicas in proportion to the traffic, at most twice as many; None when nothing would change."""
    replicas, traffic = facts.request.replicas, facts.traffic
    if not replicas or traffic is None or not math.isfinite(traffic.change):
        return None
    wanted = min(math.ceil(replicas * (1 + traffic.change)), 2 * replicas, MAX_REPLICAS)
    return wanted if wanted > replicas else None
