"""Keeps ``status.valid`` of each ActionPolicy true, so that ``kubectl get apol`` shows a policy that fails closed."""

from __future__ import annotations

from typing import Any, ClassVar

from controllers.kube.errors import NotFound
from controllers.kube.resources import resource_type
from controllers.policy.validity import PolicyEntry, read_policy
from controllers.runtime.controller import Context
from controllers.runtime.names import field_manager
from controllers.runtime.outcome import Done, Key, Outcome
from crds.v1alpha1.actionpolicy import ActionPolicy, ActionPolicyStatus
from crds.v1alpha1.base import Definition, Resource
from crds.v1alpha1.conditions import Wanted, merge

MANAGER = field_manager("policy")


class Readable(Resource):
    """An ActionPolicy without its spec: what is left to write a status to when the spec does not parse."""

    definition: ClassVar[Definition] = ActionPolicy.definition


class PolicyReconciler:
    """One ActionPolicy: is it valid, and if not, why not."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def reconcile(self, key: Key) -> Outcome:
        """Write the status when it differs."""
        try:
            body = self._context.kube.get_raw(resource_type(ActionPolicy), "", key.name)
        except NotFound:
            return Done()
        entry = read_policy(body)
        before = ActionPolicyStatus.model_validate(body.get("status") or {})
        generation = int(body["metadata"].get("generation", 0))
        conditions = merge(before.conditions, [_wanted(entry)], self._context.now(), generation)
        status = ActionPolicyStatus(valid=entry.valid, observed_generation=generation, conditions=conditions)
        if status != before:
            shell = Readable.from_wire(body)
            wire: dict[str, Any] = status.to_wire()
            self._context.kube.apply_status(shell, wire, manager=MANAGER)
        return Done()


def _wanted(entry: PolicyEntry) -> Wanted:
    if entry.valid:
        return Wanted("Valid", True, "Valid", "all rules are in force")
    consequence = "until this is mended, a person decides in the namespaces that it names"
    return Wanted("Valid", False, "Invalid", f"{'; '.join(entry.problems)[:900]} ({consequence})")
