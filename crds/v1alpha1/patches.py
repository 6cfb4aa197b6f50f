"""The one patch of each action that changes a workload: what the executor sends, and what people see first. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from crds.v1alpha1.actions import Action
from crds.v1alpha1.base import format_time
from crds.v1alpha1.digest import ACTION_ID_ANNOTATION, RESTARTED_AT_ANNOTATION, rollback_template
from crds.v1alpha1.grants import ROLLBACK_ANNOTATION

__all__ = ["Body", "pause_patch", "restart_patch", "rollback_patch", "scale_patch"]

Body = dict[str, Any]


def restart_patch(action_id: str, started_at: datetime) -> Body:
    """What ``kubectl rollout restart`` sends, and the action's id beside it."""
    annotations = {ACTION_ID_ANNOTATION: action_id, RESTARTED_AT_ANNOTATION: format_time(started_at)}
    return {"spec": {"template": {"metadata": {"annotations": annotations}}}}


def scale_patch(action: Action, action_id: str) -> Body:
    """An absolute number. Raises ValueError for an action without one."""
    if action.scale is None:
        raise ValueError(f"action {action.id}: {action.type.value} without scale")
    return {"metadata": _mark(action_id), "spec": {"replicas": action.scale.replicas}}


def pause_patch(action_id: str) -> Body:
    """As ``kubectl rollout pause`` does."""
    return {"metadata": _mark(action_id), "spec": {"paused": True}}


def rollback_patch(action_id: str, replica_set: Mapping[str, Any]) -> list[Body]:
    """A JSON patch: a merge patch would leave behind what only the present template has.

    The Deployment has annotations: its controller notes the revision there before there is one to go back to.
    """
    return [
        {"op": "replace", "path": "/spec/template", "value": rollback_template(replica_set)},
        {"op": "add", "path": _pointer(ACTION_ID_ANNOTATION), "value": action_id},
        {"op": "add", "path": _pointer(ROLLBACK_ANNOTATION), "value": replica_set["metadata"]["name"]},
    ]


def _pointer(annotation: str) -> str:
    return "/metadata/annotations/" + annotation.replace("~", "~0").replace("/", "~1")


def _mark(action_id: str) -> Body:
    return {"annotations": {ACTION_ID_ANNOTATION: action_id}}
