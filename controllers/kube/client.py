"""The API server as the controllers use it: our own paths, queries and patches over :mod:`controllers.kube.transport`.

No discovery and no generated models: every request is one of the few shapes below.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kubernetes import client as kubernetes_client

from controllers.kube.api import R, Raw
from controllers.kube.errors import Conflict, Invalid, NotFound
from controllers.kube.resources import ResourceType, resource_type
from controllers.kube.transport import JSON, Transport, credentials
from controllers.kube.typed import TypedKube, parsed
from controllers.kube.wire import with_preconditions, write_query
from crds import API_VERSION

PAGE = 500
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
METADATA_ONLY = f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


def connect(kubeconfig: Path | None = None) -> KubeClient:
    """With the credentials of :func:`controllers.kube.transport.credentials`.

    Raises:
        Terminal: there are none; says what to set.
    """
    return KubeClient(credentials(kubeconfig))


class KubeClient(TypedKube):
    """Implements :class:`controllers.kube.api.Kube`; thread-safe."""

    def __init__(self, api: kubernetes_client.ApiClient) -> None:
        self._transport = Transport(api)

    @property
    def address(self) -> str:
        """URL of the API server, for messages."""
        return self._transport.address

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
        return parsed(kind, self._transport.request("PATCH", path, query=query, body=body, content_type=APPLY_PATCH))

    def get_raw(self, resource: ResourceType, namespace: str, name: str, subresource: str = "") -> Raw:
        """See the port."""
        return self._transport.request("GET", resource.path(namespace, name, subresource))

    def get_metadata(self, resource: ResourceType, namespace: str, name: str) -> Raw:
        """See the port."""
        return self._transport.request("GET", resource.path(namespace, name), accept=METADATA_ONLY)

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
        return self._transport.request("POST", path, query=write_query(manager, dry_run=dry_run), body=full)

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
        try:
            return self._transport.request(
                "PATCH",
                resource.path(namespace, name, subresource),
                query=write_query(manager, dry_run=dry_run),
                body=with_preconditions(patch, uid, resource_version),
                content_type=content_type,
            )
        except Invalid as error:
            # A JSON Patch whose `test` fails is answered with 422, not 409, and with no reason that could be relied on.
            if content_type != JSON_PATCH or self._is_still(resource, namespace, name, uid, resource_version):
                raise
            raise Conflict("Conflict", f"{name} changed since it was looked at: {error.message}") from error

    def _is_still(self, resource: ResourceType, namespace: str, name: str, uid: str, version: str) -> bool:
        found = self.get_metadata(resource, namespace, name)["metadata"]
        return (not uid or found["uid"] == uid) and (not version or found["resourceVersion"] == version)

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
            self._transport.request("DELETE", resource.path(namespace, name), query=query, body=body)
        except NotFound:
            return False
        return True

    def served(self, resource: ResourceType) -> bool:
        """See the port."""
        root = f"/apis/{resource.group}" if resource.group else "/api"
        try:
            answer = self._transport.request("GET", f"{root}/{resource.version}")
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
        answer = self._transport.request("GET", resource.path(namespace), query=query)
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
        return self._transport.events(resource.path(namespace), query)

    def _pages(
        self, resource: ResourceType, namespace: str | None, labels: str, fields: str, size: int
    ) -> Iterator[list[Raw]]:
        query = {"limit": str(size)}
        if labels:
            query["labelSelector"] = labels
        if fields:
            query["fieldSelector"] = fields
        while True:
            answer = self._transport.request("GET", resource.path(namespace), query=query)
            yield answer.get("items") or []
            token = answer.get("metadata", {}).get("continue")
            if not token:
                return
            query["continue"] = token
