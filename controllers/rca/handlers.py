"""What the rca controller watches: its reports."""

from __future__ import annotations

from controllers.kube.resources import resource_type
from controllers.rca.reconcile import RcaReconciler
from controllers.runtime.controller import Context, Controller, Watch, list_keys, own_key
from controllers.runtime.errors import Terminal
from crds.v1alpha1.incident import Incident
from crds.v1alpha1.rcareport import RCAReport


def build(context: Context) -> Controller:
    """Raises Terminal when no analysis server is configured."""
    if context.analysis is None:
        raise Terminal("NotConfigured", "rca needs IIRP_ANALYSIS_URL")
    return Controller(
        name="rca",
        reconcile=RcaReconciler(context, context.analysis).reconcile,
        watches=(Watch(resource_type(RCAReport), own_key),),
        resync=list_keys(context, RCAReport),
        needs=(resource_type(Incident),),
    )
