"""Plans, policies and rulings for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from controllers.policy.claims import claims
from controllers.policy.decide import Observed, Ruling, decide
from controllers.policy.history import outcomes
from controllers.policy.match import Documents
from controllers.policy.target import Target
from controllers.policy.validity import PolicyEntry, read_policy
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actions import Action
from crds.v1alpha1.base import Severity
from tests.fakes.chain import NS, plan_spec
from tests.fakes.kube import START

UID = f"uid-deployments-{NS}-payments"
LIVE = Target(uid=UID, replicas=2)
HEX = "sha256:" + "0" * 64


def policy(*rules: Mapping[str, Any], name: str = "shop") -> PolicyEntry:
    """An ActionPolicy as read."""
    return read_policy({"metadata": {"name": name}, "spec": {"rules": list(rules)}})


def plan(*actions: Action, confidence: int = 84, name: str = "p-1", namespace: str = NS, **rest: Any) -> ActionPlan:
    """A plan as served; ``labels``, ``cause`` and ``undoes`` besides what goes into its status."""
    spec = plan_spec(*actions, confidence=confidence).to_wire()
    if cause := rest.pop("cause", ""):
        spec["causeKind"] = cause
    if (undoes := rest.pop("undoes", None)) is not None:
        spec["undoes"] = undoes.to_wire()
    labels = rest.pop("labels", {})
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-{namespace}-{name}", "labels": labels}
    return ActionPlan.from_wire({"metadata": metadata, "spec": spec, "status": rest})


def rule_on(
    *policies: PolicyEntry,
    of: ActionPlan | None = None,
    severity: Severity = Severity.HIGH,
    target: Target | None = LIVE,
    now: datetime = START,
    documents: Documents | None = None,
    others: Iterable[ActionPlan] = (),
    **rest: Any,
) -> Ruling:
    """The ruling on a plan whose actions all have this target."""
    of, others = of or plan(), tuple(others)
    targets = {action.id: target for action in of.spec.actions}
    observed = Observed(
        plan=of,
        severity=severity,
        policies=policies,
        targets=targets,
        claims=claims(of, others, now),
        past=tuple(outcomes(others)),
        documents=documents or Documents(),
        **rest,
    )
    return decide(observed, now)


def done(
    name: str,
    hours_ago: float,
    verdict: str | None = "Effective",
    *actions: Action,
    phase: str = "Succeeded",
    workload_class: str = "",
    **rest: Any,
) -> ActionPlan:
    """A plan that was carried out ``hours_ago`` and judged."""
    of = plan(*actions, name=name)
    at = (START - timedelta(hours=hours_ago)).isoformat()
    reason = rest.pop("reason", "RolloutTimeout")
    found = rest.pop("found", None)
    more = {"undo": {"scale": {"replicas": found}}} if found is not None else {}
    results = [
        {"id": a.id, "actionId": f"act-{a.id}", "phase": phase, "reason": reason, "startedAt": at, **more}
        for a in of.spec.actions
    ]
    execution = {"phase": phase, "reason": "X", "startedAt": at, "finishedAt": at, "actions": results}
    status: dict[str, Any] = {"execution": execution, "state": "Executed"}
    if verdict is not None:
        window = {"start": at, "end": at}
        status["verification"] = {"verdict": verdict, "reason": "Measured", "window": window, "completedAt": at}
    status["decision"] = {
        "tier": "HumanApproval", "reason": "X", "message": "", "planDigest": HEX, "requiredApprovals": 1,
        "decidedAt": at, "expiresAt": at, "workloadClass": workload_class,
    }  # fmt: skip
    return plan(*actions, name=name, **status, **rest)
