"""The API server over HTTPS: the ``kubernetes`` client's transport and credentials, our own paths and errors.

No discovery and no generated models: every request is one of the few shapes below, with connect and read timeouts and
without hidden retries (the work queue retries, with backoff, and shows it).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

import urllib3
from kubernetes import client as kubernetes_client
from kubernetes import config as kubernetes_config
from kubernetes.client.rest import RESTResponse
from pydantic import ValidationError

from controllers.kube.api import Raw
from controllers.kube.errors import NotFound, Unavailable
from controllers.kube.resources import ResourceType, resource_type
from controllers.kube.wire import brief, lines, owner_reference, parse_object, to_error, with_preconditions, write_query
from controllers.runtime.errors import Terminal
from crds import API_VERSION
from crds.v1alpha1.base import ApiModel, Resource

R = TypeVar("R", bound=Resource)
log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 30.0
WATCH_TIMEOUT = 150.0
"""A watch that is alive brings a bookmark about every minute."""
STREAM_CHUNK = 1 << 16
PAGE = 500
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
JSON = "application/json"
METADATA_ONLY = f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


def connect(kubeconfig: Path | None = None) -> KubeClient:
    """Credentials from ``kubeconfig``, else the pod's ServiceAccount, else ``KUBECONFIG`` or ``~/.kube/config``.

    Raises:
        Terminal: there are none; says what to set.
    """
    configuration = kubernetes_client.Configuration()
    try:
        if kubeconfig is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
            kubernetes_config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        else:
            kubernetes_config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=str(kubeconfig) if kubeconfig else None, client_configuration=configuration
            )
    except kubernetes_config.ConfigException as error:
        raise Terminal(
            "NoCredentials", f"{error}; run inside a cluster or set KUBECONFIG to a kubeconfig file"
        ) from error
    configuration.retries = urllib3.Retry(0)
    configuration.connection_pool_maxsize = 16
    return KubeClient(kubernetes_client.ApiClient(configuration))


class KubeClient:
    """Implements :class:`controllers.kube.api.Kube`; thread-safe."""

    def __init__(self, api: kubernetes_client.ApiClient) -> None:
        self._api = api

    @property
    def address(self) -> str:
        """URL of the API server, for messages."""
        return str(self._api.configuration.host)

    def get(self, kind: type[R], namespace: str, name: str) -> R:
        """See the port."""
        return _parse(kind, self.get_raw(resource_type(kind), namespace, name))

    def find(self, kind: type[R], namespace: str, name: str) -> R | None:
        """See the port."""
        try:
            return self.get(kind, namespace, name)
        except NotFound:
            return None

    def list_all(self, kind: type[R], namespace: str | None = None, *, labels: str = "", fields: str = "") -> list[R]:
        """See the port."""
        found = []
        for item in self.list_raw(resource_type(kind), namespace, labels=labels, fields=fields):
            try:
                found.append(_parse(kind, item))
            except Terminal as error:  # one object of another version must not hide all the others
                log.error("object skipped: %s", error)  # noqa: TRY400  the message says it all
        return found

    def create(
        self,
        kind: type[R],
        namespace: str,
        name: str,
        spec: ApiModel,
        *,
        manager: str,
        labels: dict[str, str] | None = None,
        annotations: dict[str, str] | None = None,
        owner: Resource | None = None,
        dry_run: bool = False,
    ) -> R:
        """See the port."""
        metadata: Raw = {"name": name}
        if labels:
            metadata["labels"] = labels
        if annotations:
            metadata["annotations"] = annotations
        if owner is not None:
            metadata["ownerReferences"] = [owner_reference(owner)]
        body = {"metadata": metadata, "spec": spec.to_wire()}
        return _parse(kind, self.create_raw(resource_type(kind), namespace, body, manager=manager, dry_run=dry_run))

    def apply_status(self, obj: R, status: Raw, *, manager: str, exact: bool = False) -> R:
        """See the port."""
        kind = type(obj)
        metadata = {"name": obj.metadata.name, "uid": obj.metadata.uid}
        if obj.metadata.namespace:
            metadata["namespace"] = obj.metadata.namespace
        if exact:
            metadata["resourceVersion"] = obj.metadata.resource_version
        body = {"apiVersion": API_VERSION, "kind": kind.definition.kind, "metadata": metadata, "status": status}
        path = resource_type(kind).path(obj.metadata.namespace, obj.metadata.name, "status")
        query = {"fieldManager": manager, "force": "true"}
        return _parse(kind, self._request("PATCH", path, query=query, body=body, content_type=APPLY_PATCH))

    def get_raw(self, resource: ResourceType, namespace: str, name: str, subresource: str = "") -> Raw:
        """See the port."""
        return self._request("GET", resource.path(namespace, name, subresource))

    def get_metadata(self, resource: ResourceType, namespace: str, name: str) -> Raw:
        """See the port."""
        return self._request("GET", resource.path(namespace, name), accept=METADATA_ONLY)

    def list_raw(
        self,
        resource: ResourceType,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
    ) -> list[Raw]:
        """See the port."""
        items: list[Raw] = []
        for page in self._pages(resource, namespace, labels, fields, min(limit, PAGE) if limit else PAGE):
            items.extend(page)
            if limit and len(items) >= limit:
                return items[:limit]
        return items

    def create_raw(
        self,
        resource: ResourceType,
        namespace: str,
        body: Raw,
        *,
        manager: str,
        dry_run: bool = False,
        subresource: str = "",
    ) -> Raw:
        """See the port."""
        full = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        name = body["metadata"]["name"] if subresource else None
        path = resource.path(namespace, name, subresource)
        return self._request("POST", path, query=write_query(manager, dry_run=dry_run), body=full)

    def patch_raw(
        self,
        resource: ResourceType,
        namespace: str,
        name: str,
        patch: Raw | list[Raw],
        *,
        manager: str,
        uid: str = "",
        resource_version: str = "",
        subresource: str = "",
        strategic: bool = False,
        dry_run: bool = False,
    ) -> Raw:
        """See the port."""
        content_type = JSON_PATCH if isinstance(patch, list) else STRATEGIC_PATCH if strategic else MERGE_PATCH
        return self._request(
            "PATCH",
            resource.path(namespace, name, subresource),
            query=write_query(manager, dry_run=dry_run),
            body=with_preconditions(patch, uid, resource_version),
            content_type=content_type,
        )

    def delete_raw(
        self,
        resource: ResourceType,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        resource_version: str = "",
        dry_run: bool = False,
    ) -> bool:
        """See the port."""
        preconditions = {key: value for key, value in (("uid", uid), ("resourceVersion", resource_version)) if value}
        body: Raw = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if preconditions:
            body["preconditions"] = preconditions
        query = {"dryRun": "All"} if dry_run else None
        if dry_run:
            # The API server heeds the body; the query is for who reads its audit log, where bodies are left out.
            body["dryRun"] = ["All"]
        try:
            self._request("DELETE", resource.path(namespace, name), query=query, body=body)
        except NotFound:
            return False
        return True

    def served(self, resource: ResourceType) -> bool:
        """See the port."""
        root = f"/apis/{resource.group}" if resource.group else "/api"
        try:
            answer = self._request("GET", f"{root}/{resource.version}")
        except NotFound:
            return False
        return any(item.get("name") == resource.plural for item in answer.get("resources", ()))

    def page(
        self, resource: ResourceType, namespace: str | None, *, limit: int = PAGE, token: str = ""
    ) -> tuple[list[Raw], str, str]:
        """One page of a list: its objects, the list's resourceVersion, and the token of the next page (empty: none).

        Raises:
            Expired: the token is too old; the list has to be begun anew.
        """
        query = {"limit": str(limit)} | ({"continue": token} if token else {})
        accept = METADATA_LIST if resource.metadata_only else JSON
        answer = self._request("GET", resource.path(namespace), query=query, accept=accept)
        metadata = answer.get("metadata") or {}
        return answer.get("items") or [], metadata.get("resourceVersion", ""), metadata.get("continue", "")

    def stream(self, resource: ResourceType, namespace: str | None, version: str, seconds: int) -> Iterator[Raw]:
        """Watch events after ``version``, with bookmarks, for about ``seconds``; ends when the server ends it.

        Raises:
            Expired: ``version`` is too old.
            Unavailable: the connection broke, or nothing came for longer than bookmarks take.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
        }
        accept = METADATA_ONLY if resource.metadata_only else JSON
        response = self._send("GET", resource.path(namespace), query, None, JSON, WATCH_TIMEOUT, accept)
        try:
            if response.status != 200:
                raise to_error(response.status, response.read(), self.address)  # type: ignore[no-untyped-call]
            for line in lines(response.response.stream(STREAM_CHUNK, decode_content=True)):
                yield parse_object(line)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise Unavailable("WatchBroken", f"watch of {resource.plural} at {self.address}: {brief(error)}") from error
        finally:
            response.response.close()

    def _pages(
        self, resource: ResourceType, namespace: str | None, labels: str, fields: str, size: int
    ) -> Iterator[list[Raw]]:
        query = {"limit": str(size)}
        if labels:
            query["labelSelector"] = labels
        if fields:
            query["fieldSelector"] = fields
        while True:
            answer = self._request("GET", resource.path(namespace), query=query)
            yield answer.get("items") or []
            token = answer.get("metadata", {}).get("continue")
            if not token:
                return
            query["continue"] = token

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: Raw | list[Raw] | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> Raw:
        response = self._send(method, path, query, body, content_type, READ_TIMEOUT, accept)
        try:
            payload: bytes = response.read()  # type: ignore[no-untyped-call]
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._silent(error) from error
        if 200 <= response.status < 300:
            return parse_object(payload)
        raise to_error(response.status, payload, self.address)

    def _send(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None,
        body: Raw | list[Raw] | None,
        content_type: str,
        read_timeout: float,
        accept: str = JSON,
    ) -> RESTResponse:
        headers = {"Accept": accept, "User-Agent": "iirp"}
        if body is not None:
            headers["Content-Type"] = content_type
        self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = f"{self.address}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            return self._api.call_api(
                method, url, header_params=headers, body=body, _request_timeout=(CONNECT_TIMEOUT, read_timeout)
            )
        except (urllib3.exceptions.HTTPError, OSError, kubernetes_client.ApiException) as error:
            raise self._silent(error) from error

    def _silent(self, error: Exception) -> Unavailable:
        return Unavailable(
            "ApiServerUnavailable", f"API server {self.address} does not answer ({brief(error)}); will retry"
        )


def _parse(kind: type[R], body: Raw) -> R:
    try:
        return kind.from_wire(body)
    except ValidationError as error:
        metadata, first = body.get("metadata", {}), error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        name = f"{kind.definition.kind} {metadata.get('namespace', '')}/{metadata.get('name', '')}"
        raise Terminal("UnknownShape", f"{name} does not fit the API types: {where}: {first['msg']}") from error
