"""The one write of each action type, and how it is sent. The same at every attempt: repeating changes nothing (S5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from controllers.kube.api import Kube
from controllers.kube.resources import REPLICASETS
from controllers.kube.targets import target_resource
from controllers.runtime.names import field_manager
from crds.v1alpha1.actions import Action, Effect
from crds.v1alpha1.base import format_time
from crds.v1alpha1.digest import ACTION_ID_ANNOTATION, RESTARTED_AT_ANNOTATION, rollback_template
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
        _PATCHES[action.effect](kube, order),
        manager=MANAGER,
        uid=uid,
        resource_version=resource_version,
        dry_run=dry_run,
    )


def restart_patch(action_id: str, started_at: datetime) -> Body:
    """What ``kubectl rollout restart`` sends, and the action's id beside it."""
    annotations = {ACTION_ID_ANNOTATION: action_id, RESTARTED_AT_ANNOTATION: format_time(started_at)}
    return {"spec": {"template": {"metadata": {"annotations": annotations}}}}


def _restart(_: Kube, order: Order) -> Body:
    return restart_patch(order.action_id, order.started_at)


def _scale(_: Kube, order: Order) -> Body:
    if order.action.scale is None:
        raise ValueError(f"action {order.action.id}: {order.action.type.value} without scale")
    return {"metadata": _mark(order), "spec": {"replicas": order.action.scale.replicas}}


def _pause(_: Kube, order: Order) -> Body:
    return {"metadata": _mark(order), "spec": {"paused": True}}


def _rollback(kube: Kube, order: Order) -> list[Body]:
    """A JSON patch: a merge patch would leave behind what only the present template has.

    The Deployment has annotations: its controller notes the revision there before there is one to go back to. The
    template is read here and nowhere kept, least of all in the record of decisions: it may hold what is nobody's
    business. If it is not the approved one any more, the API server refuses it.

    Raises:
        NotFound: the ReplicaSet is gone.
    """
    if order.action.rollback is None:
        raise ValueError(f"action {order.action.id}: Rollback without rollback")
    kept = kube.get_raw(REPLICASETS, order.namespace, order.action.rollback.replica_set)
    return [
        {"op": "replace", "path": "/spec/template", "value": rollback_template(kept)},
        {"op": "add", "path": _pointer(ACTION_ID_ANNOTATION), "value": order.action_id},
        {"op": "add", "path": _pointer(ROLLBACK_ANNOTATION), "value": order.action.rollback.replica_set},
    ]


def _pointer(annotation: str) -> str:
    return "/metadata/annotations/" + annotation.replace("~", "~0").replace("/", "~1")


def _mark(order: Order) -> Body:
    return {"annotations": {ACTION_ID_ANNOTATION: order.action_id}}


_PATCHES: Mapping[Effect, Callable[[Kube, Order], Body | list[Body]]] = MappingProxyType(
    {Effect.RESTART: _restart, Effect.SCALE: _scale, Effect.PAUSE: _pause, Effect.ROLLBACK: _rollback}
)
