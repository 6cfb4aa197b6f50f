"""Opting a namespace in to actions: the RoleBindings without which the executor cannot touch it."""

from __future__ import annotations

from collections.abc import Collection

from rbac.documents import FOLDER, NAMESPACE, Document, Scope, grantables


def namespace_bindings(
    namespace: str, platform_namespace: str = NAMESPACE, actions: Collection[str] = ()
) -> list[Document]:
    """RoleBindings that let the executor act in ``namespace``, and the approval controller grant it single actions.

    The chart writes the same for ``execution.namespaces``; ``iirp grant`` prints them.

    Args:
        actions: types of actions that the namespace opts in to; empty: all. Restart, scale, rollback and pause of
            Deployments go together, for RBAC knows no smaller right than ``patch``; policy and grants do.
    """
    return [
        role.namespace_binding(namespace, platform_namespace)
        for role in grantables(Scope.OPTED_IN, FOLDER)
        if not role.actions or not actions or role.actions & set(actions)
    ]
