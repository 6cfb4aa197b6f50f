"""The port to the API server. ``KubeClient`` implements it for real, ``FakeKube`` of the tests in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeVar

from controllers.kube.resources import ResourceType
from crds.v1alpha1.base import ApiModel, Resource

R = TypeVar("R", bound=Resource)
Raw = dict[str, Any]


class Kube(Protocol):
    """All methods raise the errors of :mod:`controllers.kube.errors`; every call has connect and read timeouts."""

    # Our own kinds, typed.

    def get(self, kind: type[R], namespace: str, name: str) -> R:
        """Read one object (from etcd, never from a cache). Raises NotFound."""

    def find(self, kind: type[R], namespace: str, name: str) -> R | None:
        """Like :meth:`get`; None when there is none."""

    def list_all(self, kind: type[R], namespace: str | None = None, *, labels: str = "", fields: str = "") -> list[R]:
        """All objects, paged underneath. ``namespace`` None lists the whole cluster."""

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
        """Create; ``owner`` becomes an ownerReference that does not block deletion. Raises AlreadyExists."""

    def apply_status(self, obj: R, status: Raw, *, manager: str, exact: bool = False) -> R:
        """Server-side apply of ``status`` (camelCase) with force, for exactly this object (its UID is a precondition).

        ``status`` must hold all that ``manager`` owns: what it owned and is not named any more is removed. ``exact``:
        for exactly this version of it. Raises Conflict when the object is another one, or another version, by now.
        """

    # Anything else, as plain dicts.

    def get_raw(self, resource: ResourceType, namespace: str, name: str, subresource: str = "") -> Raw:
        """Read one object. Raises NotFound."""

    def get_metadata(self, resource: ResourceType, namespace: str, name: str) -> Raw:
        """Read one object's metadata; the API server leaves out all the rest. Raises NotFound."""

    def list_raw(
        self,
        resource: ResourceType,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
    ) -> list[Raw]:
        """All objects, paged underneath; ``limit`` > 0 stops after that many."""

    def page(
        self, resource: ResourceType, namespace: str | None, *, limit: int = ..., token: str = ...
    ) -> tuple[list[Raw], str, str]:
        """One page of a list: objects, resourceVersion, token of the next page (empty: the last). Raises Expired."""

    def stream(self, resource: ResourceType, namespace: str | None, version: str, seconds: int) -> Iterator[Raw]:
        """Watch events after ``version``, with bookmarks, for about ``seconds``. Raises Expired, Unavailable."""

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
        """Create; ``body`` needs metadata (name or generateName). ``apiVersion`` and ``kind`` are filled in."""

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
        """Merge patch (dict), strategic merge patch (dict with ``strategic``) or JSON patch (list).

        ``uid`` and ``resource_version`` are preconditions (Conflict otherwise); for a JSON patch they become tests.
        """

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
        """Delete in the background. False when it was not there (any more)."""

    def served(self, resource: ResourceType) -> bool:
        """Whether the API server serves this resource."""
