"""The one write of each action type, and how it is sent. The same at every attempt: repeating changes nothing (S5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from controllers.kube.api import Kube
from controllers.kube.targets import target_resource
from controllers.runtime.names import field_manager
from crds.v1alpha1.actions import Action, Effect
from crds.v1alpha1.base import format_time
from crds.v1alpha1.digest import ACTION_ID_ANNOTATION, RESTARTED_AT_ANNOTATION, JsonObject, rollback_template
from crds.v1alpha1.grants import ROLLBACK_ANNOTATION

MANAGER = field_manager("execution")

Body = dict[str, Any]


@dataclass(frozen=True)
class Order:
    """One action to be written."""

    action: Action
    namespace: str
    action_id: str
    started_at: datetime
    replica_set: JsonObject | None = None
    """What a rollback goes back to."""


def send(kube: Kube, order: Order, *, uid: str = "", resource_version: str = "", dry_run: bool = False) -> None:
    """Write once, for exactly this version of the target, or have the API server only say whether it would.

    Raises:
        Conflict: the target is another one, or changed since it was looked at.
        Forbidden: RBAC or an admission policy refuses.
        Invalid: the API server refuses the content.
    """
    action, resource = order.action, target_resource(order.action)
    if action.effect is Effect.DELETE_POD:
        kube.delete_raw(resource, order.namespace, action.target.name, uid=action.target.uid, dry_run=dry_run)
        return
    kube.patch_raw(
        resource,
        order.namespace,
        action.target.name,
        patch_of(order),
        manager=MANAGER,
        uid=uid,
        resource_version=resource_version,
        dry_run=dry_run,
    )


def patch_of(order: Order) -> Body | list[Body]:
    """The patch of an action that changes its target: a merge patch, or a JSON patch for a rollback."""
    return _PATCHES[order.action.effect](order)


def restart_patch(action_id: str, started_at: datetime) -> Body:
    """What ``kubectl rollout restart`` sends, and the action's id beside it."""
    annotations = {ACTION_ID_ANNOTATION: action_id, RESTARTED_AT_ANNOTATION: format_time(started_at)}
    return {"spec": {"template": {"metadata": {"annotations": annotations}}}}


def _restart(order: Order) -> Body:
    return restart_patch(order.action_id, order.started_at)


def _scale(order: Order) -> Body:
    if order.action.scale is None:
        raise ValueError(f"action {order.action.id}: {order.action.type.value} without scale")
    return {"metadata": _mark(order), "spec": {"replicas": order.action.scale.replicas}}


def _pause(order: Order) -> Body:
    return {"metadata": _mark(order), "spec": {"paused": True}}


def _rollback(order: Order) -> list[Body]:
    """A JSON patch: a merge patch would leave behind what only the present template has.

    The Deployment has annotations: its controller notes the revision there before there is one to go back to.
    """
    if order.replica_set is None or order.action.rollback is None:
        raise ValueError(f"action {order.action.id}: Rollback without its ReplicaSet")
    return [
        {"op": "replace", "path": "/spec/template", "value": rollback_template(order.replica_set)},
        {"op": "add", "path": _pointer(ACTION_ID_ANNOTATION), "value": order.action_id},
        {"op": "add", "path": _pointer(ROLLBACK_ANNOTATION), "value": order.action.rollback.replica_set},
    ]


def _pointer(annotation: str) -> str:
    return "/metadata/annotations/" + annotation.replace("~", "~0").replace("/", "~1")


def _mark(order: Order) -> Body:
    return {"annotations": {ACTION_ID_ANNOTATION: order.action_id}}


_PATCHES: Mapping[Effect, Callable[[Order], Body | list[Body]]] = MappingProxyType(
    {Effect.RESTART: _restart, Effect.SCALE: _scale, Effect.PAUSE: _pause, Effect.ROLLBACK: _rollback}
)
