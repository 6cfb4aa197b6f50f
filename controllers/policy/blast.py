"""Blast radius: how much of a workload an action may take away at once. Pure.

Needed because a rollout does not ask PodDisruptionBudgets: only evictions do.
"""

from __future__ import annotations

from controllers.policy.target import Target
from crds.v1alpha1.actionpolicy import PolicyLimits
from crds.v1alpha1.actions import Action, Effect


def taken(action: Action, target: Target) -> int:
    """Pods that are gone at the worst moment of the action."""
    match action.effect:
        case Effect.RESTART | Effect.ROLLBACK:
            return target.unavailable
        case Effect.SCALE:
            wanted = action.scale.replicas if action.scale is not None else 0
            return max(0, target.replicas - wanted)
        case Effect.DELETE_POD:
            return 1
        case Effect.PAUSE | Effect.RUN_JOB:
            return 0


def touched(action: Action, target: Target) -> int:
    """Nodes that lose a pod in the course of the action; of a scale, as many as may."""
    match action.effect:
        case Effect.RESTART | Effect.ROLLBACK:
            return target.nodes
        case Effect.SCALE | Effect.DELETE_POD:
            return min(target.nodes, taken(action, target))
        case Effect.PAUSE | Effect.RUN_JOB:
            return 0


def blast_refusal(action: Action, target: Target, limits: PolicyLimits) -> tuple[str, str] | None:
    """(reason, message) of the first bound that the action would break; None when it keeps all."""
    lost, wanted, short = taken(action, target), target.replicas, action.target.short()
    if lost * 100 > limits.max_unavailable_percent * wanted:
        allowed = limits.max_unavailable_percent
        return "BlastRadius", f"{short}: {lost} of {wanted} pods would be gone at once; policy allows {allowed} %"
    nodes = touched(action, target)
    if limits.max_nodes is not None and nodes > limits.max_nodes:
        return "TooManyNodes", f"{short}: pods on {nodes} nodes would go; policy allows {limits.max_nodes}"
    left = max(0, target.ready - lost)
    if lost and left * 100 < limits.min_ready_percent * wanted:
        needed = limits.min_ready_percent
        return "TooFewReady", f"{short}: {left} of {wanted} pods would be left ready; policy asks for {needed} %"
    if limits.respect_disruption_budgets and target.budget and lost > target.disruptions_allowed:
        allowed, name = target.disruptions_allowed, target.budget
        return "DisruptionBudget", f"{short}: {lost} pods would be gone at once; budget {name} allows {allowed} now"
    return None
