"""Reads the YAML of this folder. Roles say by annotation where they are bound, and to whom; bindings follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parent
NAMESPACE = "iirp-system"
"""The platform's namespace as the files spell it; the chart puts the release's own in its place."""
BIND = "iirp.io/bind"
BIND_TO = "iirp.io/bind-to"
ACTIONS = "iirp.io/actions"
"""Types of actions that a role is for, comma-separated; a role without it is for all."""

Document = dict[str, Any]


class Scope(StrEnum):
    """Where a ClusterRole is bound."""

    CLUSTER = "cluster"
    """Everywhere, always: for cluster-scoped objects."""
    WATCHED = "watched"
    """Everywhere, or in the watched namespaces if those are named."""
    OPTED_IN = "opted-in"
    """In namespaces that opted in to actions; in none by default."""


@dataclass(frozen=True)
class Grantable:
    """A ClusterRole, and the ServiceAccount that it is bound to in a scope."""

    role: Document
    scope: Scope
    account: str
    actions: frozenset[str] = frozenset()
    """Types of actions that need it; empty: all do."""

    @property
    def name(self) -> str:
        """Name of the ClusterRole and of its bindings."""
        return str(self.role["metadata"]["name"])

    def cluster_binding(self, platform_namespace: str = NAMESPACE) -> Document:
        """Binds the role in the whole cluster."""
        return self._binding({"kind": "ClusterRoleBinding", "metadata": {"name": self.name}}, platform_namespace)

    def namespace_binding(self, namespace: str, platform_namespace: str = NAMESPACE) -> Document:
        """Binds the role in one namespace."""
        metadata = {"name": self.name, "namespace": namespace}
        return self._binding({"kind": "RoleBinding", "metadata": metadata}, platform_namespace)

    def _binding(self, head: Document, platform_namespace: str) -> Document:
        return {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            **head,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": self.name},
            "subjects": [{"kind": "ServiceAccount", "name": self.account, "namespace": platform_namespace}],
        }


def role_files(folder: Path = FOLDER) -> list[Path]:
    """Files with ServiceAccounts and roles, by name."""
    return sorted(folder.glob("*.yaml"))


def admission_files(folder: Path = FOLDER) -> list[Path]:
    """Files with admission policies, by name."""
    return sorted((folder / "admission").glob("*.yaml"))


def documents(path: Path) -> Iterator[Document]:
    """The YAML documents of one file."""
    yield from (document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document)


def grantable(document: Document) -> Grantable | None:
    """The role with its place, or None for what is bound by hand or is no ClusterRole.

    Raises:
        ValueError: the annotations contradict each other.
    """
    annotations = document.get("metadata", {}).get("annotations", {})
    if BIND not in annotations:
        return None
    if document["kind"] != "ClusterRole" or BIND_TO not in annotations:
        raise ValueError(f"{document['metadata']['name']}: {BIND} needs a ClusterRole and {BIND_TO}")
    actions = frozenset(part.strip() for part in annotations.get(ACTIONS, "").split(",") if part.strip())
    return Grantable(document, Scope(annotations[BIND]), str(annotations[BIND_TO]), actions)


def grantables(scope: Scope, folder: Path = FOLDER) -> list[Grantable]:
    """All roles that are bound in a scope."""
    found = (grantable(document) for path in role_files(folder) for document in documents(path))
    return [item for item in found if item is not None and item.scope is scope]
