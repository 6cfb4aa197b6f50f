"""Reads from the API server what one decision rests on; policies, target and plans as they are at this moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from controllers.arbitration.autoscalers import horizontal
from controllers.arbitration.decide import arbitrate
from controllers.arbitration.gather import look
from controllers.arbitration.model import Subject
from controllers.arbitration.quota import shortage
from controllers.kube.api import Kube
from controllers.kube.errors import NotFound
from controllers.kube.resources import BUDGETS, NAMESPACES, PODS, resource_type
from controllers.kube.targets import read_target as read_live
from controllers.policy import surroundings
from controllers.policy.claims import claims
from controllers.policy.decide import Observed
from controllers.policy.history import outcomes
from controllers.policy.match import Documents
from controllers.policy.target import Target, read_target
from controllers.policy.validity import PolicyEntry, read_policy
from controllers.runtime.controller import Context
from controllers.runtime.names import service_account
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actionpolicy import ActionPolicy
from crds.v1alpha1.base import Severity
from crds.v1alpha1.digest import JsonObject
from crds.v1alpha1.incident import Incident, IncidentState
from crds.v1alpha1.rcareport import RCAReport

ENDED = frozenset({IncidentState.RESOLVED, IncidentState.RECOVERED, IncidentState.CLOSED})
Live = dict[str, JsonObject | None]


def observe(
    context: Context, plan: ActionPlan, others: tuple[ActionPlan, ...], incident: Incident | None, now: datetime
) -> tuple[Observed, Live]:
    """What policies are held against, and the live targets by action id for the digest.

    Args:
        others: all other plans of the plan's namespace; those of the other namespaces are read here.
    """
    kube, namespace, platform = context.kube, plan.metadata.namespace, context.settings.namespace
    live: Live = {action.id: read_live(kube, namespace, action, platform) for action in plan.spec.actions}
    subjects = {
        action.id: look(kube, action, body, context.settings.argocd_namespace)
        for action in plan.spec.actions
        if (body := live[action.id]) is not None
    }
    budgets = kube.list_raw(BUDGETS, namespace)
    targets = {
        key: read_target(body, _autoscaler(subjects.get(key)), budgets, _pods(kube, namespace, body))
        if body is not None
        else None
        for key, body in live.items()
    }
    targets = {key: _with_boundary(kube, namespace, target, live[key]) for key, target in targets.items()}
    everywhere = (*others, *_elsewhere(context, namespace))
    observed = Observed(
        plan=plan,
        severity=severity_of(incident),
        policies=policies(kube),
        targets=targets,
        claims=claims(plan, everywhere, now),
        past=tuple(outcomes(everywhere)),
        incident_ended=incident is None or incident.status.state in ENDED,
        documents=_documents(kube, plan, incident),
        proposer=service_account(context.settings.namespace, "incident"),
        writers={key: arbitrate(subject) for key, subject in subjects.items()},
        shortages={key: text for key, subject in subjects.items() if (text := shortage(subject))},
    )
    return observed, live


def _pods(kube: Kube, namespace: str, body: JsonObject) -> list[dict[str, Any]]:
    """A superset of the workload's pods; a DaemonSet's number is in its status, and a pod has none."""
    selector = body["spec"].get("selector")
    if selector is None or "desiredNumberScheduled" in (body.get("status") or {}):
        return []
    labels = selector.get("matchLabels") or {}
    return kube.list_raw(PODS, namespace, labels=",".join(f"{key}={value}" for key, value in sorted(labels.items())))


def _with_boundary(kube: Kube, namespace: str, target: Target | None, body: JsonObject | None) -> Target | None:
    """A rollback's target with what it would leave on the other side."""
    if target is None or body is None:
        return target
    found = surroundings.look(kube, namespace, body)
    return replace(target, crossed=found.message(), missing=", ".join(found.missing))


def policies(kube: Kube) -> tuple[PolicyEntry, ...]:
    """All ActionPolicies, readable or not."""
    return tuple(read_policy(body) for body in kube.list_raw(resource_type(ActionPolicy)))


def severity_of(incident: Incident | None) -> Severity:
    """Unknown severity counts as the worst: rules for severe incidents are the strict ones."""
    if incident is None:
        return Severity.CRITICAL
    return incident.status.severity or incident.spec.severity


def _autoscaler(subject: Subject | None) -> str:
    """Name of the HorizontalPodAutoscaler that sets the target's replicas; it leaves a target at 0 alone."""
    found = horizontal(subject) if subject is not None else None
    idle = subject is not None and int(subject.live["spec"].get("replicas", 1)) == 0
    return str(found["metadata"]["name"]) if found is not None and not idle else ""


def _elsewhere(context: Context, namespace: str) -> tuple[ActionPlan, ...]:
    spaces: tuple[str | None, ...] = context.settings.namespaces or (None,)
    plans = (plan for space in spaces if space != namespace for plan in context.kube.list_all(ActionPlan, space))
    return tuple(plan for plan in plans if plan.metadata.namespace != namespace)


def _documents(kube: Kube, plan: ActionPlan, incident: Incident | None) -> Documents:
    """What conditions may speak about. The report is the one that recommended the plan."""
    ref = plan.spec.report_ref
    report = kube.find(RCAReport, plan.metadata.namespace, ref.name) if ref is not None else None
    if report is not None and ref is not None and report.metadata.uid != ref.uid:
        report = None
    return Documents(
        incident=_document(incident) if incident is not None else {},
        report=_document(report) if report is not None else {},
        namespace=_namespace(kube, plan.metadata.namespace),
    )


def _document(found: Incident | RCAReport) -> dict[str, Any]:
    metadata = found.metadata
    return {
        "metadata": {"name": metadata.name, "namespace": metadata.namespace, "labels": metadata.labels},
        "spec": found.spec.to_wire(),
        "status": found.status.to_wire(),
    }


def _namespace(kube: Kube, name: str) -> dict[str, Any]:
    try:
        labels = kube.get_raw(NAMESPACES, "", name)["metadata"].get("labels") or {}
    except NotFound:
        labels = {}
    return {"metadata": {"name": name, "labels": labels}}
