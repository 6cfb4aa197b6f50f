"""Grants as RBAC objects: one Role and one RoleBinding per granted action, owned by the Approval.

The names spell the action; the API server's admission policy on the executor asks for exactly them. Owned by the
Approval, they go with it even when no controller is alive.
"""

from __future__ import annotations

from typing import Any

from controllers.kube.api import Kube
from controllers.kube.errors import AlreadyExists, Forbidden
from controllers.kube.resources import ROLEBINDINGS, ROLES, ResourceType
from controllers.runtime.names import INCIDENT_LABEL, field_manager
from crds import API_VERSION, GROUP
from crds.v1alpha1.actions import Action
from crds.v1alpha1.approval import Approval
from crds.v1alpha1.grants import APPROVAL_LABEL, GRANT_RESOURCE, GRANT_VERB, grant_object_name, grant_resource_name

MANAGER = field_manager("approval")
EXECUTOR = field_manager("execution")
RBAC_GROUP = "rbac.authorization.k8s.io"
LABEL_LIMIT = 63

Raw = dict[str, Any]


def desired(approval: Approval, actions: dict[str, Action], platform_namespace: str) -> dict[str, tuple[Raw, Raw]]:
    """Object name -> (Role, RoleBinding) for actions keyed by their global action id."""
    result = {}
    for action_id, action in actions.items():
        name = grant_object_name(action_id)
        result[name] = (_role(approval, name, action, action_id), _binding(approval, name, platform_namespace))
    return result


def settle(kube: Kube, approval: Approval, wanted: dict[str, tuple[Raw, Raw]]) -> None:
    """Make the namespace hold exactly ``wanted`` of this approval's grants.

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
        return
    for kind, existing, index in ((ROLEBINDINGS, bindings, 1), (ROLES, roles, 0)):
        for name, body in existing.items():
            if name not in wanted or not _same(kind, body, wanted[name][index]):
                kube.delete_raw(kind, namespace, name, uid=body["metadata"]["uid"])
                existing[name] = {}
    for name, (role, binding) in wanted.items():
        for kind, existing, body in ((ROLES, roles, role), (ROLEBINDINGS, bindings, binding)):
            if not existing.get(name):
                _create(kube, kind, namespace, body)


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


def _create(kube: Kube, kind: ResourceType, namespace: str, body: Raw) -> None:
    try:
        kube.create_raw(kind, namespace, body, manager=MANAGER)
    except AlreadyExists:
        # Between our list and now: another run of ours, or somebody's object of that name. The next look compares.
        return


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


def _binding(approval: Approval, name: str, platform_namespace: str) -> Raw:
    return {
        "metadata": _metadata(approval, name),
        "roleRef": {"apiGroup": RBAC_GROUP, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": EXECUTOR, "namespace": platform_namespace}],
    }


def _label(name: str) -> str:
    """Label values are shorter than names; a cut one only makes the selector match more, and owners tell them apart."""
    return name[:LABEL_LIMIT].rstrip("-._")
