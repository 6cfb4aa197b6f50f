"""Version v1alpha1: Incident, RCAReport, ActionPlan, Approval (namespaced) and ActionPolicy (cluster-scoped)."""

from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actionpolicy import ActionPolicy
from crds.v1alpha1.approval import Approval
from crds.v1alpha1.incident import Incident
from crds.v1alpha1.rcareport import RCAReport

KINDS = (Incident, RCAReport, ActionPlan, Approval, ActionPolicy)

__all__ = ["KINDS", "ActionPlan", "ActionPolicy", "Approval", "Incident", "RCAReport"]
