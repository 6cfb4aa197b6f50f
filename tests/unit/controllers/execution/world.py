"""A FakeKube that refuses the executor what the admission policies refuse, and that can kill it at any call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from controllers.execution.admission import MUTATING, VALIDATING
from controllers.execution.reconcile import ExecutionReconciler
from controllers.kube.errors import Forbidden, KubeError
from controllers.kube.resources import (
    JOBS,
    MUTATING_BINDINGS,
    MUTATING_POLICIES,
    VALIDATING_BINDINGS,
    VALIDATING_POLICIES,
    ResourceType,
)
from controllers.runtime.controller import Context
from controllers.runtime.errors import ReconcileError, Retryable
from controllers.runtime.outcome import Key
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.digest import ACTION_ID_ANNOTATION
from crds.v1alpha1.execution import ExecutionStatus
from tests.fakes.chain import NS, PLAN, Clock, context, ready_plan
from tests.fakes.kube import FakeKube
from tests.fakes.workloads import add_all

RBAC_REFUSAL = 'deployments.apps "payments" is forbidden: User cannot patch resource "deployments"'
POLICY = "ValidatingAdmissionPolicy 'iirp-executor' with binding 'iirp-executor' denied request: "
KEY = Key(NS, PLAN)


class Killed(BaseException):
    """kill -9: not an Exception, so no handler of ours can catch it."""


class World(FakeKube):
    """``kill_at`` counts port calls; the process dies before or after that call takes effect."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.calls = 0
        self.kill_at = -1
        self.kill_before = True
        self.lose_answer_at = -1
        self.enforced = True
        self.opted_in = True
        self.granted = True
        self.effects: list[str] = []
        self.fail = self._refuse
        add_all(self)
        for name in VALIDATING:
            self.add_raw(VALIDATING_POLICIES, {"metadata": {"name": name}, "spec": {"failurePolicy": "Fail"}})
            self.add_raw(VALIDATING_BINDINGS, {"metadata": {"name": name}, "spec": {"validationActions": ["Deny"]}})
        for name in MUTATING:
            self.add_raw(MUTATING_POLICIES, {"metadata": {"name": name}, "spec": {"failurePolicy": "Fail"}})
            self.add_raw(MUTATING_BINDINGS, {"metadata": {"name": name}, "spec": {}})

    def patch_raw(self, resource: ResourceType, namespace: str, name: str, patch: Any, **options: Any) -> Any:
        def call() -> Any:
            self._admit(_id_of(patch))
            before = self.objects[resource.plural, namespace, name]["metadata"]["resourceVersion"]
            answer = super(World, self).patch_raw(resource, namespace, name, patch, **options)
            if self.objects[resource.plural, namespace, name]["metadata"]["resourceVersion"] != before:
                self.effects.append(_id_of(patch))
            return answer

        return self._counted(call)

    def create_raw(self, resource: ResourceType, namespace: str, body: Any, **options: Any) -> Any:
        if resource is not JOBS:
            return super().create_raw(resource, namespace, body, **options)

        def call() -> Any:
            identity = body["metadata"]["annotations"][ACTION_ID_ANNOTATION]
            self._admit(identity)
            answer = super(World, self).create_raw(resource, namespace, body, **options)
            if not options.get("dry_run"):
                self.effects.append(identity)
            return answer

        return self._counted(call)

    def delete_raw(self, resource: ResourceType, namespace: str, name: str, **options: Any) -> bool:
        def call() -> bool:
            if not options.get("uid"):
                raise Forbidden("Forbidden", POLICY + f"the executor may not delete {name} but by its UID")
            self._admit("by uid")
            found = super(World, self).delete_raw(resource, namespace, name, **options)
            if found and not options.get("dry_run"):
                self.effects.append(options["uid"])
            return found

        answer: bool = self._counted(call)
        return answer

    def apply_status(self, obj: Any, status: Any, *, manager: str, exact: bool = False) -> Any:
        return self._counted(lambda: super(World, self).apply_status(obj, status, manager=manager, exact=exact))

    def _counted(self, call: Any) -> Any:
        self.calls += 1
        number = self.calls
        if number == self.kill_at and self.kill_before:
            raise Killed
        answer = call()
        if number == self.kill_at:
            raise Killed
        if number == self.lose_answer_at:
            raise Retryable("ApiServerUnavailable", "the connection broke before the answer")
        return answer

    def _admit(self, identity: str) -> None:
        if not self.opted_in:
            raise Forbidden("Forbidden", RBAC_REFUSAL)
        if self.enforced and (not self.granted or identity == "act-0000000000000000"):
            message = f"the executor may not restart payments: needs the grant restart.payments.{identity}"
            raise Forbidden("Forbidden", POLICY + message)

    def _refuse(self, *_: str) -> KubeError | None:
        return None

    @property
    def execution(self) -> ExecutionStatus | None:
        return self.get(ActionPlan, NS, PLAN).status.execution


def _id_of(patch: Any) -> str:
    if isinstance(patch, list):
        return str(next(one["value"] for one in patch if one["path"].endswith("iirp.io~1action-id")))
    metadata = patch.get("spec", {}).get("template", {}).get("metadata") or patch.get("metadata", {})
    return str(metadata["annotations"][ACTION_ID_ANNOTATION])


def run(world: World, clock: Clock, **settings: Any) -> str:
    """One reconcile by a fresh process; the reason when it raised, else the outcome's name."""
    try:
        return type(ExecutionReconciler(make(world, clock, **settings)).reconcile(KEY)).__name__
    except ReconcileError as error:
        return error.reason


def make(world: World, clock: Clock, **settings: Any) -> Context:
    return context(world, clock, **settings)


Change = Callable[[World, Clock], Any]


def prepared(*actions: Any) -> tuple[World, Clock]:
    clock = Clock()
    world = World(clock)
    ready_plan(world, *actions)
    return world, clock


def stored(world: World, plural: str = "deployments", name: str = "payments") -> dict[str, Any]:
    return world.objects[plural, NS, name]


def change_image(world: World, clock: Clock) -> None:
    stored(world)["spec"]["template"]["spec"]["containers"][0]["image"] = "shop:v2"


def delete_target(world: World, clock: Clock) -> None:
    del world.objects["deployments", NS, "payments"]
