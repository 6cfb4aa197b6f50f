"""What wakes the feedback controller: plans, when their execution ends."""

from __future__ import annotations

from controllers.feedback.reconcile import FeedbackReconciler
from controllers.kube.resources import resource_type
from controllers.runtime.controller import Context, Controller, Watch, list_keys, own_key
from crds.v1alpha1.actionplan import ActionPlan


def build(context: Context) -> Controller:
    """Keys are ActionPlans."""
    return Controller(
        name="feedback",
        reconcile=FeedbackReconciler(context).reconcile,
        watches=(Watch(resource_type(ActionPlan), own_key),),
        resync=list_keys(context, ActionPlan),
    )
