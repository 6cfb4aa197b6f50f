"""Typed actions that would address the causes."""

from __future__ import annotations

import math

from analysis.rca.around import measured_callees, subjects, workload
from analysis.rca.catalogue import ActionSpec, Cause
from analysis.rca.facts import Facts
from analysis.rca.rank import Observations
from analysis.rca.rollouts import latest_rollout
from analysis.rca.serving import replicas_before, scaled_down
from analysis.words import line
from crds.v1alpha1 import rollout
from crds.v1alpha1.actions import (
    MAX_CLAIM,
    SHAPES,
    Action,
    ActionShape,
    ActionType,
    Effect,
    JobParameters,
    JobTemplate,
    OwnerKind,
    OwnerParameters,
    RollbackParameters,
    ScaleParameters,
)
from crds.v1alpha1.base import TargetRef
from crds.v1alpha1.rcareport import RecommendedAction, RootCause

MAX_ACTIONS = 4
MAX_REPLICAS = 50
MIN_CONFIDENCE = 40
"""Below this a cause is not worth an action."""


def recommend(
    causes: tuple[Cause, ...], found: tuple[RootCause, ...], facts: Facts, seen: Observations
) -> tuple[RecommendedAction, ...]:
    """Actions for the causes that stand, best first. Nothing for targets that no action type fits.

    A cause that is well behind the first earns none: where nothing here helps against the likely cause, a person is
    better served by no plan than by one against something else.
    """
    best = max((cause.confidence_percent for cause in found if not cause.refuted), default=0)
    least = max(MIN_CONFIDENCE, CLOSE_SHARE * best)
    specs = {cause.kind: cause.actions for cause in causes}
    actions = [
        RecommendedAction(
            cause_id=cause.id,
            action=action,
            why=line(spec.why),
            confidence_percent=round(cause.confidence_percent * spec.confidence_factor),
        )
        for cause in found
        if not cause.refuted and cause.confidence_percent >= least
        for spec in specs.get(cause.kind, ())
        if not spec.needs or seen[spec.needs].answer
        if (action := _action(spec, cause.target, facts)) is not None
    ]
    actions.sort(key=lambda one: (-one.confidence_percent, one.action.type.value))
    return tuple(_distinct(actions)[:MAX_ACTIONS])


def _distinct(actions: list[RecommendedAction]) -> list[RecommendedAction]:
    """The same action for two causes is one action, for the likelier cause."""
    first = {one.action.model_dump_json(): one for one in reversed(actions)}
    return [one for one in actions if first[one.action.model_dump_json()] is one]


def _action(spec: ActionSpec, target: TargetRef, facts: Facts) -> Action | None:
    """None where the action would change nothing, or would not fit the target."""
    effect = SHAPES[spec.type].effect
    if effect is Effect.DELETE_POD:
        return restart_pod(facts, target)
    kind = next((one for one, shape in SHAPES.items() if _fits(shape, effect, target)), None)
    if kind is None or not target.uid:
        return None
    match effect:
        case Effect.SCALE:
            replicas = wanted_replicas(facts, target)
            scale = ScaleParameters(replicas=replicas) if replicas is not None else None
            return Action(id="scale-1", type=kind, target=target, scale=scale) if scale is not None else None
        case Effect.ROLLBACK:
            to = revision_before(facts, target)
            return Action(id="rollback-1", type=kind, target=target, rollback=to) if to is not None else None
        case Effect.RESTART:
            return Action(id="restart-1", type=kind, target=target)
        case Effect.RUN_JOB:
            job = look_into(facts, target)
            return Action(id="look-1", type=kind, target=target, job=job) if job is not None else None
        case _:
            return None


def restart_pod(facts: Facts, target: TargetRef) -> Action | None:
    """A restart of the one pod of several that is not ready; None where it is not one alone, or nobody replaces it."""
    if target.name != facts.target.name or target.kind != "Deployment":
        return None
    running = [pod for pod in facts.request.pods if pod.phase == "Running"]
    bad = [pod for pod in running if not pod.ready]
    if len(bad) != 1 or len(running) < 2 or not bad[0].revision or not bad[0].uid:
        return None
    (pod,) = bad
    ref = TargetRef(api_version="v1", kind="Pod", namespace=target.namespace, name=pod.name, uid=pod.uid)
    owner = OwnerParameters(kind=OwnerKind.REPLICA_SET, name=pod.revision)
    return Action(id="restart-pod-1", type=ActionType.RESTART_POD, target=ref, owner=owner)


def look_into(facts: Facts, target: TargetRef) -> JobParameters | None:
    """A look at the volume of a workload; None where it mounts none, or several: which is full is not known here."""
    state = workload(facts, target.name)
    claims = [name for name in state.claims if len(name) <= MAX_CLAIM] if state is not None else []
    return JobParameters(template=JobTemplate.DISK_USAGE, claim=claims[0]) if len(claims) == 1 else None


def _fits(shape: ActionShape, effect: Effect, target: TargetRef) -> bool:
    """The catalogue names a type for Deployments; the same effect on another kind of workload is another type."""
    return shape.effect is effect and (shape.api_version, shape.kind) == (target.api_version, target.kind)


def revision_before(facts: Facts, target: TargetRef) -> RollbackParameters | None:
    """The revision that ran before the rollout that the fault began with; None when that is not known."""
    change = latest_rollout(facts)
    if (
        change is None
        or (change.target.kind, change.target.name) != (target.kind, target.name)
        or not (number := rollout.revision_number(change.previous_revision))
    ):
        return None
    name = change.previous_reference.rpartition("/replicasets/")[2]
    return RollbackParameters(replica_set=name, revision=number) if name else None


def wanted_replicas(facts: Facts, target: TargetRef) -> int | None:
    """Replicas in proportion to the traffic, at most twice as many; what it was before if it was scaled down."""
    state = workload(facts, target.name)
    replicas, traffic = facts.request.replicas, facts.traffic
    if state is not None and state.replicas == 0:
        before = max(replicas_before(facts, target.name) or 1, 1)
        return min(before, MAX_REPLICAS) if _measured(facts, target) else None
    if scaled_down(facts).answer and target.name in subjects(facts):
        return min(replicas_before(facts, target.name) or 0, MAX_REPLICAS) or None
    if not replicas or traffic is None or not math.isfinite(traffic.change) or target.name != facts.target.name:
        return None
    wanted = min(math.ceil(replicas * (1 + traffic.change)), 2 * replicas, MAX_REPLICAS)
    return wanted if wanted > replicas else None


def _measured(facts: Facts, target: TargetRef) -> bool:
    """Whether metrics show that the incident hangs on it: a log line, which anyone may write, earns no action."""
    called = (workload(facts, name) for name in measured_callees(facts))
    return target.name in {*subjects(facts), *(one.target.name for one in called if one is not None)}


CLOSE_SHARE = 0.8
"""Of the first cause's confidence, that another needs for an action of its own."""
