"""docs/reference/rbac.md: who may do what, as tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from rbac.documents import Document, Scope, admission_files, documents, grantable, role_files

_HEAD = """\
<!-- Generated from rbac/ by `python -m crds.generate`; do not edit. -->
# Who may do what

One file per identity under `rbac/`; the chart's templates are generated from it. There are no wildcards, no Secrets, no
`cluster-admin`. RBAC says which kinds an identity may touch; the admission policies below narrow that to single fields
and single actions, on the API server. *Opted-in* namespaces are those in the value `execution.namespaces` (none by
default), or where the output of `iirp grant NAMESPACE` was applied. *Watched* namespaces are all, or those in the value
`watchNamespaces`.
"""
_PLACES = {
    Scope.CLUSTER: "cluster",
    Scope.WATCHED: "watched namespaces",
    Scope.OPTED_IN: "**opted-in namespaces**",
}


def rbac_reference() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_platform(), *_people(), *_admission()]).rstrip() + "\n"


def _platform() -> Iterable[str]:
    yield "## Platform identities\n"
    yield "| ServiceAccount | may | on | where |"
    yield "| --- | --- | --- | --- |"
    for path in role_files():
        for document in documents(path):
            if (role := grantable(document)) is not None:
                for verbs, resources in _rules(document):
                    yield f"| {role.account} | {verbs} | {resources} | {_PLACES[role.scope]} |"
    yield ""


def _people() -> Iterable[str]:
    yield "## Roles for people\n"
    yield "| role | may | on | given to |"
    yield "| --- | --- | --- | --- |"
    for path in role_files():
        for document in documents(path):
            if document["kind"] in ("ClusterRole", "Role") and grantable(document) is None:
                for verbs, resources in _rules(document):
                    yield f"| {document['metadata']['name']} | {verbs} | {resources} | {_given_to(document)} |"
    yield "\nThis lets the group `oncall` decide in `shop`:\n"
    yield "```\nkubectl create rolebinding oncall --clusterrole iirp-approver --group oncall -n shop\n```\n"


def _admission() -> Iterable[str]:
    yield "## Admission policies\n"
    yield "All have `failurePolicy: Fail`. The executor refuses to work while one of them is missing.\n"
    yield "| policy | kind | what for |"
    yield "| --- | --- | --- |"
    for path in admission_files():
        comment = ""
        for chunk in path.read_text(encoding="utf-8").split("\n---\n"):
            comment = " ".join(line[1:].strip() for line in chunk.splitlines() if line.startswith("#")) or comment
            for document in _policies(chunk):
                yield f"| {document['metadata']['name']} | {document['kind']} | {comment} |"


def _policies(chunk: str) -> Iterable[Document]:
    document: Any = yaml.safe_load(chunk)
    if document and document["kind"].endswith("Policy"):
        yield document


def _rules(document: Document) -> Iterable[tuple[str, str]]:
    for rule in document.get("rules", []):
        groups = rule.get("apiGroups", [""])
        names = [_qualified(resource, group) for group in groups for resource in rule.get("resources", [])]
        names += rule.get("nonResourceURLs", [])
        only = rule.get("resourceNames")
        suffix = f" (only {', '.join(f'`{name}`' for name in only)})" if only else ""
        yield ", ".join(rule["verbs"]), ", ".join(f"`{name}`" for name in names) + suffix


def _qualified(resource: str, group: str) -> str:
    return f"{resource}.{group}" if group else resource


def _given_to(document: Document) -> str:
    labels = document["metadata"].get("labels", {})
    for built_in in ("view", "edit", "admin"):
        if f"rbac.authorization.k8s.io/aggregate-to-{built_in}" in labels:
            return f"everyone with the built-in role `{built_in}`"
    return "nobody, until bound"
