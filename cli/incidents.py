"""Reads incidents and reports with the credentials that kubectl would use."""

from __future__ import annotations

from pathlib import Path

from cli.errors import plain_errors
from crds.v1alpha1 import Incident, RCAReport

__all__ = ["Reports", "read"]

Reports = dict[tuple[str, str], RCAReport]
"""By namespace and name of their incident."""


@plain_errors()
def read(namespace: str | None, kubeconfig: Path | None) -> tuple[list[Incident], Reports]:
    """All of a namespace, or of the whole cluster."""
    from controllers.kube.client import connect

    kube = connect(kubeconfig)
    incidents, reports = kube.list_all(Incident, namespace), kube.list_all(RCAReport, namespace)
    return incidents, {(one.metadata.namespace, one.spec.incident_ref.name): one for one in reports}
