"""What wakes the approval controller: approvals, and the plans that they are about."""

from __future__ import annotations

from controllers.approval.reconcile import ApprovalReconciler
from controllers.kube.resources import resource_type
from controllers.runtime.controller import Context, Controller, Watch, list_keys, own_key
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.approval import Approval


def build(context: Context) -> Controller:
    """Keys are Approvals; an Approval has its plan's name."""
    return Controller(
        name="approval",
        reconcile=ApprovalReconciler(context).reconcile,
        watches=(Watch(resource_type(Approval), own_key), Watch(resource_type(ActionPlan), own_key)),
        resync=list_keys(context, Approval),
    )
