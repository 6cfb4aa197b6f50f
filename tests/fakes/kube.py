"""An in-memory API server: what the ``Kube`` port promises, including preconditions, and no more."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

from controllers.kube.errors import AlreadyExists, Conflict, KubeError, NotFound
from controllers.kube.resources import ResourceType, resource_type
from controllers.kube.typed import TypedKube
from crds import API_VERSION
from crds.v1alpha1.base import ApiModel, Resource, format_time

R = TypeVar("R", bound=Resource)
Raw = dict[str, Any]
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class FakeKube(TypedKube):
    """Implements ``controllers.kube.api.Kube``; its typed half is the real one.

    ``writes`` lists (verb, plural, namespace/name) of every write that took effect. ``fail`` may return an error to
    raise for (verb, plural, namespace, name), so a test can break one call.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: START) -> None:
        self.now = now
        self.objects: dict[tuple[str, str, str], Raw] = {}
        self.writes: list[tuple[str, str, str]] = []
        self.fail: Callable[[str, str, str, str], KubeError | None] = lambda *_: None
        self.unserved: set[str] = set()
        self._version = 0
        self._owned: dict[tuple[str, str, str, str], set[str]] = {}

    # --- test helpers ---

    def add(
        self, kind: type[R], namespace: str, name: str, spec: ApiModel, status: ApiModel | None = None, **metadata: Any
    ) -> R:
        """Put a typed object there without it counting as a write."""
        body: Raw = {"spec": spec.to_wire(), "metadata": {"name": name, "namespace": namespace, **metadata}}
        if status is not None:
            body["status"] = status.to_wire()
        return kind.from_wire(self.add_raw(resource_type(kind), body))

    def add_raw(self, resource: ResourceType, body: Raw) -> Raw:
        """Put a raw object there without it counting as a write."""
        return copy.deepcopy(self._store(resource, copy.deepcopy(body)))

    # --- the port ---

    def apply_status(self, obj: R, status: Raw, *, manager: str, exact: bool = False) -> R:
        resource = resource_type(type(obj))
        meta = obj.metadata
        self._check("apply_status", resource, meta.namespace, meta.name)
        stored = self._find(resource, meta.namespace, meta.name)
        if stored["metadata"]["uid"] != meta.uid:
            raise Conflict("Conflict", "Precondition failed: UID in precondition")
        if exact and stored["metadata"]["resourceVersion"] != meta.resource_version:
            raise Conflict("Conflict", "the object has been modified; please apply your changes to the latest version")
        owner = (resource.plural, meta.namespace, meta.name, manager)
        before = copy.deepcopy(stored.get("status", {}))
        current = stored.setdefault("status", {})
        for gone in self._owned.get(owner, set()) - set(status):
            current.pop(gone, None)
        current.update(copy.deepcopy(status))
        self._owned[owner] = set(status)
        if current != before:
            self._touch(stored)
            self.writes.append(("apply_status", resource.plural, f"{meta.namespace}/{meta.name}"))
        return type(obj).from_wire(copy.deepcopy(stored))

    def get_raw(self, resource: ResourceType, namespace: str, name: str, subresource: str = "") -> Raw:
        self._check("get", resource, namespace, name)
        return copy.deepcopy(self._find(resource, namespace, name))

    def get_metadata(self, resource: ResourceType, namespace: str, name: str) -> Raw:
        return {"metadata": self.get_raw(resource, namespace, name)["metadata"]}

    def list_raw(
        self,
        resource: ResourceType,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
    ) -> list[Raw]:
        self._check("list", resource, namespace or "", "")
        found = [
            copy.deepcopy(body)
            for (plural, space, _), body in sorted(self.objects.items())
            if plural == resource.plural and namespace in (None, "", space)
        ]
        found = [body for body in found if _matches(body["metadata"].get("labels") or {}, labels)]
        found = [body for body in found if all(_path(body, path) == value for path, value in _pairs(fields))]
        return found[:limit] if limit else found

    def page(
        self, resource: ResourceType, namespace: str | None, *, limit: int = 500, token: str = ""
    ) -> tuple[list[Raw], str, str]:
        return self.list_raw(resource, namespace), str(self._version), ""

    def stream(self, resource: ResourceType, namespace: str | None, version: str, seconds: int) -> Iterator[Raw]:
        yield from ()

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
        name = body["metadata"].get("name") or f"{body['metadata']['generateName']}{self._version:05d}"
        self._check("create", resource, namespace, name)
        if (resource.plural, namespace, name) in self.objects:
            raise AlreadyExists("AlreadyExists", f'{resource.plural} "{name}" already exists')
        full = copy.deepcopy(body)
        full["metadata"].update(name=name, namespace=namespace)
        if dry_run:
            return full
        self.writes.append(("create", resource.plural, f"{namespace}/{name}"))
        return copy.deepcopy(self._store(resource, full))

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
        self._check("patch" if not dry_run else "dry_run", resource, namespace, name)
        stored = self._find(resource, namespace, name)
        _preconditions(stored, uid, resource_version)
        patched: Raw = _json_patch(stored, patch) if isinstance(patch, list) else _merge(stored, patch)
        if dry_run:
            return patched
        if patched.get("spec") != stored.get("spec"):
            patched["metadata"]["generation"] = stored["metadata"].get("generation", 1) + 1
        if patched != stored:
            self._touch(patched)
            self.writes.append(("patch", resource.plural, f"{namespace}/{name}"))
        self.objects[(resource.plural, namespace, name)] = patched
        return copy.deepcopy(patched)

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
        self._check("delete" if not dry_run else "dry_run", resource, namespace, name)
        stored = self.objects.get((resource.plural, namespace, name))
        if stored is None:
            return False
        _preconditions(stored, uid, resource_version)
        if dry_run:
            return True
        del self.objects[(resource.plural, namespace, name)]
        self.writes.append(("delete", resource.plural, f"{namespace}/{name}"))
        return True

    def served(self, resource: ResourceType) -> bool:
        return resource.plural not in self.unserved

    # --- inside ---

    def _check(self, verb: str, resource: ResourceType, namespace: str, name: str) -> None:
        error = self.fail(verb, resource.plural, namespace, name)
        if error is not None:
            raise error

    def _find(self, resource: ResourceType, namespace: str, name: str) -> Raw:
        try:
            return self.objects[(resource.plural, namespace if resource.namespaced else "", name)]
        except KeyError:
            raise NotFound("NotFound", f'{resource.plural} "{name}" not found') from None

    def _store(self, resource: ResourceType, body: Raw) -> Raw:
        metadata = body["metadata"]
        body.setdefault("apiVersion", API_VERSION if resource.group == "iirp.io" else resource.api_version)
        body.setdefault("kind", resource.kind)
        namespace = metadata.get("namespace", "") if resource.namespaced else ""
        metadata.setdefault("uid", f"uid-{resource.plural}-{namespace}-{metadata['name']}")
        metadata.setdefault("generation", 1)
        metadata.setdefault("creationTimestamp", format_time(self.now()))
        self._touch(body)
        self.objects[(resource.plural, namespace, metadata["name"])] = body
        return body

    def _touch(self, body: Raw) -> None:
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)


