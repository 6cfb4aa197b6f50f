"""The live target of an action, as far as a decision needs it: workloads and single pods. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from crds.v1alpha1.digest import RELATED, JsonObject, related, rollback_template, same_template

CLASS_LABEL = "iirp.io/workload-class"
DEFAULT_SHARE = "25%"
"""Kubernetes' default maxUnavailable of a Deployment's rolling update."""
_DEFAULTS: Mapping[str, int] = MappingProxyType({"StatefulSet": 1, "DaemonSet": 1})


ENDED_PHASES = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True)
class Target:
    """Numbers are pods; of a pod, those of its controller. ``unavailable`` is what a rollout may take away at once."""

    uid: str
    replicas: int
    deleting: bool = False
    paused: bool = False
    autoscaler: str = ""
    """Name of the HorizontalPodAutoscaler that owns ``replicas``; empty if none does."""
    ready: int = 0
    unavailable: int = 0
    nodes: int = 0
    """Nodes that its pods sit on; of a pod, that pod's."""
    budget: str = ""
    """Name of the PodDisruptionBudget of the pods that allows the fewest disruptions now; empty if there is none."""
    disruptions_allowed: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    on_delete: bool = False
    """A new template reaches pods only when somebody deletes them, so that a restart would do nothing."""
    related: bool = True
    """What else the action rests on is there: a rollback's ReplicaSet, a pod's controller, a Job's template."""
    unchanged: bool = False
    """A rollback to what it is already."""
    claims: tuple[str, ...] = ()
    """PersistentVolumeClaims that its pods mount."""
    crossed: str = ""
    """What changed besides the pod template since the revision of a rollback; empty: nothing that is known."""
    missing: str = ""
    """What the revision of a rollback needs for a start and is not there."""

    def document(self) -> dict[str, Any]:
        """What conditions see as ``target``."""
        return {
            "replicas": self.replicas,
            "readyReplicas": self.ready,
            "maxUnavailable": self.unavailable,
            "nodes": self.nodes,
            "autoscaler": self.autoscaler,
            "disruptionBudget": self.budget,
            "disruptionsAllowed": self.disruptions_allowed,
            "labels": dict(self.labels),
        }


def read_target(
    body: JsonObject, autoscaler: str = "", budgets: Iterable[JsonObject] = (), pods: Iterable[JsonObject] = ()
) -> Target:
    """Reduce a target as :func:`controllers.kube.targets.read_target` gives it, with the budgets of its namespace and
    pods among which are all of its own."""
    metadata, spec = body["metadata"], body["spec"]
    counted = body if "containers" not in spec else related(body, "owner") or {}
    replicas, ready = _counts(counted)
    budget = _tightest(_pod_labels(body), budgets)
    strategy = spec.get("updateStrategy") or spec.get("strategy") or {}
    revision = related(body, "replicaSet")
    return Target(
        uid=metadata["uid"],
        replicas=replicas,
        deleting="deletionTimestamp" in metadata,
        paused=bool(spec.get("paused", False)),
        autoscaler=autoscaler,
        ready=ready,
        unavailable=_unavailable(strategy, replicas, default=_DEFAULTS.get(body.get("kind", ""), DEFAULT_SHARE)),
        nodes=_nodes(body, pods),
        budget=str(budget["metadata"]["name"]) if budget is not None else "",
        disruptions_allowed=_allowed(budget) if budget is not None else 0,
        labels=dict(metadata.get("labels") or {}),
        on_delete=strategy.get("type") == "OnDelete",
        claims=_claims(spec),
        related=bool(body.get(RELATED, True)),
        unchanged=revision is not None and same_template(spec["template"], rollback_template(revision)),
    )


def _counts(body: JsonObject) -> tuple[int, int]:
    """Wanted and ready pods of a controller, as its kind says them."""
    spec, status = body.get("spec") or {}, body.get("status") or {}
    if "desiredNumberScheduled" in status:
        return int(status["desiredNumberScheduled"]), int(status.get("numberReady", 0))
    return int(spec.get("replicas", 1)), int(status.get("readyReplicas", 0))


def _nodes(body: JsonObject, pods: Iterable[JsonObject]) -> int:
    """Nodes of the pods that have not ended. A DaemonSet has a pod on each node and says so itself."""
    spec, status = body["spec"], body.get("status") or {}
    if "desiredNumberScheduled" in status:
        return int(status["desiredNumberScheduled"])
    if "containers" in spec:
        return 1 if spec.get("nodeName") else 0
    own = (pod for pod in pods if _selects(spec.get("selector"), pod["metadata"].get("labels") or {}))
    living = (pod for pod in own if (pod.get("status") or {}).get("phase") not in ENDED_PHASES)
    return len({node for pod in living if (node := pod["spec"].get("nodeName"))})


def _pod_labels(body: JsonObject) -> JsonObject:
    spec = body["spec"]
    metadata = (spec.get("template") or {}).get("metadata") if "containers" not in spec else body["metadata"]
    labels: JsonObject = (metadata or {}).get("labels") or {}
    return labels


def _claims(spec: JsonObject) -> tuple[str, ...]:
    volumes = ((spec.get("template") or {}).get("spec") or {}).get("volumes") or ()
    return tuple(one["persistentVolumeClaim"]["claimName"] for one in volumes if "persistentVolumeClaim" in one)


def _unavailable(strategy: JsonObject, replicas: int, default: str | int) -> int:
    """As the controllers compute it: a share is rounded down, and ``Recreate`` takes all."""
    if strategy.get("type") == "Recreate":
        return replicas
    share = (strategy.get("rollingUpdate") or {}).get("maxUnavailable", default)
    if isinstance(share, str) and share.endswith("%"):
        return replicas * int(share[:-1]) // 100
    return min(replicas, int(share))


def _tightest(labels: JsonObject, budgets: Iterable[JsonObject]) -> JsonObject | None:
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
