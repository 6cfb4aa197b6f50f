"""Opting a namespace in to actions: the RoleBindings without which the executor cannot touch it."""

from __future__ import annotations

from rbac.documents import FOLDER, NAMESPACE, Document, Scope, grantables


def namespace_bindings(namespace: str, platform_namespace: str = NAMESPACE) -> list[Document]:
    """RoleBindings that let the executor act in ``namespace``, and the approval controller grant it single actions.

    The chart writes the same for ``execution.namespaces``; ``iirp grant`` prints them.
    """
    return [role.namespace_binding(namespace, platform_namespace) for role in grantables(Scope.OPTED_IN, FOLDER)]
