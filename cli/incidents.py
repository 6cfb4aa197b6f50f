"""Reads incidents and reports with the credentials that kubectl would use."""

from __future__ import annotations

from typing import Any

from pykube.config import KubeConfig
from pykube.http import HTTPClient

from crds.v1alpha1 import Incident, RCAReport

__all__ = ["Reports", "read"]

Reports = dict[tuple[str, str], RCAReport]
_API = "iirp.io/v1alpha1"
_TIMEOUT = 10.0


def read(namespace: str | None, kubeconfig: str | None) -> tuple[list[Incident], Reports]:
    """Incidents and, by namespace and incident name, their reports.

    Raises:
        requests.RequestException: the API server does not answer, or refuses.
        OSError, KeyError, ValueError, PyKubeError: the kubeconfig cannot be used.
        pydantic.ValidationError: an object is not of our shape.
    """
    loader: Any = KubeConfig  # pykube has no type hints
    config = loader.from_file(kubeconfig) if kubeconfig else loader.from_env()
    client: Any = HTTPClient(config, timeout=_TIMEOUT)
    try:
        incidents = [Incident.from_wire(one) for one in _list(client, "incidents", namespace)]
        reports = [RCAReport.from_wire(one) for one in _list(client, "rcareports", namespace)]
    finally:
        client.session.close()
    return incidents, {(one.metadata.namespace, one.spec.incident_ref.name): one for one in reports}


def _list(client: Any, plural: str, namespace: str | None) -> list[dict[str, Any]]:
    scope = {"namespace": namespace} if namespace else {}
    response = client.get(version=_API, url=plural, **scope)
    response.raise_for_status()
    items: list[dict[str, Any]] = response.json()["items"]
    return items
