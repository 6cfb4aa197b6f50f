"""The one write of each action that is no deletion: what the executor sends, and what people see first. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from crds.v1alpha1.actions import Action
from crds.v1alpha1.base import format_time
from crds.v1alpha1.digest import ACTION_ID_ANNOTATION, RESTARTED_AT_ANNOTATION, rollback_template
from crds.v1alpha1.grants import JOB_TEMPLATE_LABEL, ROLLBACK_ANNOTATION, job_name

__all__ = ["Body", "job_body", "pause_patch", "restart_patch", "rollback_patch", "scale_patch"]

Body = dict[str, Any]

_JOB_SPEC = {"backoffLimit": 0, "activeDeadlineSeconds": 300, "ttlSecondsAfterFinished": 86400}
"""One try of five minutes; kept for a day, so that its log can be read."""


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


def job_body(action: Action, action_id: str, pod_template: Mapping[str, Any]) -> Body:
    """The reviewed pod as a Job, with the one claim in the place of its own. Raises ValueError for another action."""
    if action.job is None:
        raise ValueError(f"action {action.id}: {action.type.value} without job")
    claim, template = action.job.claim, pod_template["template"]

    def volume(one: Body) -> Body:
        return {**one, "persistentVolumeClaim": {**one["persistentVolumeClaim"], "claimName": claim}}

    volumes = [volume(one) if "persistentVolumeClaim" in one else one for one in template["spec"]["volumes"]]
    marks = {key: template["metadata"][key] for key in ("labels", "annotations") if key in template["metadata"]}
    pod = {"metadata": marks, "spec": {**template["spec"], "volumes": volumes}}
    labels = {"app.kubernetes.io/managed-by": "iirp", JOB_TEMPLATE_LABEL: str(action.job.template)}
    return {
        "metadata": {"name": job_name(action_id), "labels": labels, **_mark(action_id)},
        "spec": {**_JOB_SPEC, "template": pod},
    }


def _pointer(annotation: str) -> str:
    return "/metadata/annotations/" + annotation.replace("~", "~0").replace("/", "~1")


def _mark(action_id: str) -> Body:
    return {"annotations": {ACTION_ID_ANNOTATION: action_id}}
