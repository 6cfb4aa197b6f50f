"""The live target of an action, as far as a decision needs it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crds.v1alpha1.digest import JsonObject

CLASS_LABEL = "iirp.io/workload-class"
DEFAULT_SHARE = "25%"
"""Kubernetes' default maxUnavailable of a rolling update."""


@dataclass(frozen=True)
class Target:
    """Numbers are pods. ``unavailable`` is what a rollout may take away at once, by the Deployment's strategy."""

    uid: str
    replicas: int
    deleting: bool = False
    paused: bool = False
    autoscaler: str = ""
    """Name of the HorizontalPodAutoscaler that owns ``replicas``; empty if none does."""
    ready: int = 0
    unavailable: int = 0
    budget: str = ""
    """Name of the PodDisruptionBudget of the pods that allows the fewest disruptions now; empty if there is none."""
    disruptions_allowed: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """What conditions see as ``target``."""
        return {
            "replicas": self.replicas,
            "readyReplicas": self.ready,
            "maxUnavailable": self.unavailable,
            "autoscaler": self.autoscaler,
            "disruptionBudget": self.budget,
            "disruptionsAllowed": self.disruptions_allowed,
            "labels": dict(self.labels),
        }


def read_target(body: JsonObject, autoscaler: str = "", budgets: Iterable[JsonObject] = ()) -> Target:
    """Reduce a Deployment as served, and the PodDisruptionBudgets of its namespace."""
    metadata, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    replicas = int(spec.get("replicas", 1))
    budget = _tightest(spec, budgets)
    return Target(
        uid=metadata["uid"],
        replicas=replicas,
        deleting="deletionTimestamp" in metadata,
        paused=bool(spec.get("paused", False)),
        autoscaler=autoscaler,
        ready=int(status.get("readyReplicas", 0)),
        unavailable=_unavailable(spec.get("strategy") or {}, replicas),
        budget=str(budget["metadata"]["name"]) if budget is not None else "",
        disruptions_allowed=_allowed(budget) if budget is not None else 0,
        labels=dict(metadata.get("labels") or {}),
    )


def _unavailable(strategy: JsonObject, replicas: int) -> int:
    """As the Deployment controller computes it: a share is rounded down, ``Recreate`` takes all."""
    if strategy.get("type") == "Recreate":
        return replicas
    share = (strategy.get("rollingUpdate") or {}).get("maxUnavailable", DEFAULT_SHARE)
    if isinstance(share, str) and share.endswith("%"):
        return replicas * int(share[:-1]) // 100
    return min(replicas, int(share))


def _tightest(spec: JsonObject, budgets: Iterable[JsonObject]) -> JsonObject | None:
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    found = [budget for budget in budgets if _selects(budget.get("spec", {}).get("selector"), labels)]
    return min(found, key=_allowed, default=None)


def _allowed(budget: JsonObject) -> int:
    return int((budget.get("status") or {}).get("disruptionsAllowed", 0))


def _selects(selector: JsonObject | None, labels: JsonObject) -> bool:
    """A ``metav1.LabelSelector``; a missing one selects nothing, an empty one everything (policy/v1)."""
    if selector is None:
        return False
    exact = (selector.get("matchLabels") or {}).items()
    return all(labels.get(key) == value for key, value in exact) and all(
        _expression(item, labels) for item in selector.get("matchExpressions") or ()
    )


def _expression(item: JsonObject, labels: JsonObject) -> bool:
    key, values = item["key"], item.get("values") or ()
    match item["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    # An operator of a later version: count the budget in, which is the stricter reading.
    return True
