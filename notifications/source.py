"""Incidents from the API server, with the pod's own ServiceAccount, or with an address, a token file and a CA."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import requests
from pydantic import ValidationError

from crds import API_VERSION
from crds.v1alpha1.incident import Incident

__all__ = ["Source", "SourceError", "in_cluster"]

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TIMEOUT = (5.0, 30.0)
_PAGE = 200
_ADVICE = {
    401: "; the token is not, or no longer, valid there",
    403: "; the token's account may not list incidents: ClusterRole iirp-notifications",
    404: "; the platform's kinds are not installed there",
}


class SourceError(Exception):
    """The API server did not answer as expected."""


class Source:
    """Reads, in pages; the token is read anew for each pass, since the kubelet renews it."""

    def __init__(self, url: str, token_file: Path, ca_file: Path | None = None, namespaces: Sequence[str] = ()) -> None:
        self.url = url.rstrip("/")
        self._paths = [f"namespaces/{name}/incidents" for name in namespaces] or ["incidents"]
        self._token_file = token_file
        self._verify: str | bool = str(ca_file) if ca_file else True

    def incidents(self) -> Iterator[Incident]:
        """All incidents, or those of the named namespaces. Raises SourceError."""
        for path in self._paths:
            yield from self._listed(path)

    def _listed(self, path: str) -> Iterator[Incident]:
        proceed = ""
        while True:
            answer = self._page(path, proceed)
            for item in answer.get("items") or ():
                try:
                    yield Incident.from_wire(item)
                except ValidationError:
                    continue  # of another version; it does not hide the others
            proceed = (answer.get("metadata") or {}).get("continue") or ""
            if not proceed:
                return

    def _page(self, path: str, proceed: str) -> dict[str, Any]:
        wanted: dict[str, str | int] = {"limit": _PAGE}
        if proceed:
            wanted["continue"] = proceed
        try:
            token = self._token_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SourceError(f"the token cannot be read: {error}") from error
        try:
            answer = requests.get(
                f"{self.url}/apis/{API_VERSION}/{path}",
                params=wanted,
                headers={"Authorization": f"Bearer {token}"},
                timeout=_TIMEOUT, verify=self._verify,
            )  # fmt: skip
        except (requests.RequestException, OSError) as error:
            raise SourceError(f"the API server {self.url} cannot be asked: {type(error).__name__}") from error
        if answer.status_code != 200:
            advice = _ADVICE.get(answer.status_code, "")
            raise SourceError(f"the API server answered {answer.status_code} to the list of {path}{advice}")
        try:
            body: dict[str, Any] = answer.json()
        except ValueError as error:
            raise SourceError("the API server's answer is no JSON") from error
        return body


def in_cluster(namespaces: Sequence[str] = (), env: Mapping[str, str] = os.environ) -> Source:
    """The API server of the pod's own cluster. Raises SourceError outside of one."""
    host, port = env.get("KUBERNETES_SERVICE_HOST"), env.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise SourceError("not in a pod: give --api, --token-file and --ca-file")
    address = f"[{host}]" if ":" in host else host  # IPv6
    return Source(f"https://{address}:{port}", _ACCOUNT / "token", _ACCOUNT / "ca.crt", namespaces)