class FakeRecorder:
    """Collects (name, type, reason, note); the same content is recorded once, as by the real one."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str, str]] = []
        self._seen: set[tuple[str, str, str, str]] = set()

    def emit(self, obj: Resource, event_type: str, reason: str, note: str, *, action: str = "", once: str = "") -> None:
        identity = (obj.metadata.uid, reason, note, once)
        if identity not in self._seen:
            self._seen.add(identity)
            self.events.append((obj.metadata.name, event_type, reason, note))

    @property
    def reasons(self) -> list[str]:
        """Reasons in order."""
        return [reason for _, _, reason, _ in self.events]


def _preconditions(stored: Raw, uid: str, resource_version: str) -> None:
    metadata = stored["metadata"]
    if (uid and metadata["uid"] != uid) or (resource_version and metadata["resourceVersion"] != resource_version):
        raise Conflict("Conflict", "the object has been modified")


def _merge(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = copy.deepcopy(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merge(result.get(key), value)
    return result


def _json_patch(target: Raw, patch: list[Raw]) -> Raw:
    """RFC 6902, as far as it is used: ``add`` and ``replace`` of members of objects."""
    result = copy.deepcopy(target)
    for operation in patch:
        *parents, last = (part.replace("~1", "/").replace("~0", "~") for part in operation["path"][1:].split("/"))
        at = result
        for part in parents:
            at = at[part]
        assert operation["op"] == "add" or last in at, operation
        at[last] = copy.deepcopy(operation["value"])
    return result


def _pairs(selector: str) -> list[tuple[str, str]]:
    return [
        (key, value)
        for key, _, value in (part.replace("==", "=").partition("=") for part in selector.split(",") if part)
    ]


def _matches(labels: dict[str, str], selector: str) -> bool:
    """``key=value`` and, for any value, ``key``."""
    return all(labels.get(key) == value if value else key in labels for key, value in _pairs(selector))


def _path(body: Raw, path: str) -> str:
    value: Any = body
    for part in path.split("."):
        value = value.get(part, "") if isinstance(value, dict) else ""
    return str(value)
