"""What no policy can waive: ordered, named checks, each of which forbids a plan with a reason of its own. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from controllers.arbitration.decide import blocking
from controllers.policy.blast import blast_refusal
from controllers.policy.claims import Claim
from controllers.policy.guards import guard_refusal
from controllers.policy.history import Outcome
from controllers.policy.target import Target
from crds.v1alpha1.actionplan import ActionPlan, FieldWriter
from crds.v1alpha1.actionpolicy import PolicyLimits
from crds.v1alpha1.actions import Action, Effect


@dataclass(frozen=True)
class Refusal:
    """Why a plan is Forbidden whatever the policies say."""

    reason: str
    message: str


@dataclass(frozen=True)
class World:
    """What checks count besides the plan and its targets."""

    claims: tuple[Claim, ...] = ()
    """Other plans that count against the limits, in all watched namespaces."""
    past: tuple[Outcome, ...] = ()
    """What became of earlier plans, oldest first."""
    incident_ended: bool = False
    writers: Mapping[str, tuple[FieldWriter, ...]] = field(default_factory=dict)
    """Who else writes what each action changes, by the plan's action id."""
    shortages: Mapping[str, str] = field(default_factory=dict)
    """Which quota has no room for the pods that an action adds, by the plan's action id."""


def first_refusal(
    plan: ActionPlan, targets: Mapping[str, Target | None], world: World, limits: PolicyLimits | None, now: datetime
) -> Refusal | None:
    """The first check that does not hold; None when all do."""
    if world.incident_ended:
        return Refusal("IncidentEnded", "the incident has ended; nothing is left to repair")
    for action in plan.spec.actions:
        refusal = _target_refusal(plan, action, targets.get(action.id))
        if refusal:
            return refusal
    if refusal := _contradiction(plan) or undone(plan, world.writers):
        return refusal
    if limits is None:
        return None
    for action in plan.spec.actions:
        target = targets.get(action.id)
        if target is None:
            continue  # _target_refusal has refused this
        refusal = _bounds_refusal(action, target, limits) or _rate_refusal(plan, action, world, limits)
        if refusal := refusal or _quota_refusal(action, world):
            return refusal
        if found := blast_refusal(action, target, limits) or guard_refusal(
            plan, action, target, world.past, limits, now
        ):
            return Refusal(*found)
    return None


def undone(plan: ActionPlan, writers: Mapping[str, tuple[FieldWriter, ...]]) -> Refusal | None:
    """The first action that somebody else would undo at once."""
    for action in plan.spec.actions:
        if (found := blocking(writers.get(action.id, ()))) is not None:
            where = f"-n {plan.metadata.namespace}"
            hint = f"`iirp plan patch {plan.metadata.name} {where}` prints what to commit"
            return Refusal(found.reason, f"{action.describe()} would not last: {found.message}; {hint}")
    return None


def _target_refusal(plan: ActionPlan, action: Action, target: Target | None) -> Refusal | None:
    short, namespace = action.target.short(), plan.metadata.namespace
    if action.target.namespace != namespace:
        # Who may plan and approve in one namespace must not reach into another.
        where = action.target.namespace or "no namespace"
        return Refusal("CrossNamespace", f"{short} is in {where}, the plan in {namespace}; they must be the same")
    if target is None:
        return Refusal("TargetNotFound", f"there is no {short} in {namespace}")
    if target.uid != action.target.uid:
        return Refusal("TargetReplaced", f"{short} was deleted and created anew since the plan was made (uid differs)")
    if target.deleting:
        return Refusal("TargetDeleting", f"{short} is being deleted")
    if target.paused:
        return Refusal("TargetPaused", f"{short} is paused (spec.paused); a change would not roll out")
    return _related_refusal(action, target)


def _related_refusal(action: Action, target: Target) -> Refusal | None:
    """What only single types ask of their target."""
    short = action.target.short()
    if action.effect is Effect.RESTART and target.on_delete:
        message = f"{short} has updateStrategy OnDelete: a restart reaches no pod until somebody deletes it"
        return Refusal("UpdateOnDelete", message)
    if action.rollback is not None and not target.related:
        wanted = action.rollback.replica_set
        return Refusal("RevisionGone", f"{short} has no revision {action.rollback.revision} (rs/{wanted}) any more")
    if action.rollback is not None and target.unchanged:
        return Refusal("NoChange", f"{short} already has the pod template of rs/{action.rollback.replica_set}")
    if action.rollback is not None and target.missing:
        return Refusal(
            "RevisionWouldNotStart", f"revision {action.rollback.revision} of {short} needs {target.missing}"
        )
    if action.job is not None and not target.related:
        return Refusal("TemplateGone", f"the platform has no Job template {action.job.template}")
    if action.job is not None and action.job.claim not in target.claims:
        # A plan may look into what its own target mounts, and into nothing else of the namespace.
        return Refusal("NotItsVolume", f"{short} does not mount the claim {action.job.claim}")
    if action.owner is not None and not target.related:
        owner = f"{action.owner.kind.value} {action.owner.name}"
        return Refusal("NotItsController", f"{short} is not controlled by {owner}; no other pod would come")
    return None


def _contradiction(plan: ActionPlan) -> Refusal | None:
    counted = Counter((action.type, action.target.name) for action in plan.spec.actions)
    for (kind, name), number in counted.items():
        if number > 1:
            return Refusal("ContradictoryActions", f"{number} actions of type {kind.value} on the same target {name}")
    return None


def _bounds_refusal(action: Action, target: Target, limits: PolicyLimits) -> Refusal | None:
    if action.scale is None:
        return None
    wanted, current = action.scale.replicas, target.replicas
    if target.autoscaler:
        return Refusal(
            "ManagedByAutoscaler",
            f"HorizontalPodAutoscaler {target.autoscaler} sets the replicas of {action.target.short()} and would undo "
            "this; change its minReplicas or maxReplicas instead",
        )
    if wanted == current:
        return Refusal("NoChange", f"{action.target.short()} already has {current} replicas")
    if wanted > limits.max_replicas:
        return Refusal(
            "TooManyReplicas", f"{wanted} replicas are more than the {limits.max_replicas} that policy allows"
        )
    if abs(wanted - current) > limits.max_replica_change:
        return Refusal(
            "ReplicaChangeTooLarge",
            f"{current} to {wanted} replicas is more than the step of {limits.max_replica_change} that policy allows",
        )
    return None


def _quota_refusal(action: Action, world: World) -> Refusal | None:
    short = world.shortages.get(action.id)
    return Refusal("QuotaExceeded", f"{action.describe()}: {short}; the pods would never start") if short else None


def _rate_refusal(plan: ActionPlan, action: Action, world: World, limits: PolicyLimits) -> Refusal | None:
    here = [claim for claim in world.claims if claim.namespace == plan.metadata.namespace]
    same = [claim for claim in here if (action.target.kind, action.target.name) in claim.targets]
    for where, counted, allowed in (
        (action.target.short(), len(same), limits.max_per_hour),
        (f"namespace {plan.metadata.namespace}", len(here), limits.max_per_hour_in_namespace),
        ("cluster", len(world.claims), limits.max_per_hour_in_cluster),
    ):
        if counted >= allowed:
            message = f"{where}: {counted} plans ran or wait within the hour; policy allows {allowed}"
            return Refusal("RateLimited", message)
    return None
