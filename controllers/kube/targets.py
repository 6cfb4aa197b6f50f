"""Live targets of actions, with the objects besides them that an action rests on; read anew at every call."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from controllers.kube.api import Kube
from controllers.kube.errors import NotFound
from controllers.kube.resources import (
    DAEMONSETS,
    DEPLOYMENTS,
    POD_TEMPLATES,
    PODS,
    REPLICASETS,
    STATEFULSETS,
    ResourceType,
)
from crds.v1alpha1.actions import Action
from crds.v1alpha1.digest import RELATED
from crds.v1alpha1.grants import JOB_PREFIX
from crds.v1alpha1.owners import owned_by

TARGETS: Mapping[str, ResourceType] = MappingProxyType(
    {kind.kind: kind for kind in (DEPLOYMENTS, STATEFULSETS, DAEMONSETS, PODS)}
)
OWNERS: Mapping[str, ResourceType] = MappingProxyType(
    {kind.kind: kind for kind in (REPLICASETS, STATEFULSETS, DAEMONSETS)}
)

Raw = dict[str, Any]


def target_resource(action: Action) -> ResourceType:
    """The resource of an action's target. Its kind follows from the type, whatever the reference says."""
    return TARGETS[action.shape.kind]


def read_target(kube: Kube, namespace: str, action: Action, platform_namespace: str) -> Raw | None:
    """The target as served, None when there is none of that name.

    Under the key ``related`` stands the ReplicaSet that a rollback goes back to, a pod's controller, or the PodTemplate
    of a diagnostic Job, if it exists.

    Raises:
        Forbidden: one of them may not be read.
    """
    body = find(kube, target_resource(action), namespace, action.target.name)
    return None if body is None else {**body, RELATED: _related(kube, namespace, action, body, platform_namespace)}


def read_owner(kube: Kube, namespace: str, action: Action) -> Raw | None:
    """The controller that a RestartPod names; None when it is gone."""
    if action.owner is None:
        return None
    return find(kube, OWNERS[action.owner.kind.value], namespace, action.owner.name)


def find(kube: Kube, resource: ResourceType, namespace: str, name: str) -> Raw | None:
    """One object as served; None when there is none."""
    try:
        return kube.get_raw(resource, namespace, name)
    except NotFound:
        return None


def read_job_template(kube: Kube, action: Action, platform_namespace: str) -> Raw | None:
    """The reviewed PodTemplate that a RunJob names; None when the platform brought none of that name."""
    if action.job is None:
        return None
    return find(kube, POD_TEMPLATES, platform_namespace, JOB_PREFIX + action.job.template)


def _related(kube: Kube, namespace: str, action: Action, body: Raw, platform_namespace: str) -> Raw:
    if action.job is not None:
        template = read_job_template(kube, action, platform_namespace)
        return {"podTemplate": template} if template is not None else {}
    if action.rollback is not None:
        found = find(kube, REPLICASETS, namespace, action.rollback.replica_set)
        # Another Deployment's ReplicaSet is no revision of this one.
        return {"replicaSet": found} if found is not None and owned_by(found, body["metadata"]["uid"]) else {}
    owner = read_owner(kube, namespace, action)
    return {"owner": owner} if owner is not None and owned_by(body, owner["metadata"]["uid"]) else {}
