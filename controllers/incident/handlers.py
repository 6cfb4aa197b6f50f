"""What the incident controller watches: incidents and everything of their chain."""

from __future__ import annotations

from collections.abc import Iterable

from controllers.incident.reconcile import IncidentReconciler
from controllers.kube.resources import resource_type
from controllers.runtime.controller import Body, Context, Controller, Watch, incident_key, list_keys, own_key
from controllers.runtime.outcome import Key
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.approval import Approval
from crds.v1alpha1.incident import Incident
from crds.v1alpha1.rcareport import RCAReport


def build(context: Context) -> Controller:
    """Wire the reconcile to its watches."""
    return Controller(
        name="incident",
        reconcile=IncidentReconciler(context).reconcile,
        watches=(
            Watch(resource_type(Incident), own_key),
            Watch(resource_type(RCAReport), incident_key),
            Watch(resource_type(ActionPlan), plan_keys),
            Watch(resource_type(Approval), incident_key),
        ),
        resync=list_keys(context, Incident),
    )


def plan_keys(body: Body) -> Iterable[Key]:
    """By reference, not by label: a person's plan need not carry one."""
    name = ((body.get("spec") or {}).get("incidentRef") or {}).get("name")
    if name:
        yield Key(body["metadata"].get("namespace", ""), name)
