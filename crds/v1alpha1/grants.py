"""Grants: the names that tie one approved action to one right of the executor (``docs/architecture.md``, "Grants").

``actions.iirp.io`` is a virtual resource: nothing serves it. A Role that allows ``perform`` on one of its names, bound
to the executor, is what the admission policy on the executor's identity asks for.
"""

from __future__ import annotations

from crds.v1alpha1.actions import Action, Effect

GRANT_RESOURCE = "actions"
GRANT_VERB = "perform"
GRANT_PREFIX = "iirp-grant-"
JOB_PREFIX = "iirp-job-"
"""Of diagnostic Jobs, and of the PodTemplates that they are made from."""
JOB_TEMPLATE_LABEL = "iirp.io/job-template"
"""On both: which template it is."""
APPROVAL_LABEL = "iirp.io/approval"
"""On a grant's Role and RoleBinding: name of the Approval that it follows from."""
TEMPLATE_LABEL = "iirp.io/grant"
"""On the PodTemplate beside a rollback's grant; its value is ``rollback``."""
ROLLBACK_ANNOTATION = "iirp.io/rollback-to"
"""On that PodTemplate, and on a Deployment that was rolled back: name of the ReplicaSet."""


def grant_resource_name(action: Action, action_id: str) -> str:
    """Spells the very action: ``restart.payments.act-…``, ``scale.payments.3.act-…``, ``delete-pod.web-0.<uid>``.

    Deleting a pod carries no annotation, so its grant names the pod's UID in place of the action's id: that, too, can
    happen once only.
    """
    word, name = action.shape.grant, action.target.name
    match action.effect:
        case Effect.SCALE:
            if action.scale is None:
                raise ValueError(f"action {action.id}: {action.type.value} without scale")
            return f"{word}.{name}.{action.scale.replicas}.{action_id}"
        case Effect.ROLLBACK:
            if action.rollback is None:
                raise ValueError(f"action {action.id}: Rollback without rollback")
            return f"{word}.{name}.{action.rollback.replica_set}.{action_id}"
        case Effect.RUN_JOB:
            if action.job is None:
                raise ValueError(f"action {action.id}: RunJob without job")
            return f"{word}.{action.job.template}.{action.job.claim}.{action_id}"
        case Effect.DELETE_POD:
            return f"{word}.{name}.{action.target.uid}"
        case Effect.RESTART | Effect.PAUSE:
            return f"{word}.{name}.{action_id}"


def job_name(action_id: str) -> str:
    """Name of a diagnostic Job: ``iirp-job-act-…``. There can be one of it, so the action can happen once."""
    return JOB_PREFIX + action_id


def grant_object_name(action_id: str) -> str:
    """Name of the Role and of the RoleBinding: ``iirp-grant-act-…``."""
    return GRANT_PREFIX + action_id
