"""Grants as RBAC objects: one Role and one RoleBinding per granted action, owned by the Approval.

For a rollback also the PodTemplate that it may write.

The names spell the action; the API server's admission policy on the executor asks for exactly them. Owned by the
Approval, they go with it even when no controller is alive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from controllers.kube.api import Kube
from controllers.kube.errors import AlreadyExists, Forbidden
from controllers.kube.facts import parse_time
from controllers.kube.resources import POD_TEMPLATES, ROLEBINDINGS, ROLES, ResourceType
from controllers.kube.targets import find
from controllers.runtime.names import field_manager
from crds import API_VERSION, GROUP
from crds.v1alpha1.actions import Action
from crds.v1alpha1.approval import Approval
from crds.v1alpha1.digest import JsonObject, related, rollback_template
from crds.v1alpha1.grants import (
    APPROVAL_LABEL,
    GRANT_RESOURCE,
    GRANT_VERB,
    ROLLBACK_ANNOTATION,
    TEMPLATE_LABEL,
    grant_object_name,
    grant_resource_name,
)
from crds.v1alpha1.labels import INCIDENT_LABEL

MANAGER = field_manager("approval")
EXECUTOR = field_manager("execution")
RBAC_GROUP = "rbac.authorization.k8s.io"
LABEL_LIMIT = 63
TEMPLATE_LEAD = timedelta(seconds=3)
"""Between a PodTemplate and the grant to write it: far above the lag of an API server's caches."""

Raw = dict[str, Any]
Bodies = Mapping[str, JsonObject | None]


@dataclass(frozen=True)
class Grant:
    """The objects of one granted action."""

    role: Raw
    binding: Raw
    template: Raw | None = None
    """PodTemplate of a rollback, still without its owner, which is the Role."""


def desired(
    approval: Approval, actions: dict[str, Action], bodies: Bodies, platform_namespace: str
) -> dict[str, Grant]:
    """Object name -> grant, for actions keyed by their global action id.

    Args:
        bodies: live targets by the action's id in the plan. A rollback whose ReplicaSet is gone gets no grant.
    """
    result = {}
    for action_id, action in actions.items():
        name = grant_object_name(action_id)
        template = _template(approval, name, action, bodies.get(action.id))
        if template is None and action.rollback is not None:
            continue
        role = _role(approval, name, action, action_id)
        result[name] = Grant(role, _binding(approval, name, platform_namespace), template)
    return result


def settle(kube: Kube, approval: Approval, wanted: dict[str, Grant], now: datetime) -> list[str]:
    """Make the namespace hold exactly ``wanted`` of this approval's grants; returns those that are not in effect yet.

    What is too much goes first, the binding before the role, so that at no moment more is allowed than before.

    Raises:
        Forbidden: the namespace does not opt in to execution (and something is wanted there).
    """
    namespace = approval.metadata.namespace
    try:
        bindings, roles = (_existing(kube, kind, approval) for kind in (ROLEBINDINGS, ROLES))
    except Forbidden:
        if wanted:
            raise
        # Not opted in: then we may not create grants here either, so there are none to take back.
        return []
    for kind, existing in ((ROLEBINDINGS, bindings), (ROLES, roles)):
        for name, body in existing.items():
            grant = wanted.get(name)
            if grant is None or not _same(kind, body, grant.binding if kind is ROLEBINDINGS else grant.role):
                kube.delete_raw(kind, namespace, name, uid=body["metadata"]["uid"])
                existing[name] = {}
    pending = []
    for name, grant in wanted.items():
        role = roles.get(name) or _create(kube, ROLES, namespace, grant.role)
        if not role or (
            grant.template is not None and not _template_settled(kube, namespace, grant.template, role, now)
        ):
            pending.append(name)
            if binding := bindings.get(name):
                kube.delete_raw(ROLEBINDINGS, namespace, name, uid=binding["metadata"]["uid"])
        elif not bindings.get(name):
            _create(kube, ROLEBINDINGS, namespace, grant.binding)
    return pending


