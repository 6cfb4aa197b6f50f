"""Request and answer shapes of the API server. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from controllers.kube.api import Raw
from controllers.kube.errors import (
    AlreadyExists,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
    Unavailable,
)
from crds import API_VERSION
from crds.v1alpha1.base import Resource

MAX_LINE = 8 * 1024 * 1024
"""Objects are at most 1.5 MB in etcd."""


def owner_reference(owner: Resource) -> Raw:
    """An ownerReference that lets the garbage collector delete children, and never blocks the owner's deletion."""
    return {
        "apiVersion": API_VERSION,
        "kind": type(owner).definition.kind,
        "name": owner.metadata.name,
        "uid": owner.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def to_error(status: int, payload: bytes, address: str) -> KubeError:
    """A ``metav1.Status`` answer as a typed error."""
    try:
        answer = parse_object(payload)
    except ValueError:
        answer = {}
    reason = answer.get("reason") or f"Http{status}"
    message = str(answer.get("message") or payload[:300].decode(errors="replace"))
    if status == 409:
        return AlreadyExists(reason, message) if reason == "AlreadyExists" else Conflict(reason, message)
    kinds: dict[int, type[KubeError]] = {
        403: Forbidden,
        404: NotFound,
        410: Expired,
        405: Invalid,
        400: Invalid,
        413: Invalid,
        415: Invalid,
        422: Invalid,
    }
    if status in kinds:
        return kinds[status](reason, message)
    hint = "; check the credentials" if status == 401 else ""
    return Unavailable(reason, f"API server {address} answered {status}: {message}{hint}")


def write_query(manager: str, *, dry_run: bool) -> dict[str, str]:
    """Query of every write: who it is by, unknown fields refused, and whether it is only tried."""
    query = {"fieldManager": manager, "fieldValidation": "Strict"}
    if dry_run:
        query["dryRun"] = "All"
    return query


def with_preconditions(patch: Raw | list[Raw], uid: str, resource_version: str) -> Raw | list[Raw]:
    """The patch, refused with a conflict unless the object still has this UID and version."""
    wanted = {key: value for key, value in (("uid", uid), ("resourceVersion", resource_version)) if value}
    if not wanted:
        return patch
    if isinstance(patch, list):
        tests: list[Raw] = [{"op": "test", "path": f"/metadata/{key}", "value": value} for key, value in wanted.items()]
        return tests + patch
    return {**patch, "metadata": {**patch.get("metadata", {}), **wanted}}


def parse_object(payload: bytes) -> Raw:
    """A JSON object. Raises ValueError."""
    value: Any = json.loads(payload)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004  a wrong value, like broken JSON
    return value


def lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a stream of watch events. Raises ValueError when one is longer than :data:`MAX_LINE`."""
    rest: list[bytes] = []
    size = 0
    for chunk in chunks:
        head, *others = chunk.split(b"\n")
        rest.append(head)
        size += len(head)
        if size > MAX_LINE:
            raise ValueError(f"a watch event of more than {MAX_LINE} bytes")
        for other in others:
            line = b"".join(rest)
            if line.strip():
                yield line
            rest, size = [other], len(other)
