"""Are the admission policies in force that make S1 to S3 the API server's business and not only ours?

Two questions, because one answer alone can be wrong: the policy objects exist and deny, and a write that they must
refuse is in fact refused. The second is a server-side dry run of a restart whose grant cannot exist: nothing changes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from controllers.execution.writes import MANAGER, Order, send
from controllers.kube.api import Kube
from controllers.kube.errors import Forbidden, NotFound
from controllers.kube.resources import (
    MUTATING_BINDINGS,
    MUTATING_POLICIES,
    MUTATING_WEBHOOKS,
    VALIDATING_BINDINGS,
    VALIDATING_POLICIES,
)
from controllers.kube.targets import target_resource
from controllers.runtime.errors import Terminal, Waiting
from crds import GROUP
from crds.v1alpha1.actions import Effect
from crds.v1alpha1.patches import restart_patch

log = logging.getLogger(__name__)

EXECUTOR_POLICY = "iirp-executor"
VALIDATING = (
    "iirp-approvals",
    "iirp-actionplans",
    EXECUTOR_POLICY,
    "iirp-executor-jobs",
    "iirp-executor-rollback",
    "iirp-executor-stop",
    "iirp-grants",
    "iirp-job-names",
)
MUTATING = ("iirp-decisions",)
UNGRANTED = "act-0000000000000000"
"""No action hashes to this in practice, and the approval controller grants only what a plan names."""
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
RETRY = 10.0
POLL = 1.0
GRANT_RETRY = 0.5
HINT = "install the chart's admission policies (they come with it) before the executor"


class AdmissionNotEnforced(Terminal):
    """The API server would not hold this executor back, so nothing may be written."""


def check_objects(kube: Kube) -> None:
    """All policies are there, fail closed, and are bound so that they deny.

    Raises:
        AdmissionNotEnforced: naming what is missing or lax.
    """
    problems = [problem for name in VALIDATING for problem in _validating_problems(kube, name)]
    problems += [problem for name in MUTATING for problem in _decision_problems(kube, name)]
    if problems:
        raise AdmissionNotEnforced("AdmissionNotEnforced", f"{'; '.join(problems)}: {HINT}")


def await_objects(
    kube: Kube,
    patience: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """:func:`check_objects`, with patience: Helm starts Deployments a moment before it creates the policies.

    Raises:
        AdmissionNotEnforced: still so after ``patience`` seconds.
    """
    deadline = clock() + patience
    while True:
        try:
            return check_objects(kube)
        except AdmissionNotEnforced as error:
            if clock() >= deadline:
                raise
            log.warning("waiting: %s", error, extra={"reason": error.reason})
        sleep(POLL)


def check_effect(kube: Kube, ungranted: Order) -> None:
    """The API server refuses this executor a write to the action's target that no grant can cover.

    A restart of an action that nobody granted; for a pod, its deletion whatever its UID; for a diagnostic Job, another.

    Raises:
        AdmissionNotEnforced: it would have let it through.
        NotFound: the target is gone.
        Waiting: it refused for another reason, which proves nothing yet; says which.
    """
    action, namespace = ungranted.action, ungranted.namespace
    resource, name = target_resource(action), action.target.name
    try:
        if action.effect is Effect.RUN_JOB:
            send(kube, ungranted, dry_run=True)
        elif action.effect is Effect.DELETE_POD:
            if not kube.delete_raw(resource, namespace, name, dry_run=True):
                return  # gone: there is nothing to be let through to, and the write itself will find nothing
        else:
            patch = restart_patch(ungranted.action_id, ungranted.started_at)
            kube.patch_raw(resource, namespace, name, patch, manager=MANAGER, dry_run=True)
    except Forbidden as error:
        if held_back(error):
            return
        raise waiting_for(error, namespace) from error
    message = f"a change of {action.target.short()} in {namespace} without any grant would be let through: {HINT}"
    raise AdmissionNotEnforced("AdmissionNotEnforced", message)


def waiting_for(error: Forbidden, namespace: str) -> Waiting:
    """A refusal that may end without us: which one it is."""
    if stopped(error):
        return Waiting("EmergencyStop", RETRY, error.message)
    if grant_missing(error):
        # The authorizer sees a new Role a moment after it was written.
        return Waiting("GrantPending", GRANT_RETRY, error.message)
    if by_policy(error):
        return Waiting("RefusedByAdmission", RETRY, error.message)
    hint = f"bind the executor's Role in namespace {namespace} (chart value execution.namespaces)"
    return Waiting("NotOptedIn", RETRY, f"{error.message}: {hint}")


def by_policy(error: Forbidden) -> bool:
    """Whether an admission policy refused, not RBAC."""
    return "ValidatingAdmissionPolicy" in error.message


def held_back(error: Forbidden) -> bool:
    """The policy on the executor refused, for whatever reason of its own."""
    return by_policy(error) and f"'{EXECUTOR_POLICY}'" in error.message


def grant_missing(error: Forbidden) -> bool:
    """The policy on the executor refused for want of the grant: RBAC may not have seen it yet, or it was taken back."""
    return held_back(error) and "needs the grant" in error.message


def stopped(error: Forbidden) -> bool:
    """The API server refused because of the emergency stop."""
    return by_policy(error) and "emergency stop" in error.message


def _validating_problems(kube: Kube, name: str) -> list[str]:
    try:
        policy = kube.get_raw(VALIDATING_POLICIES, "", name)
        binding = kube.get_raw(VALIDATING_BINDINGS, "", name)
    except NotFound:
        return [f"ValidatingAdmissionPolicy {name} or its binding does not exist"]
    except Forbidden as error:
        return [f"ValidatingAdmissionPolicy {name} may not be read ({error.message})"]
    problems = _lax(policy, f"ValidatingAdmissionPolicy {name}")
    if "Deny" not in (binding["spec"].get("validationActions") or ()):
        problems.append(f"the binding of ValidatingAdmissionPolicy {name} does not deny")
    return problems


def _decision_problems(kube: Kube, name: str) -> list[str]:
    """One of the two ways in which an annotated decision becomes an entry is in force; never both missing."""
    by_policy = _mutating_problems(kube, name)
    if not by_policy:
        return []
    by_webhook = _webhook_problems(kube, name)
    return [f"{' and '.join(by_policy)}, and {' and '.join(by_webhook)}"] if by_webhook else []


def _webhook_problems(kube: Kube, name: str) -> list[str]:
    what = f"MutatingWebhookConfiguration {name}"
    try:
        hooks = kube.get_raw(MUTATING_WEBHOOKS, "", name).get("webhooks") or []
    except NotFound:
        return [f"{what} does not exist"]
    except Forbidden as error:
        return [f"{what} may not be read ({error.message})"]
    hook = next((hook for hook in hooks if _sees_decisions(hook)), None)
    if hook is None:
        return [f"{what} does not see updates of approvals"]
    problems = []
    if hook.get("failurePolicy", "Fail") != "Fail":
        problems.append(f"{what} has failurePolicy {hook['failurePolicy']}, must be Fail")
    if not hook["clientConfig"].get("caBundle"):
        problems.append(f"{what} has no caBundle yet")
    return problems


def _sees_decisions(hook: dict[str, Any]) -> bool:
    return any(
        GROUP in rule.get("apiGroups", ())
        and "approvals" in rule.get("resources", ())
        and "UPDATE" in rule["operations"]
        for rule in hook.get("rules") or ()
    )


def _mutating_problems(kube: Kube, name: str) -> list[str]:
    try:
        policy = kube.get_raw(MUTATING_POLICIES, "", name)
        kube.get_raw(MUTATING_BINDINGS, "", name)
    except NotFound:
        return [f"MutatingAdmissionPolicy {name} or its binding does not exist"]
    except Forbidden as error:
        return [f"MutatingAdmissionPolicy {name} may not be read ({error.message})"]
    return _lax(policy, f"MutatingAdmissionPolicy {name}")


def _lax(policy: dict[str, Any], what: str) -> list[str]:
    """``Ignore`` would let a write through when the policy cannot be evaluated."""
    if policy["spec"].get("failurePolicy", "Fail") != "Fail":
        return [f"{what} has failurePolicy {policy['spec']['failurePolicy']}, must be Fail"]
    return []