def _template_settled(kube: Kube, namespace: str, wanted: Raw, role: Raw, now: datetime) -> bool:
    """Whether the PodTemplate is there, is the one, and has been for so long that every API server knows it.

    The admission policy on rollbacks cannot tell a PodTemplate that it has not seen yet from one that never was, so the
    grant takes effect after it. Owned by the Role, it is collected after the grant has ended.
    """
    name = wanted["metadata"]["name"]
    owner = {"apiVersion": ROLES.api_version, "kind": ROLES.kind, "name": name, "uid": role["metadata"]["uid"]}
    found = find(kube, POD_TEMPLATES, namespace, name)
    if found is None:
        body = {**wanted, "metadata": {**wanted["metadata"], "ownerReferences": [owner]}}
        _create(kube, POD_TEMPLATES, namespace, body)
        return False
    created = parse_time(found["metadata"].get("creationTimestamp"))
    same = all(_part(found, key) == _part(wanted, key) for key in ("spec", "labels", "annotations"))
    ours = owner["uid"] in [one.get("uid") for one in _owners(found)]
    return same and ours and created is not None and now - created >= TEMPLATE_LEAD


def _part(body: Raw, key: str) -> Any:
    template = body["template"]
    return template["spec"] if key == "spec" else (template.get("metadata") or {}).get(key) or {}


def remove_all(kube: Kube, namespace: str, approval_name: str) -> None:
    """Take back what a deleted Approval granted; the garbage collector does the same, later."""
    for kind in (ROLEBINDINGS, ROLES):
        try:
            found = kube.list_raw(kind, namespace, labels=f"{APPROVAL_LABEL}={_label(approval_name)}")
        except Forbidden:
            return
        for body in found:
            if approval_name not in [owner.get("name") for owner in _owners(body)]:
                continue
            kube.delete_raw(kind, namespace, body["metadata"]["name"], uid=body["metadata"]["uid"])


def _create(kube: Kube, kind: ResourceType, namespace: str, body: Raw) -> Raw:
    """The object as created; empty when there is one of that name already."""
    try:
        return kube.create_raw(kind, namespace, body, manager=MANAGER)
    except AlreadyExists:
        # Between our list and now: another run of ours, or somebody's object of that name. The next look compares.
        return {}


def _existing(kube: Kube, kind: ResourceType, approval: Approval) -> dict[str, Raw]:
    found = kube.list_raw(
        kind, approval.metadata.namespace, labels=f"{APPROVAL_LABEL}={_label(approval.metadata.name)}"
    )
    ours = approval.metadata.uid
    return {body["metadata"]["name"]: body for body in found if ours in [owner.get("uid") for owner in _owners(body)]}


def _same(kind: ResourceType, existing: Raw, wanted: Raw) -> bool:
    fields = ("rules",) if kind is ROLES else ("roleRef", "subjects")
    return all(existing.get(name) == wanted[name] for name in fields)


def _owners(body: Raw) -> list[Raw]:
    return body["metadata"].get("ownerReferences") or []


def _metadata(approval: Approval, name: str) -> Raw:
    labels = {"app.kubernetes.io/managed-by": "iirp", APPROVAL_LABEL: _label(approval.metadata.name)}
    if incident := approval.metadata.labels.get(INCIDENT_LABEL):
        labels[INCIDENT_LABEL] = incident
    owner = {
        "apiVersion": API_VERSION,
        "kind": Approval.definition.kind,
        "name": approval.metadata.name,
        "uid": approval.metadata.uid,
    }
    return {"name": name, "namespace": approval.metadata.namespace, "labels": labels, "ownerReferences": [owner]}


def _role(approval: Approval, name: str, action: Action, action_id: str) -> Raw:
    rule = {
        "apiGroups": [GROUP],
        "resources": [GRANT_RESOURCE],
        "resourceNames": [grant_resource_name(action, action_id)],
        "verbs": [GRANT_VERB],
    }
    return {"metadata": _metadata(approval, name), "rules": [rule]}


def _template(approval: Approval, name: str, action: Action, body: JsonObject | None) -> Raw | None:
    kept = related(body, "replicaSet") if body is not None else None
    if action.rollback is None or kept is None:
        return None
    metadata = _metadata(approval, name)
    return {
        "metadata": {
            **{key: value for key, value in metadata.items() if key != "ownerReferences"},
            "labels": {**metadata["labels"], TEMPLATE_LABEL: "rollback"},
            "annotations": {ROLLBACK_ANNOTATION: action.rollback.replica_set},
        },
        "template": rollback_template(kept),
    }


def _binding(approval: Approval, name: str, platform_namespace: str) -> Raw:
    return {
        "metadata": _metadata(approval, name),
        "roleRef": {"apiGroup": RBAC_GROUP, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": EXECUTOR, "namespace": platform_namespace}],
    }


def _label(name: str) -> str:
    """Label values are shorter than names; a cut one only makes the selector match more, and owners tell them apart."""
    return name[:LABEL_LIMIT].rstrip("-._")
