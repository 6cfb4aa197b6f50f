"""What wakes the policy controller: plans, their approvals, and policies."""

from __future__ import annotations

from collections.abc import Iterable

from controllers.kube.resources import resource_type
from controllers.policy.policies import PolicyReconciler
from controllers.policy.reconcile import PlanReconciler
from controllers.runtime.controller import Body, Context, Controller, Watch, list_keys, own_key
from controllers.runtime.outcome import Key, Outcome
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actionpolicy import ActionPolicy
from crds.v1alpha1.approval import Approval


def build(context: Context) -> Controller:
    """Keys with a namespace are ActionPlans, keys without one ActionPolicies (cluster-scoped)."""
    plans, policies = PlanReconciler(context), PolicyReconciler(context)
    all_plans = list_keys(context, ActionPlan)

    def all_policies() -> list[Key]:
        # Not list_keys: a policy that does not parse must get its status too.
        return [Key("", body["metadata"]["name"]) for body in context.kube.list_raw(resource_type(ActionPolicy))]

    def reconcile(key: Key) -> Outcome:
        return plans.reconcile(key) if key.namespace else policies.reconcile(key)

    return Controller(
        name="policy",
        reconcile=reconcile,
        watches=(
            Watch(resource_type(ActionPlan), own_key),
            Watch(resource_type(Approval), plan_of_approval),
            Watch(resource_type(ActionPolicy), own_key),
        ),
        resync=lambda: [*all_policies(), *all_plans()],
    )


def plan_of_approval(body: Body) -> Iterable[Key]:
    """The plan that an Approval is about."""
    name = body.get("spec", {}).get("planRef", {}).get("name")
    if name:
        yield Key(body["metadata"].get("namespace", ""), name)
