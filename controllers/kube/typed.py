"""Our own kinds over the raw calls: the same for the real API server and for the one in memory that tests use."""

from __future__ import annotations

import logging

from pydantic import ValidationError

from controllers.kube.api import Kube, R, Raw
from controllers.kube.errors import NotFound
from controllers.kube.resources import resource_type
from controllers.kube.wire import owner_reference
from controllers.runtime.errors import Terminal
from crds.v1alpha1.base import ApiModel, Resource

log = logging.getLogger(__name__)


class TypedKube(Kube):
    """The typed half of the port; who inherits it brings the raw half, and ``apply_status``."""

    def get(self, kind: type[R], namespace: str, name: str) -> R:
        """See the port."""
        return parsed(kind, self.get_raw(resource_type(kind), namespace, name))

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
                found.append(parsed(kind, item))
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
        return parsed(kind, self.create_raw(resource_type(kind), namespace, body, manager=manager, dry_run=dry_run))


def parsed(kind: type[R], body: Raw) -> R:
    """The object as its type.

    Raises:
        Terminal: it does not fit: it was written by another version.
    """
    try:
        return kind.from_wire(body)
    except ValidationError as error:
        metadata, first = body.get("metadata", {}), error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        name = f"{kind.definition.kind} {metadata.get('namespace', '')}/{metadata.get('name', '')}"
        raise Terminal("UnknownShape", f"{name} does not fit the API types: {where}: {first['msg']}") from error
