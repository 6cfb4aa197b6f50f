"""A live Deployment as the executor sees it: did our write take effect, is its rollout through. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crds.v1alpha1.actions import Action, ActionType
from crds.v1alpha1.base import format_time
from crds.v1alpha1.digest import (
    ACTION_ID_ANNOTATION,
    RESTARTED_AT_ANNOTATION,
    JsonObject,
    target_digest,
)

REVISION_ANNOTATION = "deployment.kubernetes.io/revision"


@dataclass(frozen=True)
class Live:
    """The target of one action, now."""

    uid: str
    resource_version: str
    digest: str
    """Of the part that the action would change: see :func:`crds.v1alpha1.digest.target_digest`."""
    applied: bool
    """Our write took effect at some time: its id is on the object, or on a ReplicaSet that it made."""
    in_force: bool
    """Our write is still what the object says."""
    complete: bool
    """The rollout of what the object says is through."""
    stalled: str
    """Kubernetes' own word that the rollout makes no progress; empty otherwise."""
    summary: str
    """``revision 3, 2/2 available``."""


def read(action: Action, action_id: str, live: JsonObject, replicasets: Iterable[JsonObject] = ()) -> Live:
    """Reduce a Deployment (and, for a restart, the ReplicaSets of its namespace) to what decisions need."""
    metadata, spec, status = live["metadata"], live["spec"], live.get("status") or {}
    wanted = int(spec.get("replicas", 1))
    carries = _carries(action, action_id, live)
    made = any(_owned_by(rs, metadata["uid"]) and _template_id(rs) == action_id for rs in replicasets)
    scaled = action.scale is None or wanted == action.scale.replicas
    return Live(
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        digest=target_digest(action, live),
        applied=carries or made,
        in_force=carries and scaled,
        complete=_complete(metadata, status, wanted),
        stalled=_stalled(status),
        summary=_summary(metadata, status, wanted),
    )


def patch_of(action: Action, action_id: str, started_at: datetime) -> dict[str, Any]:
    """The one merge patch of an action. The same at every attempt: a repetition changes nothing (S5)."""
    mark = {ACTION_ID_ANNOTATION: action_id}
    match action.type:
        case ActionType.RESTART_DEPLOYMENT:
            annotations = {**mark, RESTARTED_AT_ANNOTATION: format_time(started_at)}
            return {"spec": {"template": {"metadata": {"annotations": annotations}}}}
        case ActionType.SCALE_DEPLOYMENT:
            if action.scale is None:
                raise ValueError(f"action {action.id}: ScaleDeployment without scale")
            return {"metadata": {"annotations": mark}, "spec": {"replicas": action.scale.replicas}}


def _carries(action: Action, action_id: str, live: JsonObject) -> bool:
    if action.type is ActionType.RESTART_DEPLOYMENT:
        return _template_id(live) == action_id
    return (live["metadata"].get("annotations") or {}).get(ACTION_ID_ANNOTATION) == action_id


def _template_id(body: JsonObject) -> str:
    template = body.get("spec", {}).get("template", {})
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(ACTION_ID_ANNOTATION, ""))


def _owned_by(body: JsonObject, uid: str) -> bool:
    return any(owner.get("uid") == uid for owner in body["metadata"].get("ownerReferences") or ())


def _complete(metadata: JsonObject, status: JsonObject, wanted: int) -> bool:
    """As ``kubectl rollout status`` decides: the controller has seen the spec, all pods are new, all are available."""
    if int(status.get("observedGeneration", 0)) < int(metadata.get("generation", 0)):
        return False
    counts = [int(status.get(name, 0)) for name in ("updatedReplicas", "replicas", "availableReplicas")]
    return all(count == wanted for count in counts)


def _stalled(status: JsonObject) -> str:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return str(condition.get("message") or "progress deadline exceeded")
    return ""


def _summary(metadata: JsonObject, status: JsonObject, wanted: int) -> str:
    revision = (metadata.get("annotations") or {}).get(REVISION_ANNOTATION, "?")
    return f"revision {revision}, {int(status.get('availableReplicas', 0))}/{wanted} available"
