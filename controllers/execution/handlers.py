"""What wakes the executor: plans and approvals. It refuses to start where the API server would not hold it back."""

from __future__ import annotations

from controllers.execution import admission
from controllers.execution.reconcile import ExecutionReconciler
from controllers.kube.resources import DEPLOYMENTS, resource_type
from controllers.runtime.controller import Context, Controller, Watch, list_keys, own_key
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.approval import Approval

PATIENCE = 20.0
"""Seconds that an installation in progress is given to create the admission policies."""


def build(context: Context) -> Controller:
    """Keys are ActionPlans; an Approval has its plan's name.

    Raises:
        AdmissionNotEnforced: the admission policies of the chart are missing or do not deny.
    """
    admission.await_objects(context.kube, PATIENCE)
    return Controller(
        name="execution",
        reconcile=ExecutionReconciler(context).reconcile,
        watches=(Watch(resource_type(ActionPlan), own_key), Watch(resource_type(Approval), own_key)),
        resync=list_keys(context, ActionPlan),
        needs=(DEPLOYMENTS,),
    )
