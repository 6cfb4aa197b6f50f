"""The one write of each action type, and how it is sent. The same at every attempt: repeating changes nothing (S5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from controllers.kube.api import Kube
from controllers.kube.errors import AlreadyExists, Conflict, NotFound
from controllers.kube.resources import JOBS, REPLICASETS
from controllers.kube.targets import read_job_template, target_resource
from controllers.runtime.names import field_manager
from crds.v1alpha1.actions import Action, Effect
from crds.v1alpha1.patches import Body, job_body, pause_patch, restart_patch, rollback_patch, scale_patch

MANAGER = field_manager("execution")


@dataclass(frozen=True)
class Order:
    """One action to be written."""

    action: Action
    namespace: str
    action_id: str
    started_at: datetime
    platform_namespace: str


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
    if action.effect is Effect.RUN_JOB:
        _create_job(kube, order, dry_run=dry_run)
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


def _restart(_: Kube, order: Order) -> Body:
    return restart_patch(order.action_id, order.started_at)


def _scale(_: Kube, order: Order) -> Body:
    return scale_patch(order.action, order.action_id)


def _pause(_: Kube, order: Order) -> Body:
    return pause_patch(order.action_id)


def _rollback(kube: Kube, order: Order) -> list[Body]:
    """The template is read here and nowhere kept, least of all in the record of decisions: it may hold what is nobody's
    business. If it is not the approved one any more, the API server refuses it.

    Raises:
        NotFound: the ReplicaSet is gone.
    """
    if order.action.rollback is None:
        raise ValueError(f"action {order.action.id}: Rollback without rollback")
    kept = kube.get_raw(REPLICASETS, order.namespace, order.action.rollback.replica_set)
    return rollback_patch(order.action_id, kept)


def _create_job(kube: Kube, order: Order, *, dry_run: bool) -> None:
    """Create it by its one name.

    Raises:
        Conflict: there is a Job of that name already: ours, as the next look will tell, or somebody's.
        NotFound: the reviewed template is gone.
    """
    template = read_job_template(kube, order.action, order.platform_namespace)
    if template is None:
        raise NotFound("NotFound", f"there is no PodTemplate for {order.action.describe()}")
    body = job_body(order.action, order.action_id, template)
    try:
        kube.create_raw(JOBS, order.namespace, body, manager=MANAGER, dry_run=dry_run)
    except AlreadyExists as error:
        raise Conflict(error.reason, error.message) from error


_PATCHES: Mapping[Effect, Callable[[Kube, Order], Body | list[Body]]] = MappingProxyType(
    {Effect.RESTART: _restart, Effect.SCALE: _scale, Effect.PAUSE: _pause, Effect.ROLLBACK: _rollback}
)
