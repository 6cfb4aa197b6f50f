"""Grants: the names that tie one approved action to one right of the executor (``docs/architecture.md``, "Grants").

``actions.iirp.io`` is a virtual resource: nothing serves it. A Role that allows ``perform`` on one of its names, bound
to the executor, is what the admission policy on the executor's identity asks for.
"""

from __future__ import annotations

from crds.v1alpha1.actions import Action, ActionType

GRANT_RESOURCE = "actions"
GRANT_VERB = "perform"
GRANT_PREFIX = "iirp-grant-"
APPROVAL_LABEL = "iirp.io/approval"
"""On a grant's Role and RoleBinding: name of the Approval that it follows from."""
INCIDENT_LABEL = "iirp.io/incident"


def grant_resource_name(action: Action, action_id: str) -> str:
    """Spells the very action: ``restart.payments.act-…`` or ``scale.payments.3.act-…``."""
    match action.type:
        case ActionType.RESTART_DEPLOYMENT:
            return f"restart.{action.target.name}.{action_id}"
        case ActionType.SCALE_DEPLOYMENT:
            if action.scale is None:
                raise ValueError(f"action {action.id}: ScaleDeployment without scale")
            return f"scale.{action.target.name}.{action.scale.replicas}.{action_id}"


def grant_object_name(action_id: str) -> str:
    """Name of the Role and of the RoleBinding: ``iirp-grant-act-…``."""
    return GRANT_PREFIX + action_id
