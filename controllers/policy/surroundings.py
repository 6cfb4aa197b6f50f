"""Reads what a rollback could leave on the other side. What may not be read is said, and makes a person decide."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from controllers.kube.api import Kube
from controllers.kube.errors import Forbidden, NotFound
from controllers.kube.resources import (
    CLAIMS,
    CONFIG_MAPS,
    CUSTOM_RESOURCE_DEFINITIONS,
    JOBS,
    REPLICASETS,
    ResourceType,
)
from controllers.kube.targets import find
from controllers.policy.boundary import Around, Crossing, crossing, references
from crds.v1alpha1.digest import JsonObject, related
from crds.v1alpha1.owners import owned_by

T = TypeVar("T")


def look(kube: Kube, namespace: str, deployment: JsonObject) -> Crossing:
    """What changed since the revision of a rollback; nothing for a target that is no rollback's."""
    replica_set = related(deployment, "replicaSet")
    if replica_set is None:
        return Crossing()
    unread: list[str] = []
    named = [references(body["spec"]["template"]) for body in (deployment, replica_set)]
    uid = deployment["metadata"]["uid"]
    sets = _list(kube, REPLICASETS, namespace, unread)
    around = Around(
        replica_sets=[body for body in sets if owned_by(body, uid)],
        jobs=_list(kube, JOBS, namespace, unread),
        configs=_each(kube, CONFIG_MAPS, namespace, {name for one in named for name in one.configs}, unread),
        claims=_each(kube, CLAIMS, namespace, {name for one in named for name in one.claims}, unread),
        definitions=_list(kube, CUSTOM_RESOURCE_DEFINITIONS, "", unread),
        unread=tuple(unread),
    )
    return crossing(deployment, replica_set, around)


def _list(kube: Kube, resource: ResourceType, namespace: str, unread: list[str]) -> list[dict[str, Any]]:
    found = _try(lambda: kube.list_raw(resource, namespace), resource, unread)
    return found if found is not None else []


def _each(
    kube: Kube, resource: ResourceType, namespace: str, names: Iterable[str], unread: list[str]
) -> dict[str, JsonObject] | None:
    """Only what is named: the values of other ConfigMaps are nobody's business here."""

    def read() -> dict[str, JsonObject]:
        bodies = {name: find(kube, resource, namespace, name) for name in sorted(names)}
        return {name: body for name, body in bodies.items() if body is not None}

    return _try(read, resource, unread)


def _try(read: Callable[[], T], resource: ResourceType, unread: list[str]) -> T | None:
    try:
        return read()
    except (Forbidden, NotFound):
        unread.append(f"{resource.kind}s may not be read")
        return None
